"""Preconditions: `If-Match`, judged by what a GET of the same path would answer now."""

from collections.abc import Callable
from typing import Any

import orjson
from sqlalchemy.orm import Session

from models.errors import PreconditionFailed
from roster.api.entity_tags import names, tag_of
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError
from roster.contract.operation import Operation
from roster.http.context import RequestContext
from roster.stack.authorization import Precondition, Rules

# Calls the handler of an operation with the request and the object that its path names.
Call = Callable[[RequestContext, Any], Any]

HEADER = "If-Match"


def find_precondition(
    operation: Operation,
    definition: Definition,
    rules: Rules,
    caller_of: Callable[[Operation], Call],
) -> Precondition | None:
    """Return what judges `If-Match` of an operation that declares it (RFC 9110 section 13.1.1).

    It is called when the object is locked, and compares the tag of the answer that the GET of the
    same path would give: so what it guards is what its sender has seen.

    :raises DefinitionError: where there is no such GET with an ETag.
    """
    declared = [each for each in operation.parameters if each["in"] == "header"]
    if not any(each["name"].lower() == HEADER.lower() for each in declared):
        return None
    reading = next(
        (
            each
            for each in definition.operations
            if each.path == operation.path and each.method == "GET"
        ),
        None,
    )
    name = operation.permission.object
    is_tagged = reading is not None and "ETag" in reading.success[1].get("headers", {})
    if reading is None or name is None or reading.permission.object != name or not is_tagged:
        raise DefinitionError(
            f"{HEADER} needs an object in x-permission, and a GET of the same path with an ETag",
            path=operation.path,
            method=operation.method,
        )
    call = caller_of(reading)

    def check(context: RequestContext, session: Session) -> None:
        asked = context.header(HEADER.lower().encode())
        if asked is None:
            return
        found = rules.load(context, reading, name, session)
        if not names(asked, tag_of(orjson.dumps(call(context, found))), weakly=False):
            raise PreconditionFailed("The object has changed since it was read.")

    return check

"""Preconditions: `If-Match`, judged by what a GET of the same path would answer now."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from models.errors import PreconditionFailed
from roster.api.entity_tags import names, tag_of
from roster.api.representations import Representations
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError
from roster.contract.operation import Operation
from roster.http.context import RequestContext
from roster.stack.authorization import Precondition, Rules

# Calls the handler of an operation with the request and the object that its path names.
Call = Callable[[RequestContext, Any], Any]

HEADER = "If-Match"
_HEADER = HEADER.lower().encode()


def is_conditional(context: RequestContext) -> bool:
    """Tell whether a request has the header; without it nothing is judged."""
    return context.header(_HEADER) is not None


def find_precondition(
    operation: Operation,
    definition: Definition,
    rules: Rules,
    caller_of: Callable[[Operation], Call],
) -> Precondition | None:
    """Return what judges `If-Match` of an operation that declares it (RFC 9110 section 13.1.1).

    It is called when the object is locked, for requests that have the header, and compares the
    tag of the answer that the GET of the same path would give: so what it guards is what its
    sender has seen.

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
    is_whole = reading is not None and not any(each.get("required") for each in _query(reading))
    if (
        name is None
        or reading is None
        or reading.permission.object != name
        or not is_tagged
        or not is_whole
    ):
        raise DefinitionError(
            f"{HEADER} needs an object in x-permission, and a GET of the same path with an ETag,"
            " and without a query that is required",
            path=operation.path,
            method=operation.method,
        )
    call = caller_of(reading)
    represent = Representations(reading.success[1].get("content", {}))

    def check(context: RequestContext, session: Session) -> None:
        asked = context.header(_HEADER) or ""
        # What the handler of this request has not written yet must not be read, nor written by it.
        read = replace(context, operation=reading, _session=session)
        found = rules.load(read, reading, name, session)
        body, _ = represent(call(read, found))
        if not names(asked, tag_of(body), weakly=False):
            raise PreconditionFailed("The object has changed since it was read.")

    return check


def _query(operation: Operation) -> list[dict[str, Any]]:
    return [each for each in operation.parameters if each["in"] == "query"]

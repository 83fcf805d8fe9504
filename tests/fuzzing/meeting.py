"""Requests that are made up at random, changed into such as do something."""

from typing import Any, cast

from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.case import Case
from schemathesis.generation.meta import TestPhase

# So many users and teams there are, about.
_FEW = 7


def meet_what_is_there(case: Case[Any], password: str) -> None:
    """Make a request that is made up at random, and as its schema has it, one that does something.

    Numbers become such as exist, the cursor that of a first page, and a change of a user begins
    with the password of the caller. In a chain the numbers come from the answers before.
    """
    meta = case.meta
    if meta is None or meta.phase.name not in {TestPhase.FUZZING, TestPhase.STATEFUL}:
        return
    if meta.phase.name is TestPhase.FUZZING and not meta.is_negative_at(ParameterLocation.PATH):
        case.path_parameters = {
            name: 1 + value % _FEW if isinstance(value, int) and value >= 10 else value
            for name, value in case.path_parameters.items()
        }
    if "cursor" in (case.query or {}) and not meta.is_negative_at(ParameterLocation.QUERY):
        case.query = {"cursor": ""}
    operation = case.operation.definition.raw["operationId"]
    if operation == "change_user" and not meta.is_negative_at(ParameterLocation.BODY):
        proof: Any = {"op": "test", "path": "/current_password", "value": password}
        case.body = [proof, *cast(list[Any], case.body)[:19]]

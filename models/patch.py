"""JSON Patch (RFC 6902): applying operations to a document."""

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from jsonpatch import JsonPatch, JsonPatchTestFailed

from models.errors import Conflict


class Operation(TypedDict):
    """An operation of a patch; its path is the JSON pointer to a value of the document."""

    op: Literal["test", "replace"]
    path: str
    value: Any


def apply(document: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document as it is after all operations, one after the other.

    The operations are valid, and their paths are in the document. Their other members are ignored
    (RFC 6902 section 4). Raise Conflict, with a pointer to its value, where a `test` fails.
    """
    for index, operation in enumerate(operations):
        defined = {name: operation[name] for name in ("op", "path", "value")}
        try:
            document = JsonPatch([defined]).apply(document)
        except JsonPatchTestFailed:
            raise Conflict(
                "A test of the patch failed: nothing was changed.",
                [(f"/{index}/value", "This is not the present value.")],
            ) from None
    return document


def replaces(operations: Sequence[Operation], *paths: str) -> bool:
    """Tell whether an operation replaces the value of one of these paths."""
    return any(
        operation["op"] == "replace" and operation["path"] in paths for operation in operations
    )


def pointer(operations: Sequence[Operation], path: str) -> str:
    """Return the JSON pointer to the value that the operations leave at a path."""
    return next(
        f"/{index}/value"
        for index, operation in reversed(list(enumerate(operations)))
        if operation["op"] == "replace" and operation["path"] == path
    )

"""The published document: the definition without what only this server needs to know."""

from collections.abc import Mapping
from typing import Any

UNPUBLISHED = "x-unpublished"


def of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without `x-` names, and without each object that is `x-unpublished`.

    What is so marked is served all the same: it is not in the document where generators would
    write code for it that nobody should use.
    """
    return {
        key: made
        for key, value in document.items()
        if not key.startswith("x-") and _is_published(value)
        if (made := _published(value)) != [] or key != "parameters"
    }


def _published(node: Any) -> Any:
    if isinstance(node, dict):
        return of(node)
    if isinstance(node, list):
        return [_published(value) for value in node if _is_published(value)]
    return node


def _is_published(node: Any) -> bool:
    return not (isinstance(node, dict) and node.get(UNPUBLISHED))

"""The published document: the definition as readers and generators of clients need it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from roster.contract.kinds import part
from roster.contract.operation import each_operation

UNPUBLISHED = "x-unpublished"
# What generators read: how the values of an enum are called in code.
VARNAMES = "x-enum-varnames"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without `x-` names, and without each object that is `x-unpublished`.

    What is so marked is served all the same: it is not in the document where generators would
    write code for it that nobody should use. What requires a security scheme that is so marked
    requires it no longer, and says so in words. Values of an enum that no program could have as
    names get names, as `x-enum-varnames`.
    """
    shown = _without_hidden_schemes(document)
    return {
        key: _published(value, "components" if key == "components" else part("root", key))
        for key, value in shown.items()
        if not key.startswith("x-")
    }


def is_identifier(text: Any) -> bool:
    """Tell whether a value can be a name in every programming language."""
    return isinstance(text, str) and _IDENTIFIER.fullmatch(text) is not None


def _without_hidden_schemes(document: Mapping[str, Any]) -> Mapping[str, Any]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    hidden = {name for name, scheme in schemes.items() if scheme.get(UNPUBLISHED)}
    if not hidden:
        return document
    paths = {path: dict(item) for path, item in document["paths"].items()}
    for path, method, operation in each_operation(document):
        security = operation.get("security")
        if security and not hidden.isdisjoint(name for each in security for name in each):
            left = [each for each in security if hidden.isdisjoint(each) and each]
            optional: list[dict[str, Any]] = [{}] if left and {} in security else []
            paths[path][method] = {**operation, "security": [*left, *optional]}
    return {**document, "paths": paths}


def _published(node: Any, kind: str) -> Any:
    if isinstance(node, list):
        return [_published(each, part(kind, "")) for each in node if _is_published(each)]
    if not isinstance(node, dict):
        return node
    made = {
        key: inner
        for key, value in node.items()
        if (not key.startswith("x-") or key == VARNAMES) and _is_published(value)
        if (inner := _published(value, part(kind, key))) != [] or key != "parameters"
    }
    if kind == "schemas" and VARNAMES not in made and (names := _names(made.get("enum", ()))):
        made[VARNAMES] = names
    return made


def _is_published(node: Any) -> bool:
    return not (isinstance(node, dict) and node.get(UNPUBLISHED))


def _names(values: Sequence[Any]) -> list[str]:
    """Make names such as `USERS_READ`; none where the values are names, or some would get none."""
    if not all(isinstance(each, str) for each in values) or all(map(is_identifier, values)):
        return []
    names = [re.sub(r"[^A-Za-z0-9]+", "_", each).strip("_").upper() for each in values]
    return names if all(map(is_identifier, names)) and len({*names}) == len(names) else []

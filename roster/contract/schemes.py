"""Security schemes: those that the published document does not show."""

from collections.abc import Mapping
from typing import Any

from roster.contract.operation import each_operation
from roster.contract.published import UNPUBLISHED


def published(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document without the schemes that are `x-unpublished`, and what requires them.

    They are for operators: an operation that takes one says so in words.
    """
    components = document.get("components", {})
    schemes = components.get("securitySchemes", {})
    hidden = {name for name, scheme in schemes.items() if scheme.get(UNPUBLISHED)}
    shown = {name: scheme for name, scheme in schemes.items() if name not in hidden}
    paths = {path: dict(item) for path, item in document["paths"].items()}
    for path, method, operation in each_operation(document):
        security = operation.get("security")
        if security and not hidden.isdisjoint(name for each in security for name in each):
            left = [each for each in security if hidden.isdisjoint(each) and each]
            optional: list[dict[str, Any]] = [{}] if left and {} in security else []
            paths[path][method] = {**operation, "security": [*left, *optional]}
    made = {**document, "paths": paths}
    if hidden:
        made["components"] = {**components, "securitySchemes": shown}
    return made

"""References: replaces each `$ref` within a document by what it refers to."""

from typing import Any, cast


def dereference(document: dict[str, Any]) -> dict[str, Any]:
    """Replace every reference into a document by what it refers to.

    What is referred to in many places is one object there, which nobody may change.
    """
    targets: dict[str, Any] = {}

    def resolve(node: Any) -> Any:
        if isinstance(node, list):
            return [resolve(value) for value in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return target(node["$ref"])
        return {key: resolve(value) for key, value in node.items()}

    def target(reference: str) -> Any:
        if reference not in targets:
            found: Any = document
            for step in reference.removeprefix("#/").split("/"):
                found = found[step]
            targets[reference] = resolve(found)
        return targets[reference]

    return cast(dict[str, Any], resolve(document))

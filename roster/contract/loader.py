"""The loader: reads the definition's files, and makes one document of them for an environment."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from roster.contract.definition import Definition
from roster.contract.operation import each_operation
from roster.contract.permissions import Permission

FOLDER = Path(__file__).resolve().parents[2] / "openapi"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A YAML loader that leaves timestamps as the strings that JSON would hold."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(environment: str, folder: Path = FOLDER) -> Definition:
    """Read and resolve the definition for one environment (`development` or `production`)."""
    document = _without_other_environments(_bundle(folder), environment)
    for _, _, operation in each_operation(document):
        permission = Permission.of(operation["x-permission"])
        operation["description"] = (
            f"{operation.get('description', '').rstrip()}\n\n{permission.sentence}".lstrip()
        )
    return Definition(document)


def _bundle(folder: Path) -> dict[str, Any]:
    """Put the files into one document: components stay named, the rest moves to its place."""
    components: defaultdict[str, dict[str, Any]] = defaultdict(dict)

    def resolve(node: Any, base: Path) -> Any:
        if isinstance(node, list):
            return [resolve(item, base) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" not in node:
            return {key: resolve(value, base) for key, value in node.items()}
        target = (base / node["$ref"]).resolve()
        place = target.relative_to(folder.resolve()).parts
        if place[0] != "components" or place[1] == "securitySchemes":
            return resolve(read(target), target.parent)
        kind, name = place[1], target.stem
        if name not in components[kind]:
            components[kind][name] = {}
            components[kind][name] = resolve(read(target), target.parent)
        return {"$ref": f"#/components/{kind}/{name}"}

    def read(path: Path) -> Any:
        text = path.read_text(encoding="utf-8")
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (it is a safe loader)

    document: dict[str, Any] = resolve(read(folder / "openapi.yaml"), folder)
    for kind, named in components.items():
        document.setdefault("components", {})[kind] = dict(sorted(named.items()))
    return document


def _without_other_environments(node: Any, environment: str) -> Any:
    """Drop every object that is marked as another environment's."""

    def is_here(value: Any) -> bool:
        return not isinstance(value, dict) or value.get("x-environment", environment) == environment

    if isinstance(node, dict):
        return {
            key: _without_other_environments(value, environment)
            for key, value in node.items()
            if is_here(value)
        }
    if isinstance(node, list):
        return [_without_other_environments(value, environment) for value in node if is_here(value)]
    return node

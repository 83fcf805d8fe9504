"""Kinds: which objects of OpenAPI 3.0 stand where in a document."""

from collections.abc import Iterator, Sequence
from typing import Any

from roster.contract.errors import DefinitionError

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# What is referred to stays a component of its own. Security schemes have no other place anyway.
KINDS = frozenset(
    {"schemas", "responses", "parameters", "examples", "requestBodies", "headers"}
    | {"links", "callbacks"}
)
PATH_ITEM = "path item"
MAPPING = "mapping"
# The kinds of the objects in an object, by its own kind and their keys; `*` is each of a map's or
# a list's. Everything else is data.
_WITH_SCHEMA = {"schema": "schemas", "examples": "*examples", "content": "*media type"}
_PARTS: dict[str, dict[str, str]] = {
    "root": {"paths": f"*{PATH_ITEM}"},
    "components": {kind: f"*{kind}" for kind in KINDS} | {"securitySchemes": "*security scheme"},
    PATH_ITEM: {"parameters": "*parameters"} | dict.fromkeys(METHODS, "operation"),
    "operation": {
        "parameters": "*parameters",
        "requestBody": "requestBodies",
        "responses": "*responses",
        "callbacks": "*callbacks",
    },
    "parameters": _WITH_SCHEMA,
    "headers": _WITH_SCHEMA,
    "requestBodies": {"content": "*media type"},
    "responses": {"headers": "*headers", "content": "*media type", "links": "*links"},
    "media type": {"schema": "schemas", "examples": "*examples", "encoding": "*encoding"},
    "encoding": {"headers": "*headers"},
    "callbacks": {"*": PATH_ITEM},
    "schemas": {
        **dict.fromkeys(("items", "not", "additionalProperties"), "schemas"),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "properties"), "*schemas"),
        "discriminator": "discriminator",
    },
    "discriminator": {"mapping": f"*{MAPPING}"},
}


def part(kind: str, key: str) -> str:
    """Return the kind of an object's part; an extension, and what is not known, is data."""
    if kind.startswith("*"):
        return kind[1:]
    parts = _PARTS.get(kind, {})
    return "" if key.startswith("x-") else parts.get(key, parts.get("*", ""))


def each_schema(
    node: Any, kind: str = "root", steps: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Find every schema in a document, with the steps to its place."""
    if isinstance(node, list):
        for index, each in enumerate(node):
            yield from each_schema(each, part(kind, ""), (*steps, str(index)))
    elif isinstance(node, dict):
        if kind == "schemas":
            yield steps, node
        for key, value in node.items():
            inner = "components" if (kind, key) == ("root", "components") else part(kind, key)
            yield from each_schema(value, inner, (*steps, key))


def error_at(steps: Sequence[str | int], sentence: str, file: str | None) -> DefinitionError:
    """Make the error of a place, by a JSON Pointer's steps: they tell path and method."""
    path = method = None
    rest = [str(step) for step in steps]
    if rest[:1] == ["paths"] and len(rest) > 1:
        path, rest = rest[1], rest[2:]
        if rest[:1] and rest[0] in METHODS:
            method, rest = rest[0], rest[1:]
    told = f"{'/'.join(rest)}: {sentence}" if rest else sentence
    return DefinitionError(told, file=file, path=path, method=method)

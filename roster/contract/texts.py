"""Texts: reads what stands in a URL, a header or a form as the type that its schema has."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from roster.contract.schemas import compiled

Read = Callable[[str], Any]

# A number of which every digit counts, as JSON has it: no sign but minus, no other script's digits.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,99})(\.[0-9]{1,99})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}
_CONTAINERS = frozenset({"array", "object"})
# Of schemas that are for the same value.
_LISTS = ("allOf", "oneOf", "anyOf")


def kinds(schema: dict[str, Any]) -> frozenset[str] | None:
    """Return the types that a converted schema allows; None where it names none."""
    found: list[frozenset[str]] = []
    stated = schema.get("type")
    if stated is not None:
        found.append(frozenset([stated] if isinstance(stated, str) else stated))
    elif "enum" in schema:
        found.append(frozenset(map(_kind_of, schema["enum"])))
    for key in ("oneOf", "anyOf"):
        inner = [kinds(each) for each in schema.get(key, ())]
        known = [each for each in inner if each is not None]
        if inner and len(known) == len(inner):
            found.append(frozenset[str]().union(*known))
    found += [each for each in map(kinds, schema.get("allOf", ())) if each is not None]
    if not found:
        return None
    return frozenset[str].intersection(*map(_with_integers, found))


def is_kept(schema: dict[str, Any]) -> bool:
    """Tell whether a converted schema, or a part of it, refers to one that is kept in one place.

    That one holds itself or is very large: only JSON can hold its values.
    """
    parts = (part for key in _LISTS for part in schema.get(key, ()))
    return "$ref" in schema or any(map(is_kept, parts))


def opened(
    schema: dict[str, Any], definitions: Mapping[str, Any], above: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return a converted schema in which no part that is for the whole value is a reference."""
    reference = schema.get("$ref", "")
    if reference:
        found = {} if reference in above else definitions[reference.rpartition("/")[2]]
        return opened(found, definitions, (*above, reference))
    parts = {
        key: [opened(each, definitions, above) for each in schema[key]]
        for key in _LISTS
        if key in schema
    }
    return {**schema, **parts}


def of_kind(schema: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return a schema and those within it that speak of values of a type as a whole."""
    inner = [part for key in _LISTS for part in schema.get(key, ())]
    found = [each for part in inner for each in of_kind(part, kind)]
    allowed = kinds(schema)
    return [schema, *found] if allowed is None or kind in allowed else []


def items(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the items of an array."""
    stated = [each["items"] for each in of_kind(schema, "array") if "items" in each]
    return stated[0] if len(stated) == 1 else {"allOf": stated} if stated else {}


def members(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the schemas of the members of an object, by name."""
    found: dict[str, dict[str, Any]] = {}
    for each in of_kind(schema, "object"):
        for name, member in each.get("properties", {}).items():
            found[name] = {"anyOf": [found[name], member]} if name in found else member
    return found


def others(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of the members that an object does not name; None where it says nothing."""
    for each in of_kind(schema, "object"):
        stated = each.get("additionalProperties")
        if stated is True:
            return {}
        if isinstance(stated, dict):
            return stated
    return None


def reader(schema: dict[str, Any]) -> Read:
    """Make the function that reads a text as a schema's type.

    What is of no such type stays a text, and fails. Where several types are possible, the first of
    null (the empty text), boolean, integer, number, string is taken with which the schema is
    content.
    """
    allowed = (kinds(schema) or frozenset({"string"})) - _CONTAINERS
    names = [kind for kind in _READERS if kind in allowed]
    if names == ["integer", "number"]:
        names = ["number"]
    if not names or names == ["string"]:
        return str
    if len(names) == 1:
        return _READERS[names[0]]
    readers = [_READERS[name] for name in names]
    is_valid = compiled(schema).is_valid

    def read(text: str) -> Any:
        return next((value for each in readers if is_valid(value := each(text))), text)

    return read


def _integer(text: str) -> Any:
    return int(text) if _INTEGER.fullmatch(text) else text


def _number(text: str) -> Any:
    value = float(text) if _NUMBER.fullmatch(text) else text
    return text if value in {math.inf, -math.inf} else value


# In the order in which they are tried.
_READERS: dict[str, Read] = {
    "null": lambda text: text or None,
    "boolean": lambda text: _BOOLEANS.get(text, text),
    "integer": _integer,
    "number": _number,
    "string": str,
}


def _kind_of(value: Any) -> str:
    for kind, types in (("boolean", bool), ("integer", int), ("number", float), ("string", str)):
        if isinstance(value, types):
            return kind
    return "null" if value is None else "array" if isinstance(value, list) else "object"


def _with_integers(found: frozenset[str]) -> frozenset[str]:
    return found | {"integer"} if "number" in found else found

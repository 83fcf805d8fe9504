"""Schemas: what is wrong with a value, found in few steps however large and wrong it is."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs

from models.users import passwords
from models.users.names import is_visible_text
from roster.http.json_bodies import MAX_VALUES

MAX_ERRORS = 20
# How many wrong values are looked into, those that lie in others counted apart.
_MAX_STEPS = 2_000

Errors = list[tuple[str, str]]

# Formats of the definition's own, which it describes in words.
_FORMATS: dict[str, Callable[[str], bool]] = {
    # Of what is too short to begin with, `minLength` says so.
    "opaque-string": lambda text: len(text) < passwords.MIN_LENGTH or passwords.is_acceptable(text),
    "visible-text": is_visible_text,
}
_OF_FORMATS = {
    "opaque-string": passwords.FORM,
    "visible-text": "This must have a character that can be seen, and none that is invisible.",
}

# Asked first: of what is of another type or too large no more is said, and nothing in it is
# looked at.
_FIRST = ("type", "maxLength", "maxItems", "maxProperties")
# The other keywords that judge a value as a whole. Where they hold schemas, it is only said whether
# the value is as it should be, and not why.
_OTHERS = (
    *("required", "additionalProperties", "minLength", "minItems", "minProperties", "uniqueItems"),
    *("minimum", "maximum", "multipleOf", "enum", "format", "pattern"),
    *("oneOf", "not", "patternProperties"),
)
# What these keywords mean depends on others beside them.
_BESIDE = {
    "minimum": ("exclusiveMinimum",),
    "maximum": ("exclusiveMaximum",),
    "additionalProperties": ("properties", "patternProperties"),
}


class Schema:
    """A schema of the definition, compiled when the server starts.

    The validator's own list of errors is made as a whole, with those of all alternatives at all
    places. This finds them one by one, and stops when there are enough.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        converted = as_draft4(schema)
        bound = _most_values(converted)
        self.most_values = MAX_VALUES if bound == math.inf else max(MAX_VALUES, int(bound))
        self._root = _Node(converted)

    def errors(self, value: Any, place: str = "") -> Errors:
        """Return the first errors of a value, each with the JSON Pointer (RFC 6901) of its place.

        Names in a pointer are the schema's own, for nothing below an unknown name is ever judged.
        """
        if self._root.is_valid(value):
            return []
        faults = self._root.faults(value, (), iter(range(_MAX_STEPS)))
        found = [(_pointer(place, fault.path), fault.sentence) for fault in _some(faults)]
        return found or [(place, _NOT_ALLOWED)]


@dataclass(frozen=True)
class _Fault:
    """One thing that is wrong: where, against which keyword, and in words."""

    path: tuple[str | int, ...]
    keyword: str
    sentence: str


def _some(faults: Iterator[_Fault]) -> list[_Fault]:
    return list(islice(faults, MAX_ERRORS))


@dataclass(frozen=True)
class _Rule:
    """One keyword of a schema, which a value keeps or breaks."""

    keyword: str
    sentence: str
    is_kept: Callable[[Any], bool]


def _rules(schema: dict[str, Any], keywords: Iterable[str]) -> Iterator[_Rule]:
    for keyword in keywords:
        if keyword not in schema:
            continue
        beside = {key: schema[key] for key in _BESIDE.get(keyword, ()) if key in schema}
        if "properties" in beside:  # it is their names alone that matter
            beside["properties"] = {name: {} for name in beside["properties"]}
        # One missing member is one fault.
        stated = schema[keyword]
        demands = [[name] for name in stated] if keyword == "required" else [stated]
        for demand in demands:
            sentence = _SENTENCES.get(keyword, lambda _: _NOT_ALLOWED)(demand)
            yield _Rule(keyword, sentence, compiled({**beside, keyword: demand}).is_valid)


class _Node:
    """A schema within a schema, taken apart into what can be asked of a value by itself."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.is_valid: Callable[[Any], bool] = compiled(schema).is_valid
        self._first = [*_rules(schema, _FIRST)]
        self._others = [*_rules(schema, _OTHERS)]
        self._properties = {
            name: _Node(inner) for name, inner in schema.get("properties", {}).items()
        }
        self._items = _Node(schema["items"]) if "items" in schema else None
        self._any_of = [_Node(inner) for inner in schema.get("anyOf", ())]
        self._all_of = [_Node(inner) for inner in schema.get("allOf", ())]

    def faults(
        self, value: Any, path: tuple[str | int, ...], steps: Iterator[int]
    ) -> Iterator[_Fault]:
        """Find what is wrong with a value that is not valid, as long as there are steps left."""
        if next(steps, None) is None:
            return
        for rules in (self._first, self._others):
            broken = [rule for rule in rules if not rule.is_kept(value)]
            yield from (_Fault(path, rule.keyword, rule.sentence) for rule in broken)
            if broken and rules is self._first:
                return
        for node, inner, step in self._inner(value):
            if not node.is_valid(inner):
                yield from node.faults(inner, (*path, *step), steps)
        if self._any_of and not any(node.is_valid(value) for node in self._any_of):
            yield from self._nearest(value, path, steps)

    def _inner(self, value: Any) -> Iterator[tuple["_Node", Any, tuple[str | int, ...]]]:
        """Pair the parts of a value, and itself, with the schemas that they have to fit."""
        for node in self._all_of:
            yield node, value, ()
        if isinstance(value, dict):
            for name, node in self._properties.items():
                if name in value:
                    yield node, value[name], (name,)
        if isinstance(value, list) and self._items is not None:
            for index, item in enumerate(value):
                yield self._items, item, (index,)

    def _nearest(
        self, value: Any, path: tuple[str | int, ...], steps: Iterator[int]
    ) -> list[_Fault]:
        """Describe the alternative that was meant: the one whose fixed words all fit."""
        for node in self._any_of:
            found = _some(node.faults(value, path, steps))
            if found and all(
                fault.keyword not in {"enum", "type"} or fault.path[-1:] == ("value",)
                for fault in found
            ):
                return found
        return [_Fault(path, "anyOf", "This is none of the forms that are allowed here.")]


def compiled(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """Compile a schema of JSON Schema's draft 4, with the definition's own formats.

    :raises ValueError: where it is none.
    """
    return jsonschema_rs.Draft4Validator(schema, validate_formats=True, formats=_FORMATS)


def as_draft4(schema: Any) -> Any:
    """Turn an OpenAPI 3.0 schema into the JSON Schema draft that it is a dialect of."""
    if isinstance(schema, list):
        return [as_draft4(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: as_draft4(value)
        for key, value in schema.items()
        if key not in {"nullable", "example", "components"}
    }
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        made["type"] = [schema["type"], "null"]
    return made


def _most_values(schema: dict[str, Any]) -> float:
    """Return how many names and values are in the largest value that a schema allows, at most.

    They are counted as bodies are: a container counts one more than what it holds.
    """
    bounds = [
        *(max(map(_most_values, schema[key])) for key in ("anyOf", "oneOf") if key in schema),
        *map(_most_values, schema.get("allOf", ())),
    ]
    kind = schema.get("type", ["object"])
    kinds = [kind] if isinstance(kind, str) else kind
    return min([max(_most_values_in(each, schema) for each in kinds), *bounds])


def _most_values_in(kind: str, schema: dict[str, Any]) -> float:
    if kind == "array" and schema.get("maxItems") != 0:
        each = _most_values(schema["items"]) if "items" in schema else math.inf
        return 1 + float(schema.get("maxItems", math.inf)) * (1 + each)
    if kind == "object":
        if schema.get("additionalProperties") is not False:
            return math.inf
        return 1 + sum(2 + _most_values(each) for each in schema.get("properties", {}).values())
    return 1


_NOT_ALLOWED = "This is not allowed here."
_SENTENCES: dict[str, Callable[[Any], str]] = {
    "required": lambda names: f"The member {names[0]} is missing.",
    "additionalProperties": lambda allowed: (
        _NOT_ALLOWED if allowed else "There is a member that is not known here."
    ),
    "type": lambda kinds: f"This must be {_one_of(kinds)}.",
    "minLength": lambda limit: f"This must have at least {limit} characters.",
    "maxLength": lambda limit: f"This must have at most {limit} characters.",
    "minimum": lambda limit: f"This must be at least {limit}.",
    "maximum": lambda limit: f"This must be at most {limit}.",
    "minItems": lambda limit: f"This must have at least {limit} items.",
    "maxItems": lambda limit: f"This must have at most {limit} items.",
    "minProperties": lambda limit: f"This must have at least {limit} members.",
    "maxProperties": lambda limit: f"This must have at most {limit} members.",
    "enum": lambda options: f"This must be one of {', '.join(map(str, options))}.",
    "format": lambda name: _OF_FORMATS.get(name, f"This is not of the format {name}."),
    "pattern": lambda pattern: f"This must match {pattern}.",
}


def _one_of(kinds: str | list[str]) -> str:
    names = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(f"an {name}" if name[0] in "aio" else f"a {name}" for name in names)


def _pointer(place: str, path: tuple[str | int, ...]) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "/".join((place, *steps))

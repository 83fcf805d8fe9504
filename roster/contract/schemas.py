"""Schemas: what is wrong with a value, found in few steps however large and wrong it is."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import jsonschema_rs

from roster.contract import sentences
from roster.contract.draft4 import CHOSEN_BY, Draft4
from roster.contract.errors import DefinitionError
from roster.contract.formats import FORMATS
from roster.contract.references import pointer_to
from roster.http.json_bodies import MAX_VALUES

MAX_ERRORS = 20
# How many wrong values are looked into, those that lie in others counted apart.
_MAX_STEPS = 2_000

Errors = list[tuple[str, str]]
Convert = Callable[[dict[str, Any]], dict[str, Any]]

# Asked first: of what is of another type or too large no more is said, and nothing in it is
# looked at.
_FIRST = ("type", "maxLength", "maxItems", "maxProperties")
# The other keywords that judge a value as a whole. Where they hold schemas, it is only said whether
# the value is as it should be, and not why.
_OTHERS = (
    *("required", "additionalProperties", "minLength", "minItems", "minProperties", "uniqueItems"),
    *("minimum", "maximum", "multipleOf", "enum", "format", "pattern"),
    *("not", "patternProperties"),
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

    def __init__(self, schema: dict[str, Any], draft4: Convert | None = None) -> None:
        """Compile a schema.

        :param draft4: converts the schemas of the document that this one is of.
        :raises DefinitionError: where it is none, or refers to nothing.
        """
        self.converted = (draft4 or Draft4())(schema)
        bound = _most_values(self.converted)
        self.most_values = MAX_VALUES if bound == math.inf else max(MAX_VALUES, int(bound))
        self._root = _Nodes(self.converted.get("definitions", {})).node(self.converted)
        self.is_valid = self._root.is_valid

    def errors(self, value: Any, place: str = "") -> Errors:
        """Return the first errors of a value, each with the JSON Pointer (RFC 6901) of its place.

        Names in a pointer are the schema's own, for nothing below an unknown name is ever judged.
        """
        if self.is_valid(value):
            return []
        faults = self._root.faults(value, (), iter(range(_MAX_STEPS)))
        found = [(place + pointer_to(*fault.path), fault.sentence) for fault in _some(faults)]
        return found or [(place, sentences.NOT_ALLOWED)]


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


class _Node:
    """A schema within a schema, taken apart into what can be asked of a value by itself.

    It is taken apart when a value is wrong for the first time: a schema may hold itself.
    """

    def __init__(self, schema: dict[str, Any], nodes: "_Nodes") -> None:
        self._schema = schema
        self._nodes = nodes
        self.is_valid: Callable[[Any], bool] = nodes.compiled(schema).is_valid

    @cached_property
    def _first(self) -> list[_Rule]:
        return [*self._rules(_FIRST)]

    @cached_property
    def _others(self) -> list[_Rule]:
        return [*self._rules(_OTHERS)]

    @cached_property
    def _properties(self) -> dict[str, "_Node"]:
        return {
            name: self._nodes.node(each)
            for name, each in self._schema.get("properties", {}).items()
        }

    @cached_property
    def _items(self) -> "_Node | None":
        return self._nodes.node(self._schema["items"]) if "items" in self._schema else None

    @cached_property
    def _any_of(self) -> list["_Node"]:
        return [self._nodes.node(inner) for inner in self._schema.get("anyOf", ())]

    @cached_property
    def _one_of(self) -> list["_Node"]:
        return [self._nodes.node(inner) for inner in self._schema.get("oneOf", ())]

    @cached_property
    def _all_of(self) -> list["_Node"]:
        return [self._nodes.node(inner) for inner in self._schema.get("allOf", ())]

    def _rules(self, keywords: Iterable[str]) -> Iterator[_Rule]:
        schema = self._schema
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
                if keyword == "additionalProperties" and not demand:
                    sentence = sentences.unknown_member(schema.get("properties", {}))
                else:
                    is_exclusive = any(each is True for each in beside.values())
                    sentence = sentences.of(keyword, demand, is_exclusive=is_exclusive)
                is_kept = self._nodes.compiled({**beside, keyword: demand}).is_valid
                yield _Rule(keyword, sentence, is_kept)

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
            yield from self._nearest(self._any_of, value, path, steps)
        if self._one_of:
            fitting = sum(node.is_valid(value) for node in self._one_of)
            if fitting == 0:
                yield from self._nearest(self._one_of, value, path, steps)
            elif fitting > 1:
                yield _Fault(path, "oneOf", sentences.NOT_ALLOWED)

    def is_named_by(self, value: Any) -> bool:
        """Tell whether a value names this alternative of its discriminator."""
        return self._all_of[0].is_valid(value)

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
        self,
        alternatives: list["_Node"],
        value: Any,
        path: tuple[str | int, ...],
        steps: Iterator[int],
    ) -> list[_Fault]:
        """Describe the alternative that was meant: the named one, or whose fixed words all fit."""
        if CHOSEN_BY in self._schema:
            for node in alternatives:
                if node.is_named_by(value):
                    return _some(node.faults(value, path, steps))
        for node in alternatives:
            found = _some(node.faults(value, path, steps))
            if found and all(
                fault.keyword not in {"enum", "type"} or fault.path[-1:] == ("value",)
                for fault in found
            ):
                return found
        return [_Fault(path, "anyOf", sentences.none_of(node.fixed_words for node in alternatives))]

    @cached_property
    def fixed_words(self) -> str:
        """The names of an object's members that have only so many values, each with these."""
        return ", ".join(
            f"{name} {' or '.join(map(str, each['enum']))}"
            for name, each in self._schema.get("properties", {}).items()
            if "enum" in each
        )


class _Nodes:
    """The nodes of one schema, each made once, with the definitions to which they refer."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._made: dict[int, _Node] = {}

    def node(self, schema: dict[str, Any]) -> _Node:
        """Return the node of a schema, or of the definition to which it refers."""
        for _ in self._definitions:
            if "$ref" not in schema:
                break
            schema = self._definitions[schema["$ref"].removeprefix("#/definitions/")]
        if id(schema) not in self._made:
            self._made[id(schema)] = _Node(schema, self)
        return self._made[id(schema)]

    def compiled(self, schema: dict[str, Any]) -> jsonschema_rs.Validator:
        """Compile a schema that may refer to the definitions."""
        within = {"definitions": self._definitions} if self._definitions else {}
        return compiled({**schema, **within})


def compiled(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """Compile a schema of JSON Schema's draft 4, with the definition's own formats.

    :raises DefinitionError: where it is none.
    """
    try:
        return jsonschema_rs.Draft4Validator(schema, validate_formats=True, formats=FORMATS)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        reason = str(error).partition("\n")[0]
        raise DefinitionError(f"A schema is not one of OpenAPI 3.0: {reason}") from None


def _most_values(schema: dict[str, Any]) -> float:
    """Return how many names and values are in the largest value that a schema allows, at most.

    They are counted as bodies are: a container counts one more than what it holds.
    """
    if "$ref" in schema:
        return math.inf
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

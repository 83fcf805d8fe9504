"""Compositions: what is wrong with schemas that are made of others for the same value."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from roster.contract.draft4 import target
from roster.contract.errors import nearest
from roster.contract.kinds import each_schema
from roster.contract.references import is_reference
from roster.contract.structure import Mistake

_CHOICES = ("oneOf", "anyOf")
_LISTS = ("allOf", *_CHOICES)


def mistakes(document: dict[str, Any]) -> Iterator[Mistake]:
    """Yield each schema that is a part of itself, and each discriminator that names no form."""
    schemas = document.get("components", {}).get("schemas", {})
    for steps, schema in each_schema(document):
        yield from ((sentence, steps) for sentence in _of_mapping(schema, schemas))
    known: set[str] = set()
    for name in schemas:
        for circle in _circles(document, f"#/components/schemas/{name}", known):
            names = " holds ".join(map(_name, circle))
            sentence = (
                f"{names} in allOf, oneOf, anyOf or not: no value could be judged; only a member"
                " or an item may be of the schema that holds it"
            )
            yield sentence, ("components", "schemas", _name(circle[0]))


def _circles(document: Mapping[str, Any], start: str, known: set[str]) -> Iterator[list[str]]:
    """Yield the references of each circle that a schema leads into, but to those that are known.

    A way may be longer than Python's stack.
    """
    way: list[str] = []
    waiting = [iter([start])]
    while waiting:
        reference = next(waiting[-1], None)
        if reference is None:
            waiting.pop()
            if way:
                way.pop()
        elif reference in way:
            yield [*way[way.index(reference) :], reference]
        elif reference not in known:
            known.add(reference)
            way.append(reference)
            waiting.append(_for_the_same_value(target(document, reference)))


def _for_the_same_value(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the references to what judges the same value as a schema, not a member or an item."""
    if is_reference(schema):
        yield schema["$ref"]
        return
    parts = [part for key in _LISTS for part in schema.get(key, ())]
    for part in [*parts, *([schema["not"]] if "not" in schema else [])]:
        yield from _for_the_same_value(part)


def _of_mapping(schema: dict[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    key = next((key for key in _CHOICES if key in schema), None)
    forms = schema[key] if key else []
    # Where a form has no name, a discriminator has no meaning.
    names = {_name(each["$ref"]) for each in forms} if all(map(is_reference, forms)) else set()
    for word, to in schema.get("discriminator", {}).get("mapping", {}).items():
        name = _name(to)
        place = f"discriminator/mapping/{word}"
        if name not in schemas:
            yield f"{place}: there is no schema {name}{nearest(name, names or schemas)}"
        elif names and name not in names:
            yield f"{place}: the schema {name} is not one of {key}{nearest(name, names)}"


def _name(reference: str) -> str:
    return unquote(reference.rsplit("/", 1)[-1])

"""Styles: how OpenAPI writes arrays and objects in one text, and how they are read from it."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from roster.contract.errors import DefinitionError
from roster.contract.schemas import Schema
from roster.contract.texts import Read, is_kept, items, kinds, members, others, reader
from roster.http.json_bodies import MAX_VALUES

CONTAINERS = frozenset({"array", "object"})
# The styles that each place may have; the first is the default (OpenAPI 3.0.3, Style Values).
STYLES = {
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "path": ("simple", "label", "matrix"),
    "header": ("simple",),
    "cookie": ("form",),
}
_DELIMITERS = {
    "form": re.compile(","),
    "simple": re.compile(","),
    "spaceDelimited": re.compile("%20|[+ ]"),
    "pipeDelimited": re.compile(r"\||%7[Cc]"),
}

Split = Callable[[str], list[str]]
Decode = Callable[[str], str]


class UnreadableError(ValueError):
    """A text is not written in the style that is declared for it."""


def decode_form(part: str) -> str:
    """Decode a part of a query or of a form: percent-encoded UTF-8, with a plus for a blank.

    :raises ValueError: where it is no UTF-8.
    """
    return unquote_to_bytes(part.replace("+", " ")).decode("utf-8")


def check_style(place: str, style: str, allowed: frozenset[str], *, explode: bool) -> None:
    """Refuse what OpenAPI leaves undefined.

    :raises DefinitionError: in a sentence that does not name the parameter.
    """
    if style not in STYLES[place]:
        raise DefinitionError(f"the style {style} is not for a parameter in the {place}")
    scalars, containers = allowed - CONTAINERS, allowed & CONTAINERS
    if style == "deepObject" and ("array" in containers or "object" not in containers):
        raise DefinitionError("the style deepObject is defined for an object only")
    if style in {"spaceDelimited", "pipeDelimited"}:
        if scalars - {"null"} or not containers:
            raise DefinitionError(f"the style {style} is defined for an array or an object only")
        if explode and "object" in containers:
            raise DefinitionError(f"the style {style} of an object is not defined with explode")
    if place == "cookie" and explode and containers:
        raise DefinitionError("an array or object in a cookie needs explode: false")
    if style == "form" and explode and "object" in containers and len(allowed - {"null"}) > 1:
        raise DefinitionError("an exploded object must not be something else as well")


def flat(schema: dict[str, Any]) -> Read:
    """Make the function that reads a text as a schema's type, which is no array and no object.

    :raises DefinitionError: where it is one: what lies in an array or an object is a text.
    """
    if is_kept(schema) or (kinds(schema) or frozenset()) & CONTAINERS:
        raise DefinitionError("arrays and objects within an array or an object are not defined")
    return reader(schema)


def one_text(schema: Schema, style: str, *, explode: bool, decode: Decode = str) -> Read:
    """Make the function that reads a value from one text, still encoded.

    What cannot be read stays a text, and fails its schema. Where a schema allows an array, an
    object and a text, the first is taken with which it is content.
    """
    converted = schema.converted
    allowed = kinds(converted) or frozenset({"string"})
    choices: list[Read] = []
    if "array" in allowed:
        choices.append(_array(flat(items(converted)), _split(style, explode=explode), decode))
    if "object" in allowed:
        choices.append(_object(object_reader(converted), style, explode=explode, decode=decode))
    if allowed - CONTAINERS:
        scalar = reader(converted)
        choices.append(scalar if decode is str else lambda text: scalar(decode(text)))
    if len(choices) == 1:
        return choices[0]

    def read(text: str) -> Any:
        values = (each(text) for each in choices)
        return next((value for value in values if schema.is_valid(value)), text)

    return read


def object_reader(schema: dict[str, Any]) -> Callable[[list[tuple[str, str]]], Any]:
    """Make the function that reads an object from its members' names and texts.

    It raises `UnreadableError` where a member is there twice.
    """
    readers = {name: flat(member) for name, member in members(schema).items()}
    more = flat(others(schema) or {})

    def read(pairs: list[tuple[str, str]]) -> dict[str, Any]:
        found = {name: readers.get(name, more)(text) for name, text in pairs}
        if len(found) < len(pairs):
            raise UnreadableError
        return found

    return read


def _split(style: str, *, explode: bool) -> Split:
    delimiter = _DELIMITERS.get(style, _DELIMITERS["simple"])
    if style == "label" and explode:
        delimiter = re.compile(r"\.")

    def split(text: str) -> list[str]:
        parts = delimiter.split(text, MAX_VALUES) if text else []
        if len(parts) > MAX_VALUES:
            raise UnreadableError
        return [part.strip(" ") for part in parts]

    return split


def _array(item: Read, split: Split, decode: Decode) -> Read:
    return lambda text: [item(decode(part)) for part in split(text)]


def _object(
    make: Callable[[list[tuple[str, str]]], Any], style: str, *, explode: bool, decode: Decode
) -> Read:
    split = _split(style, explode=explode)

    def read(text: str) -> Any:
        parts = split(text)
        if explode:
            if not all("=" in part for part in parts):
                return text
            parts = [piece for part in parts for piece in part.split("=", 1)]
        elif len(parts) % 2:
            return text
        try:
            return make([*zip(map(decode, parts[::2]), map(decode, parts[1::2]), strict=True)])
        except UnreadableError:
            return text

    return read

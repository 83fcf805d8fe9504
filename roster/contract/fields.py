"""Fields: the values of a query or of a form, read from pairs of names and texts."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from roster.contract.errors import DefinitionError
from roster.contract.references import pointer_to
from roster.contract.schemas import MAX_ERRORS, Errors, Schema
from roster.contract.styles import (
    CONTAINERS,
    UnreadableError,
    decode_form,
    flat,
    object_reader,
    one_text,
)
from roster.contract.texts import Read, items, kinds, members, others, reader
from roster.http.errors import HTTPError
from roster.http.json_bodies import parse_json

Pairs = Iterable[tuple[str, str]]

_TWICE = "The parameter is given more than once."
UNREADABLE = "This cannot be read: it is not written as the definition has it."


@dataclass(frozen=True)
class Field:
    """One value of a query or a form.

    `read` makes it of one text. Where it may stand in several pairs `gather` makes it of all:
    each with the member's name, which is empty for the field's own.
    """

    name: str
    schema: Schema
    read: Read | None
    gather: Callable[[list[tuple[str, str]]], Any] | None = None
    is_required: bool = False
    takes_empty: bool = False
    default: Any = None
    spread: frozenset[str] = frozenset()
    is_spread_open: bool = False
    is_deep: bool = False
    is_raw: bool = False


def field(
    name: str,
    schema: Schema,
    style: str,
    *,
    explode: bool,
    **stated: Any,
) -> Field:
    """Make a field that is written in a style.

    :raises DefinitionError: where the schema cannot be written so.
    """
    converted = schema.converted
    allowed = kinds(converted) or frozenset({"string"})
    if style == "deepObject":
        gather = _deep(converted, allowed)
        return Field(name, schema, None, gather, is_deep=True, **stated)
    if explode and "object" in allowed and style == "form":
        inner = members(converted)
        return Field(
            name,
            schema,
            None,
            object_reader(converted),
            spread=frozenset(inner),
            is_spread_open=others(converted) is not None,
            **stated,
        )
    if explode and "array" in allowed:
        return Field(name, schema, None, _list(schema, allowed), **stated)
    if allowed & CONTAINERS:
        read = one_text(schema, style, explode=False, decode=decode_form)
        return Field(name, schema, read, is_raw=True, **stated)
    return Field(name, schema, reader(converted), **stated)


def json_field(name: str, schema: Schema, *, is_required: bool = False) -> Field:
    """Make a field whose text is a JSON document."""
    return Field(name, schema, json_text, is_required=is_required)


def json_items_field(name: str, schema: Schema) -> Field:
    """Make a field of an array that is sent in several pairs, each with an item as JSON."""
    return Field(name, schema, None, lambda pairs: [json_text(text) for _, text in pairs])


def json_text(text: str) -> Any:
    """Read a text as JSON.

    :raises UnreadableError: where it is none.
    """
    try:
        return parse_json(text.encode())
    except HTTPError:
        raise UnreadableError from None


def json_or_text(text: str) -> Any:
    """Read a text as JSON; what is none stays a text, and fails its schema."""
    try:
        return json_text(text)
    except UnreadableError:
        return text


def _list(schema: Schema, allowed: frozenset[str]) -> Callable[[list[tuple[str, str]]], Any]:
    item = flat(items(schema.converted))
    single = reader(schema.converted) if allowed - CONTAINERS else None

    def gather(pairs: list[tuple[str, str]]) -> Any:
        if single is not None and len(pairs) == 1 and schema.is_valid(value := single(pairs[0][1])):
            return value
        return [item(text) for _, text in pairs]

    return gather


def _deep(
    schema: dict[str, Any], allowed: frozenset[str]
) -> Callable[[list[tuple[str, str]]], Any]:
    make = object_reader(schema)
    single = reader(schema) if allowed - CONTAINERS else None

    def gather(pairs: list[tuple[str, str]]) -> Any:
        if all(name for name, _ in pairs):
            return make(pairs)
        if single is None or len(pairs) > 1:
            raise UnreadableError
        return single(pairs[0][1])

    return gather


class Fields:
    """All the fields of a query or of a form.

    :param rest: reads the text of a name that no field has; without it such a name is refused.
    :raises DefinitionError: where two fields claim one name.
    """

    def __init__(self, fields: Iterable[Field], *, rest: Read | None = None) -> None:
        self.fields = list(fields)
        self._read_rest = rest
        self._single = {each.name: each for each in self.fields if each.read is not None}
        self._gathered: dict[str, tuple[Field, str]] = {}
        self._deep = {each.name: each for each in self.fields if each.is_deep}
        claimed = [
            (name, each, name if each.spread else "")
            for each in self.fields
            if each.read is None
            for name in (each.spread or [each.name])
        ]
        for name, each, member in claimed:
            if name in self._gathered or name in self._single:
                raise DefinitionError(f"two parameters would be sent as {name}")
            self._gathered[name] = (each, member)
        spread = [each for each in self.fields if each.is_spread_open]
        if len(spread) > 1:
            raise DefinitionError("two objects would take any name that is sent")
        self._rest = spread[0] if spread else None
        self._required = [each for each in self.fields if each.is_required]
        self.may_be_absent = not self._required
        self._defaults = {each.name: each.default for each in self.fields}
        self._are_flat = not any(isinstance(each, list | dict) for each in self._defaults.values())
        # Texts that hold delimiters are split before they are decoded.
        self.is_raw = any(each.is_raw for each in self.fields)
        self._takes = ", ".join([*self._single, *self._gathered]) or "none"

    def defaults(self) -> dict[str, Any]:
        """Return what each field is where it is not sent; the caller may change it."""
        return self._defaults.copy() if self._are_flat else deepcopy(self._defaults)

    def read(self, pairs: Pairs) -> tuple[dict[str, Any], Errors]:
        """Read the pairs; return the values by name, without defaults, and the first errors.

        Where `is_raw` is set, the texts in the pairs must still be encoded.
        """
        values: dict[str, Any] = {}
        errors: Errors = []
        gathered: dict[str, list[tuple[str, str]]] = {}
        for name, text in pairs:
            single = self._single.get(name)
            if single is None:
                self._gather(name, text, gathered, values, errors)
            elif name in values:
                errors.append((pointer_to(name), _TWICE))
            else:
                self._read_one(single, text, values, errors)
        for name, found in gathered.items():
            self._read_gathered(name, found, values, errors)
        for each in self._required:
            if each.name not in values and each.name not in gathered:
                errors.append((pointer_to(each.name), "The parameter is missing."))
        return values, errors[:MAX_ERRORS]

    def _read_one(self, one: Field, text: str, values: dict[str, Any], errors: Errors) -> None:
        if self.is_raw and not one.is_raw:
            text = decode_form(text)
        if one.takes_empty and not text:
            allowed = kinds(one.schema.converted)
            values[one.name] = "" if allowed is None or "string" in allowed else None
            return
        try:
            value = values[one.name] = one.read(text) if one.read else text
        except UnreadableError:
            values[one.name] = None
            errors.append((pointer_to(one.name), UNREADABLE))
            return
        errors += one.schema.errors(value, pointer_to(one.name))

    def _gather(
        self,
        name: str,
        text: str,
        gathered: dict[str, list[tuple[str, str]]],
        values: dict[str, Any],
        errors: Errors,
    ) -> None:
        """Keep a pair for a field that may have several, or for none."""
        one, member = self._gathered.get(name) or self._find(name)
        text = decode_form(text) if self.is_raw else text
        if one is not None:
            gathered.setdefault(one.name, []).append((member, text))
        elif self._read_rest is None:
            errors.append(("", f"There is an unknown parameter; known here: {self._takes}."))
        elif name in values:
            errors.append(("", _TWICE))
        else:
            values[name] = self._read_rest(text)

    def _find(self, name: str) -> tuple[Field | None, str]:
        head, bracket, member = name.partition("[")
        if bracket and head in self._deep and member.endswith("]"):
            return self._deep[head], member[:-1]
        return (self._rest, name) if self._rest else (None, "")

    def _read_gathered(
        self, name: str, found: list[tuple[str, str]], values: dict[str, Any], errors: Errors
    ) -> None:
        one = next(each for each in self.fields if each.name == name)
        if one.takes_empty and found == [("", "")]:
            found = []
        try:
            values[name] = one.gather(found) if one.gather else found
        except UnreadableError:
            errors.append((pointer_to(name), UNREADABLE))
            return
        errors += one.schema.errors(values[name], pointer_to(name))

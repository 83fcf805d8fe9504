"""Forms as bodies: read as an object, and checked against its schema."""

from collections.abc import Mapping
from typing import Any

from roster.contract.errors import DefinitionError
from roster.contract.fields import Fields, field, json_field, json_items_field, json_or_text
from roster.contract.references import pointer_to
from roster.contract.schemas import MAX_ERRORS, Errors, Schema
from roster.contract.styles import CONTAINERS, check_style, decode_form
from roster.contract.texts import is_kept, items, kinds, members, opened, others, reader
from roster.http.errors import HTTPError
from roster.http.forms import Part, UploadedFile, read_pairs, read_parts
from roster.http.json_bodies import is_json, parse_json

_WRONG = "The body is not as this operation takes it."


class Urlencoded:
    """Read an urlencoded form as an object."""

    def __init__(self, schema: Schema, encoding: Mapping[str, Any]) -> None:
        self._schema = schema
        converted = _object(schema)
        within = _definitions(schema)
        fields = []
        for name, member in members(converted).items():
            stated = encoding.get(name, {})
            style = stated.get("style", "form")
            explode = stated.get("explode", style == "form")
            if stated.get("allowReserved") or stated.get("headers"):
                raise DefinitionError(f"field {name}: allowReserved and headers are not supported")
            inner = Schema({**member, **within}, _as_it_is)
            if is_json(stated.get("contentType", "")) or is_kept(member):
                fields.append(json_field(name, inner))
                continue
            if (
                kinds(member) == frozenset({"array"})
                and style == "form"
                and explode
                and is_kept(items(member))
            ):
                fields.append(json_items_field(name, inner))
                continue
            try:
                check_style("query", style, kinds(member) or frozenset({"string"}), explode=explode)
                fields.append(field(name, inner, style, explode=explode))
            except DefinitionError as error:
                raise DefinitionError(f"field {name}: {error.sentence}") from None
        rest = others(converted) or {}
        self._fields = Fields(fields, rest=json_or_text if is_kept(rest) else reader(rest))

    def __call__(self, raw: bytes, *_: Any) -> Any:
        """Read a body.

        :raises HTTPError: 400, for one that cannot be read, or is not as its schema has it.
        """
        pairs = read_pairs(raw)
        try:
            if not self._fields.is_raw:
                pairs = [(name, decode_form(text)) for name, text in pairs]
            values, errors = self._fields.read(pairs)
        except ValueError:
            raise HTTPError(
                400, "The form cannot be read: it must be percent-encoded UTF-8."
            ) from None
        if any("\0" in part for pair in pairs for part in pair) or b"%00" in raw:
            raise HTTPError(400, "The form holds a NUL character.")
        check(errors or self._schema.errors(values))
        return values


class Multipart:
    """Read a multipart form as an object, with an `UploadedFile` for each file."""

    def __init__(self, schema: Schema, encoding: Mapping[str, Any]) -> None:
        self._schema = schema
        converted = _object(schema)
        within = _definitions(schema)
        self._members = {name: _Member(each, within) for name, each in members(converted).items()}
        self._rest = _Member(others(converted) or {}, within)
        self._accepted: dict[str, list[str]] = {}
        for name, stated in encoding.items():
            if stated.keys() - {"contentType"} - {key for key in stated if key.startswith("x-")}:
                raise DefinitionError(f"part {name}: its encoding may have a contentType only")
            accepted = [each.strip().lower() for each in stated.get("contentType", "").split(",")]
            self._accepted[name] = [each for each in accepted if each]

    def __call__(self, raw: bytes, _: str, options: Mapping[str, str]) -> Any:
        """Read a body.

        :raises HTTPError: 400, for one that cannot be read, or is not as its schema has it.
        """
        values: dict[str, Any] = {}
        files: dict[str, Any] = {}
        errors: Errors = []
        for part in read_parts(raw, options.get("boundary", "")):
            name, member = part.name, self._members.get(part.name)
            place = pointer_to(name) if member else ""
            member = member or self._rest
            if not self._is_accepted(part):
                takes = " or ".join(self._accepted[name])
                errors.append((place, f"The media type of this part must be {takes}."))
            elif name in values and not member.is_repeated:
                errors.append((place, "The parameter is given more than once."))
            else:
                value, kept = member.read(part)
                if member.is_repeated:
                    values.setdefault(name, []).append(value)
                    files.setdefault(name, []).append(kept)
                else:
                    values[name], files[name] = value, kept
        check(errors or self._schema.errors(values))
        return files

    def _is_accepted(self, part: Part) -> bool:
        accepted = self._accepted.get(part.name)
        if not accepted:
            return True
        kind = part.content_type.partition(";")[0].strip().lower()
        ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
        return any(each in accepted for each in ranges) or (not kind and "text/plain" in accepted)


class _Member:
    """How a part of a multipart form is read: as a text of a type, as JSON, or as a file."""

    def __init__(self, schema: dict[str, Any], within: dict[str, Any]) -> None:
        allowed = kinds(schema) or frozenset({"string"})
        self.is_repeated = "array" in allowed
        inner = items(schema) if self.is_repeated else schema
        self._is_any = kinds(inner) is None
        self._is_json = is_kept(inner) or bool((kinds(inner) or frozenset()) & CONTAINERS)
        self._is_file = inner.get("format") == "binary"
        self._read_text = reader({**inner, **within})

    def read(self, part: Part) -> tuple[Any, Any]:
        """Return the value that the schema judges, and what the handler is given."""
        if self._is_json or (self._is_any and is_json(part.content_type)):
            value = parse_json(part.content)
            return value, value
        if self._is_file or part.filename is not None:
            file = UploadedFile(part.content, part.filename or "", part.content_type)
            return part.content.decode("latin-1"), file
        try:
            text = part.content.decode("utf-8")
        except UnicodeDecodeError:
            raise HTTPError(400, "A field of the form is no text in UTF-8.") from None
        if "\0" in text:
            raise HTTPError(400, "The form holds a NUL character.")
        value = self._read_text(text)
        return value, value


def _object(schema: Schema) -> dict[str, Any]:
    found = opened(schema.converted, schema.converted.get("definitions", {}))
    allowed = kinds(found)
    if allowed is not None and "object" not in allowed:
        raise DefinitionError("a form is an object")
    return found


def _definitions(schema: Schema) -> dict[str, Any]:
    """Return what a part of a schema needs beside it, for it may refer there."""
    return {key: each for key, each in schema.converted.items() if key == "definitions"}


def _as_it_is(schema: dict[str, Any]) -> dict[str, Any]:
    return schema


def check(errors: Errors) -> None:
    """Refuse a body that is not as its schema has it.

    :raises HTTPError: 400, with what is wrong.
    """
    if errors:
        raise HTTPError(400, _WRONG, errors=errors[:MAX_ERRORS])

"""Bodies: read by their media type, and checked against its schema."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from roster.contract.draft4 import Draft4, followed
from roster.contract.errors import DefinitionError
from roster.contract.fields import Fields, field, json_field, json_items_field, json_or_text
from roster.contract.references import pointer_to
from roster.contract.schemas import MAX_ERRORS, Errors, Schema
from roster.contract.styles import CONTAINERS, check_style, decode_form
from roster.contract.texts import is_kept, items, kinds, members, opened, others, reader
from roster.http.errors import HTTPError
from roster.http.forms import Part, UploadedFile, read_pairs, read_parts
from roster.http.json_bodies import is_json, parse_json

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
# How media types of texts end that are not of the kind `text`.
_TEXTS = ("/xml", "+xml", "/yaml", "+yaml")

_WRONG = "The body is not as this operation takes it."

# Makes the value of a body, from its bytes, its media type and the parameters of that.
ReadBody = Callable[[bytes, str, Mapping[str, str]], Any]


def body_readers(
    document: Mapping[str, Any], declared: Mapping[str, Any], draft4: Draft4
) -> dict[str, ReadBody]:
    """Compile a Request Body Object: by media type, or range of them, what reads a body.

    A reader raises `HTTPError` 400 for a body that cannot be read or is not as the schema has it.

    :raises DefinitionError: for what is not supported.
    """
    readers: dict[str, ReadBody] = {}
    for stated, content in (
        followed(document, declared.get("requestBody", {})).get("content", {}).items()
    ):
        media_type = stated.partition(";")[0].strip().lower()
        if media_type in readers:
            raise DefinitionError(f"body: there are two of the media type {media_type}")
        try:
            readers[media_type] = _reader(media_type, content, draft4)
        except DefinitionError as error:
            sentence = error.sentence[0].lower() + error.sentence[1:]
            raise DefinitionError(f"body of {media_type}: {sentence}") from None
    return readers


def find_reader(readers: Mapping[str, ReadBody], media_type: str) -> ReadBody | None:
    """Find what reads a body of a media type: the reader of the type itself, or of a range."""
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((readers[each] for each in ranges if each in readers), None)


def _reader(media_type: str, content: Mapping[str, Any], draft4: Draft4) -> ReadBody:
    stated = content.get("schema", {})
    schema = Schema(stated, draft4)
    if content.get("encoding") and media_type not in {URLENCODED, MULTIPART}:
        raise DefinitionError("encoding has a meaning for forms only")
    if "*" in media_type and not media_type.endswith("/*"):
        raise DefinitionError("a range of media types ends with /*")
    if is_json(media_type):
        return _JSON(schema)
    if media_type == URLENCODED:
        return _Urlencoded(schema, content.get("encoding", {}))
    if media_type == MULTIPART:
        return _Multipart(schema, content.get("encoding", {}))
    allowed = kinds(schema.converted)
    if "*" in media_type:
        return _Range(media_type, content, draft4)
    if allowed is not None and "string" not in allowed:
        raise DefinitionError("only JSON and forms are read as anything but a text or bytes")
    if media_type.startswith("text/"):
        return _Text(schema)
    return _Bytes(schema, is_text=media_type.endswith(_TEXTS))


@dataclass(frozen=True)
class _JSON:
    """Read a body as JSON."""

    schema: Schema

    def __call__(self, raw: bytes, *_: Any) -> Any:
        value = parse_json(raw, self.schema.most_values)
        _check(self.schema.errors(value))
        return value


@dataclass(frozen=True)
class _Text:
    """Read a body as a text in UTF-8."""

    schema: Schema

    def __call__(self, raw: bytes, *_: Any) -> str:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise HTTPError(400, "The body is no text in UTF-8.") from None
        if "\0" in text:
            raise HTTPError(400, "The body holds a NUL character.")
        _check(self.schema.errors(text))
        return text


@dataclass(frozen=True)
class _Bytes:
    """Leave a body as it is; its schema may tell of how many bytes it is.

    Of a text (XML, say, which tells its encoding itself) it tells how many characters.
    """

    schema: Schema
    is_text: bool = False

    def __call__(self, raw: bytes, *_: Any) -> bytes:
        text = raw.decode("latin-1")
        if self.is_text:
            with suppress(UnicodeDecodeError):
                text = raw.decode("utf-8")
        _check(self.schema.errors(text))
        return raw


class _Range:
    """Read a body of a range of media types as what it says that it is."""

    def __init__(self, media_range: str, content: Mapping[str, Any], draft4: Draft4) -> None:
        kind = media_range.partition("/")[0]
        self._readers: dict[str, ReadBody] = {}
        for each in ("application/json", URLENCODED, MULTIPART, "text/plain", "application/x"):
            if kind in {"*", each.partition("/")[0]}:
                try:
                    self._readers[each] = _reader(each, content, draft4)
                except DefinitionError:  # a schema that no such body could ever fit
                    continue
        schema = Schema(content.get("schema", {}), draft4)
        if not self._readers and (kinds(schema.converted) or {"string"}) & {"string"}:
            self._readers["application/x"] = _Bytes(schema)

    def __call__(self, raw: bytes, media_type: str, options: Mapping[str, str]) -> Any:
        kind = media_type
        if is_json(media_type):
            kind = "application/json"
        elif media_type not in self._readers:
            kind = "text/plain" if media_type.startswith("text/") else "application/x"
        read = self._readers.get(kind)
        if read is None:
            raise HTTPError(415, "A body of this media type is not read here.")
        return read(raw, media_type, options)


class _Urlencoded:
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
        _check(errors or self._schema.errors(values))
        return values


class _Multipart:
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
        _check(errors or self._schema.errors(values))
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


def _check(errors: Errors) -> None:
    if errors:
        raise HTTPError(400, _WRONG, errors=errors[:MAX_ERRORS])

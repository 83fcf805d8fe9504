"""Bodies: read by their media type, and checked against its schema."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from roster.contract.draft4 import Draft4, followed
from roster.contract.errors import DefinitionError
from roster.contract.schemas import Schema
from roster.contract.texts import kinds
from roster.http.errors import HTTPError
from roster.http.form_bodies import Multipart, Urlencoded, check
from roster.http.json_bodies import is_json, parse_json

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
# How media types of texts end that are not of the kind `text`.
_TEXTS = ("/xml", "+xml", "/yaml", "+yaml")

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
        return Urlencoded(schema, content.get("encoding", {}))
    if media_type == MULTIPART:
        return Multipart(schema, content.get("encoding", {}))
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
        check(self.schema.errors(value))
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
        check(self.schema.errors(text))
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
        check(self.schema.errors(text))
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

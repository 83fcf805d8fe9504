"""Forms: urlencoded and multipart bodies, taken apart into names and texts or files."""

import re
from dataclasses import dataclass

from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from roster.contract.styles import decode_form
from roster.http.errors import HTTPError

MAX_FIELDS = 1000
MAX_PARTS = 100
_CHUNK = 65_536
_MAX_PART_HEADER = 1000
_END_OF_LINE = rb"[^\S\r\n]*(?:\r\n|\n|\r)"
_BLANK_LINE = re.compile(rb"\r\n\r\n|\r\r|\n\n")


@dataclass(frozen=True)
class UploadedFile:
    """A file that was sent in a form: its bytes, and what the client says of it."""

    content: bytes
    filename: str
    content_type: str


@dataclass(frozen=True)
class Part:
    """A part of a multipart form, which is a file where the client gives it a file's name."""

    name: str
    content: bytes
    filename: str | None
    content_type: str


def read_pairs(raw: bytes) -> list[tuple[str, str]]:
    """Split an urlencoded form into names and texts; these are still encoded.

    :raises HTTPError: 400.
    """
    if raw.count(b"&") >= MAX_FIELDS:
        raise HTTPError(400, f"The form has too many fields; at most {MAX_FIELDS} are taken.")
    try:
        pairs = [piece.partition("=") for piece in raw.decode("ascii").split("&") if piece]
        return [(decode_form(name), text) for name, _, text in pairs]
    except ValueError:
        raise HTTPError(400, "The form cannot be read: it must be percent-encoded UTF-8.") from None


def read_parts(raw: bytes, boundary: str) -> list[Part]:
    """Take a multipart form apart.

    :raises HTTPError: 400.
    """
    mark = boundary.encode("latin-1", "replace")
    try:
        check_part_headers(raw, mark, MAX_PARTS)
        parts = _decode_parts(raw, mark)
    except Exception:  # noqa: BLE001 (werkzeug documents no one error for what it cannot parse)
        raise HTTPError(400, "The multipart body cannot be read.") from None
    # werkzeug gives None for the name of a part whose header it cannot read.
    if not all(isinstance(part.name, str) for part in parts):
        raise HTTPError(400, "A part of the multipart body has no name.")
    return parts


def _decode_parts(raw: bytes, boundary: bytes) -> list[Part]:
    decoder = MultipartDecoder(boundary, max_parts=MAX_PARTS)
    heads: list[Field | File] = []
    contents: list[list[bytes]] = []
    for start in range(0, len(raw), _CHUNK):
        decoder.receive_data(raw[start : start + _CHUNK])
        while not isinstance(event := decoder.next_event(), (NeedData, Epilogue)):
            if isinstance(event, Field | File):
                heads.append(event)
                contents.append([])
            elif isinstance(event, Data):
                contents[-1].append(event.data)
    decoder.receive_data(None)
    decoder.next_event()  # which fails where the body has no end
    return [
        Part(
            head.name,
            b"".join(content),
            head.filename if isinstance(head, File) else None,
            head.headers.get("content-type", ""),
        )
        for head, content in zip(heads, contents, strict=True)
    ]


def check_part_headers(raw: bytes, boundary: bytes, most: int) -> None:
    """Refuse parts with long headers, and more parts than there may be, before these are read.

    :raises ValueError: for such a body.
    """
    mark = b"--" + boundary
    if raw.count(mark) > most + 1:
        raise ValueError
    for begin in re.finditer(re.escape(mark) + _END_OF_LINE, raw):
        end = begin.end() + _MAX_PART_HEADER
        if end < len(raw) and not _BLANK_LINE.search(raw, begin.end(), end):
            raise ValueError

"""Answers that are made, and ready to be sent: status, body and headers."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

RawHeaders = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """An answer that is made, and ready to be sent: status, body and headers.

    `raw_headers` are those that are in ASGI's form already: names in lower case, all as bytes.
    """

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    raw_headers: Sequence[tuple[bytes, bytes]] = ()

    def all_headers(self) -> RawHeaders:
        """Return all headers, in ASGI's form.

        :raises ValueError: where one holds the end of a line, and so perhaps another header.
        """
        return [*self.raw_headers, *raw_headers(self.headers)]


def raw_headers(headers: Iterable[tuple[str, str]]) -> RawHeaders:
    """Return headers in ASGI's form.

    :raises ValueError: where one holds the end of a line, and so perhaps another header.
    """
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if any(b"\n" in value or b"\r" in value for _, value in raw):
        raise ValueError("A header holds the end of a line.")
    return raw

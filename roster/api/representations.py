"""Representations: what a handler returned, in one of the media types that are declared for it."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from roster.http.answers import RawHeaders, raw_headers
from roster.http.json_bodies import is_json

_JSON = "application/json"
# What is sent where a range leaves the media type open, by the kind that the range names.
_OF_RANGES = {"*": _JSON, "application": _JSON, "text": "text/plain"}
_OF_OTHERS = "application/octet-stream"


class Representations:
    """Write what a handler returns as the answer's declared content has it.

    JSON is written of anything. In any other media type a handler returns a text or bytes, or None
    for an empty body. Where several are declared, bytes and texts are taken to be of the first, and
    data of the first of JSON; bytes are sent as they are.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        kinds = [_concrete(each) for each in content]
        self._of_text = _header(kinds)
        self._is_text_json = bool(kinds) and is_json(kinds[0])
        of_json = [each for each in kinds if is_json(each)]
        self._of_data = _header(of_json) if of_json else None

    def __call__(self, result: Any) -> tuple[bytes, RawHeaders]:
        """Return the body, and its Content-Type.

        :raises TypeError: for data where no JSON is declared.
        """
        if isinstance(result, bytes):
            return result, self._of_text
        if isinstance(result, str) and not self._is_text_json:
            return result.encode(), self._of_text
        if self._of_data is None:
            if result is None:
                return b"", self._of_text
            kind = type(result).__name__
            raise TypeError(f"A handler returned {kind}, and its answer is not JSON.")
        return orjson.dumps(result), self._of_data


def _concrete(media_type: str) -> str:
    """Return a media type that fits a range, and has the charset of texts."""
    if "*" in media_type:
        media_type = _OF_RANGES.get(media_type.partition("/")[0], _OF_OTHERS)
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _header(media_types: Iterable[str]) -> RawHeaders:
    return raw_headers([("Content-Type", each) for each in media_types][:1])

"""JSON bodies: parsed strictly, and only where they hold no more than an operation can need."""

import json
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

import orjson

from roster.http.errors import HTTPError

MAX_VALUES = 10_000
# No body of the definition is half as deep; what looks into the parsed value may then recurse.
_MAX_DEPTH = 50
# Up to the next sign that brings a name or a value, strings left out. Nothing here goes back, and
# each match but the last has such a sign, so all matches together are one walk over the body.
_UP_TO_VALUE = re.compile(
    rb'(?:[^",:\[{]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"?+)*+(?:([,:\[{])|\Z)', re.DOTALL
)


def is_json(media_type: str) -> bool:
    """Tell whether a media type is one of JSON's: its own, or one that is built on it."""
    kind = media_type.partition(";")[0].strip().lower()
    return kind.endswith(("/json", "+json"))


def parse_json(raw: bytes, most: int = MAX_VALUES) -> Any:
    """Parse JSON as I-JSON (RFC 7493) has it: UTF-8, no duplicate names, NaN or lone surrogates.

    :param most: how many names and values the body may hold.
    :raises HTTPError: 400, in words that show nothing of the body.
    """
    if _holds_more(raw, most):
        raise HTTPError(400, f"The body holds too many names and values; at most {most} are taken.")
    try:
        parsed = orjson.loads(raw)
        if raw.count(b":") > 1:  # there are two names at least, which may be the same
            _STRICT.decode(raw.decode())
    except _DuplicateNameError:
        raise HTTPError(
            400, "The body is not as JSON should be: a name stands twice in one object."
        ) from None
    except (ValueError, RecursionError):
        raise HTTPError(400, "The body cannot be read as JSON in UTF-8.") from None
    if raw.count(b"[") + raw.count(b"{") > _MAX_DEPTH and _is_deep(parsed):
        raise HTTPError(400, "The body is nested too deeply.")
    if b"\\u0000" in raw and _holds_nul(parsed):
        raise HTTPError(400, "The body holds a NUL character.")
    return parsed


def _holds_more(raw: bytes, most: int) -> bool:
    """Tell whether a body holds more names and values than it may, before it is parsed.

    Each value but the first has a comma, a colon or a bracket before it, and so has each name.
    """
    if sum(map(raw.count, (b",", b":", b"[", b"{"))) <= most:
        return False
    # The text of strings may hold those signs too, which is only now worth a closer look.
    found = islice(_UP_TO_VALUE.finditer(raw), most + 1)
    return sum(1 for each in found if each.lastindex) > most


class _DuplicateNameError(ValueError):
    """A name stands twice in one JSON object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DuplicateNameError
    return found


# `json.loads` would make one each time, which takes longer than to parse a small body.
_STRICT = json.JSONDecoder(object_pairs_hook=_object)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for part in (*value, *value.values()))
    return isinstance(value, list) and any(_holds_nul(part) for part in value)

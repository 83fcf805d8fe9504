"""What two answers have in common that a validator judges alike: their shape."""

import re
from typing import Any

import orjson

# Tokens, identifiers and request ids: long, and not one word of a sentence or of an enum.
_RANDOM = re.compile(r"[A-Za-z0-9_-]{20,}")
_DIGITS = str.maketrans("123456789", "0" * 9)
_WORD = re.compile(r"[a-z_-]+")
# Below this a number may be one of an enum, such as a status.
_SMALL = 1000


def masked(text: str) -> str:
    """Return a text in which digits are equal, and so are random characters; lengths stay."""
    return _RANDOM.sub(_mask, text).translate(_DIGITS)


def _mask(found: re.Match[str]) -> str:
    word = found[0]
    return word if _WORD.fullmatch(word) else "\x00" * len(word)


def shape(value: Any) -> Any:
    """Return the shape of a JSON value: names, types, lengths, and texts as `masked` has them."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return tuple((key, shape(each)) for key, each in value.items())
    if isinstance(value, list):
        return len(value), frozenset(map(shape, value))
    if isinstance(value, (int, float)) and abs(value) >= _SMALL:
        return type(value), value > 0, len(str(value))
    return type(value), value


def shape_of_body(media_type: str, body: bytes) -> Any:
    """Return the shape of a body; pages and files are judged by their being there."""
    if not body:
        return None
    if "json" in media_type:
        try:
            return shape(orjson.loads(body))
        except ValueError:
            return body
    if media_type.startswith("text/") or media_type in {"application/yaml", "image/png"}:
        return True
    return masked(body.decode("latin-1"))

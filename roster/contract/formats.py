"""Formats: those of OpenAPI 3.0 that the validator does not know, and the definition's own."""

import re
from collections.abc import Callable
from datetime import date

from models.users import passwords
from models.users.names import is_visible_text

_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _is_date(text: str) -> bool:
    """Tell whether a text is a `full-date` (RFC 3339 section 5.6)."""
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


FORMATS: dict[str, Callable[[str], bool]] = {
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    "date": _is_date,
    # Of what is too short to begin with, `minLength` says so.
    "opaque-string": lambda text: len(text) < passwords.MIN_LENGTH or passwords.is_acceptable(text),
    "visible-text": is_visible_text,
}
SENTENCES = {
    "opaque-string": passwords.FORM,
    "visible-text": "This must have a character that can be seen, and none that is invisible.",
}

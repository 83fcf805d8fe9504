"""Redirect URIs: which can be registered, and which of them a request can use."""

import re
from urllib.parse import SplitResult, urlsplit

from oauthlib.uri_validate import is_absolute_uri

from models.errors import Unprocessable

_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()+,;=%-]+")
# RFC 1035 section 2.3.4: labels of 63 characters, names of 253.
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}"
_HOST = re.compile(rf"(?=.{{1,254}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
# RFC 8252 section 7.1: a reverse domain name.
_PRIVATE_USE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def check(uri: str, pointer: str) -> None:
    """Raise Unprocessable, with `pointer`, for a URI to which no code may ever be sent.

    Good are https, http on the loopback, and private-use schemes with a dot; without fragment,
    user information and wildcards (RFC 6749 section 3.1.2, RFC 8252 section 7, RFC 9700
    section 4.1).
    """
    reason = _reason_against(uri)
    if reason is not None:
        raise Unprocessable("The redirect URI cannot be used.", [(pointer, reason)])


def matches(registered: str, used: str) -> bool:
    """Tell whether a request may use a URI: the registered one, to the letter.

    On the loopback any port will do, as an app takes the one that is free (RFC 8252
    section 7.3).
    """
    if registered == used:
        return True
    if _reason_against(used) is not None:
        return False
    one, other = urlsplit(registered), urlsplit(used)
    return _is_on_loopback(one) and _without_port(one) == _without_port(other)


def _reason_against(uri: str) -> str | None:
    if not _CHARACTERS.fullmatch(uri):
        return "A redirect URI has the characters of a URI, and no fragment and no wildcard."
    # `urlsplit` takes http://evil.example[::1]/ for the loopback, and %zz for an escape.
    if not is_absolute_uri(uri):
        return "This cannot be read as a URI."
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return "This cannot be read as a URI."
    if parts.scheme in {"http", "https"}:
        return _reason_against_host(parts, port)
    # Only now: `urlsplit` lowers the scheme, and a scheme in capitals would match nothing later.
    if _PRIVATE_USE_SCHEME.fullmatch(uri.partition(":")[0]) and "@" not in parts.netloc:
        return None
    return "A redirect URI begins with https, or with a private-use scheme that has a dot."


def _reason_against_host(parts: SplitResult, port: int | None) -> str | None:
    host = parts.hostname or ""
    if "@" in parts.netloc or port == 0:
        return "A redirect URI has no user information and no port 0."
    if host in _LOOPBACK:
        return None
    if parts.scheme == "http":
        return "A redirect URI of http leads to 127.0.0.1, [::1] or localhost; others use https."
    return None if _HOST.fullmatch(host) else "A redirect URI leads to a host."


def _is_on_loopback(parts: SplitResult) -> bool:
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def _without_port(parts: SplitResult) -> tuple[str, ...]:
    return parts.scheme, parts.hostname or "", parts.path, parts.query

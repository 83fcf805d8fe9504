"""The strict form parser of the OAuth endpoints: each parameter at most once."""

import base64
import binascii
import io
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from werkzeug.formparser import MultiPartParser

from models.errors import OAuthError
from roster.contract.routes import Route
from roster.http.context import RequestContext
from roster.http.forms import check_part_headers
from roster.http.media_types import media_type_of

MAX_FIELDS = 50

# Replaces a value that is longer than any real one. No token, code, name, password, scope, grant
# or redirect URI has this value, so it is answered like any unknown one.
UNKNOWN = "?"

# Longer values are refused or ignored before they are decoded: decoding costs the most.
_MAX_QUERY_LENGTH = 16_384
_MAX_VALUE_LENGTH = 8_000
_MAX_NAME_LENGTH = 500
_MAX_CREDENTIALS_LENGTH = 10_000
# A character is at most four bytes of UTF-8, and each byte at most three encoded characters.
_MAX_BYTES = 12

Fields = list[tuple[str, str]]
# The parameters that the definition declares, and how long the values of each may be.
Known = Mapping[str, int]


def read_form(context: RequestContext, *, from_url: bool) -> dict[str, str]:
    """Read the parameters of a request to an OAuth endpoint, the client's credentials among them.

    Returns only parameters that the definition declares, without empty ones (RFC 6749 §3.2: as if
    omitted). A value longer than any real one is replaced by `UNKNOWN`. `from_url` tells whether
    the URL may have parameters too. The form is kept in the request context.

    :raises OAuthError: `invalid_request` for a parameter that cannot be read, is repeated or in the
        wrong place; `invalid_client` for Basic credentials that cannot be read.
    """
    if context.form is None:
        context.form = _read_form(context, from_url=from_url)
    return context.form


def _read_form(context: RequestContext, *, from_url: bool) -> dict[str, str]:
    known = _known_fields(context.route)
    in_url = _read_url(context, known)
    if not from_url and in_url:
        raise refuse("A parameter stands in the URL; send it in the body.")
    pairs = in_url + _read_body(context, known)
    fields = {name: value for name, value in _single(pairs).items() if value}
    fields = _with_basic(fields, context.header(b"authorization"))
    fields = _bounded(known, fields)
    if "scope" in fields:
        fields["scope"] = " ".join(part for part in fields["scope"].split(" ") if part)
    return fields


def read_page_form(context: RequestContext) -> dict[str, str]:
    """Read the form of one of this server's pages: the fields that the definition declares.

    A value longer than any real one is replaced by `UNKNOWN`.

    :raises OAuthError: for a parameter that cannot be read or is repeated.
    """
    known = _known_fields(context.route)
    return _bounded(known, _single(_parse_fields(context.raw_body, known)))


def read_page_query(context: RequestContext) -> dict[str, str]:
    """Read the query parameters of a page that the definition declares.

    A value longer than any real one is replaced by `UNKNOWN`.

    :raises OAuthError: for a parameter that cannot be read or is repeated.
    """
    parameters = context.operation.parameters if context.operation else ()
    schemas = {each["name"]: each["schema"] for each in parameters if each["in"] == "query"}
    known = {name: _longest(schema) for name, schema in schemas.items()}
    return _single(_read_url(context, known))


def _bounded(known: Known, fields: dict[str, str]) -> dict[str, str]:
    return {
        name: value if len(value) <= known.get(name, _MAX_VALUE_LENGTH) else UNKNOWN
        for name, value in fields.items()
    }


def _longest(schema: dict[str, Any]) -> int:
    return min(int(schema.get("maxLength", _MAX_VALUE_LENGTH)), _MAX_VALUE_LENGTH)


def _single(pairs: Fields) -> dict[str, str]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise refuse("A parameter is given more than once.")
    return fields


def refuse(description: str) -> OAuthError:
    """Make the 400 of RFC 6749 §5.2 for a malformed request."""
    return OAuthError("invalid_request", description)


@lru_cache
def _known_fields(route: Route) -> Known:
    fields = next(each.form_fields for each in route.operations.values() if each.form_fields)
    return {name: _longest(schema) for name, schema in fields.items()}


def _read_url(context: RequestContext, known: Known) -> Fields:
    if len(context.query_string) > _MAX_QUERY_LENGTH:
        raise refuse("The URL is too long.")
    return _parse_fields(context.query_string, known)


def _read_body(context: RequestContext, known: Known) -> Fields:
    media_type, options = media_type_of(context)
    if media_type == "multipart/form-data":
        return _parse_multipart(context.raw_body, options.get("boundary", ""), known)
    return _parse_fields(context.raw_body, known)


def _parse_fields(raw: bytes, known: Known) -> Fields:
    """Parse a query or a form body as strict UTF-8; unknown fields are skipped without decoding.

    :raises OAuthError: where it is malformed.
    """
    # A form with a field for each scope may have more.
    if raw.count(b"&") >= max(MAX_FIELDS, len(known)):
        raise refuse("The parameters cannot be read.")
    if not raw:
        return []
    try:
        raw.decode("utf-8")
        found: dict[str, bytes] = {}
        for piece in filter(None, raw.split(b"&")):
            encoded, _, value = piece.partition(b"=")
            name = _decode(encoded) if len(encoded) <= _MAX_NAME_LENGTH else ""
            if not is_clean(name):
                raise _not_clean()
            if name in known:
                if name in found:
                    raise refuse("A parameter is given more than once.")
                is_long = len(value) > _MAX_BYTES * known[name]
                found[name] = UNKNOWN.encode() if is_long else value
        return _checked((name, _decode(value)) for name, value in found.items())
    except UnicodeDecodeError:
        raise refuse("The parameters cannot be read.") from None


def _decode(part: bytes) -> str:
    """Decode application/x-www-form-urlencoded text."""
    if b"%" not in part and b"+" not in part:
        return part.decode("utf-8")  # as most are, in a tenth of the time
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")


def _parse_multipart(raw: bytes, boundary: str, known: Known) -> Fields:
    parser = MultiPartParser(
        stream_factory=_refuse_file, max_form_memory_size=None, max_form_parts=MAX_FIELDS
    )
    try:
        check_part_headers(raw, boundary.encode("latin-1"), MAX_FIELDS)
        form, _ = parser.parse(io.BytesIO(raw), boundary.encode("latin-1"), len(raw))
    except OAuthError:
        raise
    except Exception:  # noqa: BLE001 (werkzeug does not document which errors it raises)
        raise refuse("The multipart body cannot be read.") from None
    # werkzeug returns None as the name of a part whose header it cannot read.
    if not all(isinstance(name, str) for name in form):
        raise refuse("A part of the multipart body has no name.")
    return _checked(pair for pair in form.items(multi=True) if pair[0] in known)


def _refuse_file(*_: Any, **__: Any) -> NoReturn:
    raise refuse("A parameter is sent as a file.")


def is_clean(text: str) -> bool:
    """Tell whether a text has neither NUL nor the replacement character of invalid UTF-8."""
    return "\0" not in text and "\ufffd" not in text


def _checked(pairs: Iterable[tuple[str, str]]) -> Fields:
    """Refuse NUL and the replacement character of invalid UTF-8."""
    found = list(pairs)
    if not is_clean("".join(chain.from_iterable(found))):
        raise _not_clean()
    return found


def _not_clean() -> OAuthError:
    return refuse("A parameter is not clean UTF-8 text.")


def _with_basic(fields: dict[str, str], header: str | None) -> dict[str, str]:
    """Add the client's id and secret from HTTP Basic (RFC 6749 §2.3.1), if it is used.

    Other schemes are ignored: some clients send an expired bearer token with every request.
    """
    scheme, credentials = _authorization(header)
    if scheme != "basic":
        return fields
    client_id, secret = _read_basic(credentials)
    if "client_secret" in fields or fields.get("client_id", client_id) != client_id:
        raise refuse("The client authenticates in two ways at once.")
    return {**fields, "client_id": client_id, "client_secret": secret}


def uses_basic(context: RequestContext) -> bool:
    """Tell whether a client named itself by HTTP Basic."""
    return _authorization(context.header(b"authorization"))[0] == "basic"


def _authorization(header: str | None) -> tuple[str, str]:
    """Return the scheme in lower case, and the credentials."""
    scheme, _, credentials = (header or "").strip().partition(" ")
    return scheme.lower(), credentials


def _read_basic(credentials: str) -> tuple[str, str]:
    try:
        if len(credentials) > _MAX_CREDENTIALS_LENGTH:
            raise ValueError
        client_id, separator, secret = base64.b64decode(
            credentials.strip(), validate=True
        ).partition(b":")
        if not separator:
            raise ValueError
        return _unquote(client_id), _unquote(secret)
    except (ValueError, binascii.Error):
        raise OAuthError(
            "invalid_client",
            "The Authorization header holds no Basic credentials.",
            status=401,
        ) from None


def _unquote(part: bytes) -> str:
    text = _decode(part)
    if "\0" in text:
        raise ValueError
    return text

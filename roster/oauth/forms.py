"""The strict form parser: what a client sent to an OAuth endpoint, each parameter once."""

import base64
import binascii
import io
from collections.abc import Iterable
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote_to_bytes

from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header

from models.errors import OAuthRefused
from roster.exchange import Exchange

MOST_FIELDS = 50

Fields = list[tuple[str, str]]


def read_form(exchange: Exchange, *, from_url: bool) -> dict[str, str]:
    """Read the parameters of a request to an OAuth endpoint, the client's credentials among them.

    Returns only parameters that the definition knows, without empty ones (RFC 6749 §3.2: as if
    omitted). `from_url` says whether the URL may carry them too. Once read, the form stays in the
    exchange.

    :raises OAuthRefused: `invalid_request` for what cannot be read, is repeated, too long or in the
        wrong place; `invalid_client` for an Authorization header that is no Basic one.
    """
    if exchange.form is None:
        exchange.form = _read_form(exchange, from_url=from_url)
    return exchange.form


def _read_form(exchange: Exchange, *, from_url: bool) -> dict[str, str]:
    known = _known_fields(exchange)
    in_url = _read_url(exchange)
    if not from_url and any(name in known for name, _ in in_url):
        raise refuse("A parameter stands in the URL; send it in the body.")
    pairs = in_url + _read_body(exchange)
    fields = {name: value for name, value in _single(pairs).items() if name in known and value}
    fields = _with_basic(fields, exchange.header(b"authorization"))
    _check_lengths(known, fields)
    if "scope" in fields:
        fields["scope"] = " ".join(part for part in fields["scope"].split(" ") if part)
    return fields


def read_page_form(exchange: Exchange) -> dict[str, str]:
    """Read the form that a page of this server sent: the fields that the definition knows.

    :raises OAuthRefused: for what cannot be read, is repeated or too long.
    """
    known = _known_fields(exchange)
    pairs = parse_fields(exchange.raw_body)
    fields = {name: value for name, value in _single(pairs).items() if name in known}
    _check_lengths(known, fields)
    return fields


def read_page_query(exchange: Exchange) -> dict[str, str]:
    """Read the parameters in the URL of a page, whatever they are.

    :raises OAuthRefused: for what cannot be read or is repeated.
    """
    return _single(parse_fields(exchange.query_string))


def _check_lengths(known: dict[str, dict[str, Any]], fields: dict[str, str]) -> None:
    for name, value in fields.items():
        if len(value) > known.get(name, {}).get("maxLength", len(value)):
            raise refuse(f"The parameter {name} is too long.")


def _single(pairs: Fields) -> dict[str, str]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise refuse("A parameter is given more than once.")
    return fields


def refuse(description: str) -> OAuthRefused:
    """Make the 400 of RFC 6749 §5.2 for a malformed request."""
    return OAuthRefused("invalid_request", description)


def _known_fields(exchange: Exchange) -> dict[str, dict[str, Any]]:
    return next(each.form_fields for each in exchange.route.operations.values() if each.form_fields)


def _read_url(exchange: Exchange) -> Fields:
    return parse_fields(exchange.query_string)


def _read_body(exchange: Exchange) -> Fields:
    media_type, options = parse_options_header(exchange.header(b"content-type"))
    if media_type.lower() == "multipart/form-data":
        return _parse_multipart(exchange.raw_body, options.get("boundary", ""))
    return parse_fields(exchange.raw_body)


def parse_fields(raw: bytes) -> Fields:
    """Parse a query or a form body as UTF-8, strictly.

    :raises OAuthRefused: for what is none.
    """
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise refuse("The parameters cannot be read.") from None
    return _checked(pairs)


def _parse_multipart(raw: bytes, boundary: str) -> Fields:
    parser = MultiPartParser(
        stream_factory=_refuse_file, max_form_memory_size=None, max_form_parts=MOST_FIELDS
    )
    try:
        form, _ = parser.parse(io.BytesIO(raw), boundary.encode("latin-1"), len(raw))
    except OAuthRefused:
        raise
    except Exception:  # noqa: BLE001 (werkzeug documents no one error for what it cannot parse)
        raise refuse("The multipart body cannot be read.") from None
    # werkzeug gives None for the name of a part whose header it cannot read.
    if not all(isinstance(name, str) for name in form):
        raise refuse("A part of the multipart body has no name.")
    return _checked(form.items(multi=True))


def _refuse_file(*_: Any, **__: Any) -> NoReturn:
    raise refuse("A parameter is sent as a file.")


def is_clean(text: str) -> bool:
    """Tell whether a text has no NUL, and not the character that stands for what is no UTF-8."""
    return not any(sign in text for sign in "\0\ufffd")


def _checked(pairs: Iterable[tuple[str, str]]) -> Fields:
    """Refuse NUL, and the character that stands for bytes which are no UTF-8."""
    found = list(pairs)
    if not all(is_clean(text) for pair in found for text in pair):
        raise refuse("A parameter is not clean UTF-8 text.")
    return found


def _with_basic(fields: dict[str, str], header: str | None) -> dict[str, str]:
    """Add the client's id and secret from HTTP Basic (RFC 6749 §2.3.1), if it is used."""
    if header is None:
        return fields
    client_id, secret = _read_basic(header)
    if "client_secret" in fields or fields.get("client_id", client_id) != client_id:
        raise refuse("The client authenticates in two ways at once.")
    return {**fields, "client_id": client_id, "client_secret": secret}


def _read_basic(header: str) -> tuple[str, str]:
    scheme, _, credentials = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        client_id, separator, secret = base64.b64decode(
            credentials.strip(), validate=True
        ).partition(b":")
        if not separator:
            raise ValueError
        return _unquote(client_id), _unquote(secret)
    except (ValueError, binascii.Error):
        raise OAuthRefused(
            "invalid_client",
            "The Authorization header holds no Basic credentials.",
            status=401,
        ) from None


def _unquote(part: bytes) -> str:
    text = unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")
    if "\0" in text:
        raise ValueError
    return text

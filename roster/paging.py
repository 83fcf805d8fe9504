"""Paging: from a list's parameters to a window on it, and from a page to the link to the next."""

from typing import Any
from urllib.parse import urlencode

from itsdangerous import BadData, URLSafeSerializer

from models.pages import Window
from roster.errors import Refusal
from roster.exchange import Exchange
from roster.settings import Settings

_PAGING = {"limit", "offset", "cursor"}


def window(exchange: Exchange, settings: Settings) -> Window:
    """Read the window that a request asks for.

    :raises Refusal: 400, for offset and cursor together, and for a cursor that was not made for
        this list.
    """
    limit, offset, cursor = (exchange.query[name] for name in ("limit", "offset", "cursor"))
    if cursor is None:
        return Window(limit=limit, offset=offset or 0, after=None, counted=True)
    if offset is not None:
        raise _refuse("offset", "offset and cursor exclude each other.")
    if cursor == "":
        return Window(limit=limit, offset=None, after=None, counted=False)
    try:
        after = _serializer(exchange, settings).loads(cursor)
    except BadData:
        raise _refuse("cursor", "This is not a cursor of this list.") from None
    return Window(limit=limit, offset=None, after=after, counted=False)


def next_link(exchange: Exchange, after: int, settings: Settings) -> str:
    """Make the Link header (RFC 8288) to the page behind the row with this key."""
    cursor = _serializer(exchange, settings).dumps(after)
    parameters = {"limit": exchange.query["limit"], "cursor": cursor, **_others(exchange)}
    return f'<{settings.origin}{exchange.path}?{urlencode(parameters)}>; rel="next"'


def _serializer(exchange: Exchange, settings: Settings) -> URLSafeSerializer:
    """Sign for this very list, so that a cursor of another one does not fit."""
    listing = urlencode({"path": exchange.path, **_others(exchange)})
    return URLSafeSerializer(settings.signing_key, salt=f"cursor {listing}")


def _others(exchange: Exchange) -> dict[str, Any]:
    return {
        name: value
        for name, value in sorted(exchange.query.items())
        if name not in _PAGING and value is not None
    }


def _refuse(name: str, sentence: str) -> Refusal:
    return Refusal(
        400, "The query is not as this operation takes it.", errors=[(f"/{name}", sentence)]
    )

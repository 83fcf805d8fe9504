"""Pagination: the window that a request asks for, and the link to the next page."""

from typing import Any
from urllib.parse import quote, unquote_plus, urlencode

from itsdangerous import BadData, URLSafeSerializer

from models.database.pagination import Window
from roster.http.context import RequestContext
from roster.http.errors import HTTPError
from roster.settings import Settings

_PAGING = {"limit", "offset", "cursor"}
# What may stand in a query (RFC 3986 section 3.4), with the percent sign of what is encoded.
_SAFE = "%=+-._~!$'()*,;:@/?"


def window(context: RequestContext, settings: Settings) -> Window:
    """Read the window that a request asks for.

    :raises HTTPError: 400, for offset and cursor together, and for a cursor of another list.
    """
    limit, cursor = context.query["limit"], context.query["cursor"]
    # A list that nobody should count declares no offset.
    offset = context.query.get("offset")
    if cursor is None and "offset" in context.query:
        return Window(limit=limit, offset=offset or 0, after=None, counted=True)
    if offset is not None:
        raise _refuse("offset", "offset and cursor exclude each other.")
    if not cursor:
        return Window(limit=limit, offset=None, after=None, counted=False)
    try:
        after = _serializer(context, settings).loads(cursor)
    except BadData:
        raise _refuse("cursor", "This is not a cursor of this list.") from None
    return Window(limit=limit, offset=None, after=after, counted=False)


def next_page(context: RequestContext, after: int, settings: Settings) -> tuple[str, str]:
    """Make the Link header (RFC 8288) to the page after the row with this key, and its cursor."""
    cursor = str(_serializer(context, settings).dumps(after))
    page = urlencode({"limit": context.query["limit"], "cursor": cursor})
    query = "&".join([page, *_others_as_sent(context)])
    return f'<{settings.origin}{context.path}?{query}>; rel="next"', cursor


def _serializer(context: RequestContext, settings: Settings) -> URLSafeSerializer:
    """Return the signer of this list's cursors, which refuses those of any other list."""
    listing = urlencode({"path": context.path, **_others(context)})
    return URLSafeSerializer(settings.signing_key, salt=f"cursor {listing}")


def _others(context: RequestContext) -> dict[str, Any]:
    return {
        name: value
        for name, value in sorted(context.query.items())
        if name not in _PAGING and value is not None
    }


def _others_as_sent(context: RequestContext) -> list[str]:
    """Return the other parameters as the client wrote them: only so is every type kept."""
    parts = context.query_string.decode("latin-1").split("&")
    return [
        quote(part, safe=_SAFE, encoding="latin-1")
        for part in parts
        if part and unquote_plus(part.partition("=")[0]) not in _PAGING
    ]


def _refuse(name: str, sentence: str) -> HTTPError:
    return HTTPError(
        400, "The query is not as this operation takes it.", errors=[(f"/{name}", sentence)]
    )

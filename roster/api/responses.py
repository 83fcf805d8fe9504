"""Responses: from what a handler returned to the answer that the definition declares for it."""

from typing import Any

from models.database.pagination import Page
from roster.api.entity_tags import names, tag_of
from roster.api.pagination import next_page
from roster.api.representations import Representations
from roster.contract.definition import Definition
from roster.contract.links import location
from roster.contract.operation import Operation
from roster.http.answers import Answer, RawHeaders, raw_headers
from roster.http.context import RequestContext
from roster.settings import Settings

# RFC 6749 section 5.1 asks for these with each token; the definition says where.
_UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Responder:
    """Make the successful responses of one operation; what they have in common is found once."""

    def __init__(self, operation: Operation, definition: Definition, settings: Settings) -> None:
        self._settings = settings
        self._status, declared = operation.success
        declared_headers = declared.get("headers", {})
        headers = {name: value for name, value in _UNCACHED.items() if name in declared_headers}
        self._has_content = bool(declared.get("content"))
        self._represent = Representations(declared.get("content", {}))
        self._headers = raw_headers(headers.items())
        self._has_location = "Location" in declared_headers
        self._link = location(operation, definition)
        self._has_etag = "ETag" in declared_headers
        self._may_be_known = operation.method == "GET"
        # No cache that several share may keep what needs a token.
        caching = "private, no-cache" if operation.is_protected else "no-cache"
        self._caching = raw_headers([("Cache-Control", caching)])
        self._has_cursor = "X-Next-Cursor" in declared_headers

    def __call__(self, result: Any, context: RequestContext) -> Answer:
        """Make the response with what a handler returned."""
        if isinstance(result, Answer):
            return result
        more: dict[str, str] = {}
        if isinstance(result, Page):
            more |= self._page_headers(result, context)
            result = result.rows
        if self._has_location and (self._link or isinstance(result, str)):
            more["Location"] = self._location(result)
        headers = [*self._headers, *raw_headers(more.items())] if more else self._headers
        if not self._has_content:
            return Answer(self._status, raw_headers=headers)
        body, of_body = self._represent(result)
        headers = [*headers, *of_body]
        if self._has_etag:
            return self._tagged(body, headers, context)
        return Answer(self._status, body, raw_headers=headers)

    def _tagged(self, body: bytes, headers: RawHeaders, context: RequestContext) -> Answer:
        """Tell the version, and let who has this very body already do without it."""
        tag = tag_of(body)
        tagged = [*headers, (b"etag", f'"{tag}"'.encode())]
        if not self._may_be_known:
            return Answer(self._status, body, raw_headers=tagged)
        tagged += self._caching
        known = context.header(b"if-none-match")
        if known is not None and names(known, tag, weakly=True):
            # Without what would describe the body (RFC 9110 section 15.4.5).
            return Answer(304, raw_headers=[each for each in tagged if each[0] != b"content-type"])
        return Answer(self._status, body, raw_headers=tagged)

    def _page_headers(self, page: Page, context: RequestContext) -> dict[str, str]:
        headers = {}
        if page.total is not None:
            headers["X-Total-Count"] = str(page.total)
        if page.next_after is not None:
            headers["Link"], cursor = next_page(context, page.next_after, self._settings)
            if self._has_cursor:
                headers["X-Next-Cursor"] = cursor
        return headers

    def _location(self, result: Any) -> str:
        """Make the absolute URL of what the link leads to; a reference is left as it is."""
        if isinstance(result, str) or self._link is None:
            return str(result)
        return self._settings.origin + self._link.path(result)

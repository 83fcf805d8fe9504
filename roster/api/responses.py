"""Responses: from what a handler returned to the answer that the definition declares for it."""

from typing import Any

import flask

from models.database.pagination import Page
from roster.api.entity_tags import body_of, names, tag_of
from roster.api.pagination import next_page
from roster.contract.definition import Definition
from roster.contract.links import location
from roster.contract.operation import Operation
from roster.http.context import RequestContext
from roster.http.errors import Answer
from roster.settings import Settings

# RFC 6749 section 5.1 asks for these with each token; the definition says where.
_UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Response(flask.Response):
    """A response whose headers are those that it was given, and no more.

    werkzeug would copy them, and read a Location as an IRI: that takes as long as all else that it
    does for a response, and makes `com.example:/cb` of an app's `com.example:///cb`.
    """

    default_mimetype = None

    def get_wsgi_headers(self, environ: Any) -> Any:
        """Return the headers; without those of a body where there is none (204, 304)."""
        has_body = self.status_code not in {204, 304}
        return self.headers if has_body else super().get_wsgi_headers(environ)


class Responder:
    """Make the successful responses of one operation; what they have in common is found once."""

    def __init__(self, operation: Operation, definition: Definition, settings: Settings) -> None:
        self._settings = settings
        self._status, declared = operation.success
        declared_headers = declared.get("headers", {})
        self._headers = {
            name: value for name, value in _UNCACHED.items() if name in declared_headers
        }
        self._has_content = bool(declared.get("content"))
        if self._has_content:
            self._headers["Content-Type"] = _with_charset(_concrete(declared["content"]))
        self._has_location = "Location" in declared_headers
        self._link = location(operation, definition)
        self._has_etag = "ETag" in declared_headers
        self._may_be_known = operation.method == "GET"
        # No cache that several share may keep what needs a token.
        self._caching = "private, no-cache" if operation.is_protected else "no-cache"
        self._has_cursor = "X-Next-Cursor" in declared_headers

    def __call__(self, result: Any, context: RequestContext) -> flask.Response:
        """Make the response with what a handler returned."""
        if isinstance(result, Answer):
            return Response(result.body, result.status, list(result.headers))
        headers = self._headers.copy()
        if isinstance(result, Page):
            headers |= self._page_headers(result, context)
            result = result.rows
        if self._has_location and (self._link or isinstance(result, str)):
            headers["Location"] = self._location(result)
        if result is None or not self._has_content:
            return Response(status=self._status, headers=headers)
        response = Response(body_of(result), self._status, headers)
        if self._has_etag:
            self._tag(response, context)
        return response

    def _tag(self, response: flask.Response, context: RequestContext) -> None:
        """Tell the version, and let who has this very body already do without it."""
        tag = tag_of(response.get_data())
        response.headers["ETag"] = f'"{tag}"'
        if not self._may_be_known:
            return
        response.headers["Cache-Control"] = self._caching
        known = context.header(b"if-none-match")
        if known is not None and names(known, tag, weakly=True):
            response.status_code = 304

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


def _concrete(content: dict[str, Any]) -> str:
    """Return the media type in which a handler's data is sent: the first that is no range."""
    media_type = next(iter(content))
    if "*" not in media_type:
        return media_type
    return "text/plain" if media_type.startswith("text/") else "application/json"


def _with_charset(media_type: str) -> str:
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type

"""The boundary: the outermost layer, which makes requests decent and adds headers to answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.types import Receive, Scope, Send

from models.database import Connections
from roster.assets import Assets
from roster.definition import ISOLATED, PROBLEM, Definition, Route
from roster.errors import REALM, Answer, Refusal, answer
from roster.exchange import Exchange

LARGEST_BODY = 1024 * 1024

_CONTENT_HEADERS = {b"content-encoding", b"content-length", b"content-type", b"transfer-encoding"}
_NOT_FOUND = Refusal(404, "There is nothing here.")
_STOPPING = Refusal(503, "The server stops. Try again shortly.", headers={"Retry-After": "5"})
_TOO_LARGE = "The body is larger than 1 MiB."

Inner = Callable[[Scope, Exchange], Awaitable[Answer]]
Observe = Callable[[str, int, float], None]


@dataclass(frozen=True)
class Boundary:
    """The ASGI application around everything else.

    It finds the operation (404, 405), reads a body of at most 1 MiB (413) however it was sent,
    turns HEAD into GET, and adds the headers that every answer carries. What it passes on is a
    complete request in memory, and what it gets back is a complete answer.
    """

    definition: Definition
    connections: Connections
    begin: Callable[[Exchange], None]
    inner: Inner
    options: Inner
    assets: Assets
    observe: Observe
    origin: str
    client_address: Callable[[Scope], str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["path"] in self.assets and scope["method"] in {"GET", "HEAD"}:
            try:
                await self.assets(scope, receive, self._with_headers(send))
            except OSError as error:  # the file cannot be read; nothing is sent yet
                await self._send(answer(error, PROBLEM), send, scope, None)
            return
        began = time.perf_counter()
        exchange = self._begin(scope)
        try:
            made = await self._answer(exchange, scope, receive) if exchange else answer(_NOT_FOUND)
        except _DisconnectedError:
            return
        except asyncio.CancelledError:  # uvicorn stops, and has waited long enough
            made = answer(_STOPPING, exchange.route.error_media_type if exchange else PROBLEM)
        except Exception as error:  # noqa: BLE001 (the last place that can still answer a failure)
            made = answer(error, exchange.route.error_media_type if exchange else PROBLEM)
        await self._send(made, send, scope, exchange.route if exchange else None)
        operation = exchange.operation if exchange else None
        self.observe(operation.id if operation else "", made.status, time.perf_counter() - began)

    async def refuse(self, error: Exception, scope: Scope, send: Send) -> None:
        """Answer a request with an error, in the form of its path."""
        found = self.definition.match(scope["path"])
        route = found[0] if found else None
        form = route.error_media_type if route else PROBLEM
        await self._send(answer(error, form), send, scope, route)

    def _begin(self, scope: Scope) -> Exchange | None:
        """Find what the path names; None where it names nothing."""
        found = self.definition.match(scope["path"])
        if found is None:
            return None
        route, path_parameters, path = found
        method = "GET" if scope["method"] == "HEAD" and route.has_head else scope["method"]
        exchange = Exchange(
            connections=self.connections,
            route=route,
            operation=route.operations.get(method),
            path=path,
            path_parameters=path_parameters,
            asked_path=scope["path"],
            query_string=scope["query_string"],
            headers=scope["headers"],
            client_address=self.client_address(scope),
        )
        self.begin(exchange)
        return exchange

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive) -> Answer:
        """Pass the request on.

        :raises Refusal: 405 or 413.
        """
        if scope["method"] == "OPTIONS":
            if exchange.header(b"access-control-request-method") and exchange.header(b"origin"):
                return Answer(204)  # a preflight that nobody answered: its origin may nothing
            return await self.options(scope, exchange)
        operation = exchange.operation
        if operation is None:
            allowed = ", ".join(sorted(exchange.route.operations))
            raise Refusal(405, "This method is not for this path.", headers={"Allow": allowed})
        if operation.request_content:
            exchange.raw_body = await _read(scope, receive)
        # Query and body are read once, by strict code of our own, from the exchange: what lies
        # between here and the handler would read them again, and in its own way.
        passed = {
            **scope,
            "method": operation.method,
            "path": exchange.path,
            "raw_path": exchange.path.encode(),
            "query_string": b"",
            "headers": [each for each in scope["headers"] if each[0] not in _CONTENT_HEADERS],
        }
        return await self.inner(passed, exchange)

    async def _send(self, made: Answer, send: Send, scope: Scope, route: Route | None) -> None:
        raw = [*made.raw_headers]
        raw += (
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in made.headers
        )
        if made.status in {401, 403}:
            raw = [(name, self._completed(name, value)) for name, value in raw]
        present = {name for name, _ in raw}
        if made.status not in {204, 304} and b"content-length" not in present:
            raw.append((b"content-length", str(len(made.body)).encode()))
        if route is not None and route.opener_policy != ISOLATED:
            raw.append((_OPENER_POLICY, route.opener_policy.encode()))
            present.add(_OPENER_POLICY)
        raw += self._missing(present)
        body = b"" if scope["method"] == "HEAD" else made.body
        await send({"type": "http.response.start", "status": made.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    def _completed(self, name: bytes, value: bytes) -> bytes:
        """Add to a bearer challenge where to read which token is wanted (RFC 9728 section 5.1)."""
        if name != b"www-authenticate" or not value.startswith(_CHALLENGE):
            return value
        metadata = f"{self.origin}/.well-known/oauth-protected-resource"
        return value + f', resource_metadata="{metadata}"'.encode()

    @cached_property
    def _defaults(self) -> list[tuple[bytes, bytes]]:
        """The headers that protect a browser's user, where an answer has not its own."""
        secure = _SECURE_HEADERS if self.origin.startswith("https:") else {}
        return [*_HEADERS.items(), *secure.items()]

    def _missing(self, present: Collection[bytes]) -> Iterator[tuple[bytes, bytes]]:
        return (header for header in self._defaults if header[0] not in present)

    def _with_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *self._missing(present)]
            await send(message)

        return send_with_headers


_CHALLENGE = f'Bearer realm="{REALM}"'.encode()
_OPENER_POLICY = b"cross-origin-opener-policy"
_HEADERS: dict[bytes, bytes] = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'self'; base-uri 'none'; form-action 'self';"
    b" frame-ancestors 'none'",
    _OPENER_POLICY: ISOLATED.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
_SECURE_HEADERS: dict[bytes, bytes] = {
    b"strict-transport-security": b"max-age=31536000; includeSubDomains"
}


class _DisconnectedError(Exception):
    """The client went away before its request was complete."""


async def _read(scope: Scope, receive: Receive) -> bytes:
    """Read a request body, by length or in chunks.

    :raises Refusal: 413, as soon as it is known to be too large.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > LARGEST_BODY:
            raise Refusal(413, _TOO_LARGE)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _DisconnectedError
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise Refusal(413, _TOO_LARGE)
        if not message.get("more_body", False):
            return bytes(body)

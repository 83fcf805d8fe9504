"""The ASGI entry point: normalises requests, and completes the headers of responses."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from models.database.connections import Connections
from roster.contract.definition import Definition
from roster.contract.operation import ISOLATED
from roster.contract.routes import Route
from roster.http.answers import Answer
from roster.http.context import CONTEXT, RequestContext
from roster.http.errors import PROBLEM, HTTPError, answer
from roster.server.assets import Assets
from roster.server.body import DisconnectedError, read_body
from roster.server.headers import OPENER_POLICY, ResponseHeaders

_CONTENT_HEADERS = {b"content-encoding", b"content-length", b"content-type", b"transfer-encoding"}
_STOPPING = HTTPError(503, "The server stops. Try again shortly.", headers={"Retry-After": "5"})

Inner = Callable[[Scope, RequestContext], Awaitable[Answer]]
Observe = Callable[[str, int, float], None]


class Pages(Protocol):
    """Paths that the definition lacks, and something else answers."""

    def has(self, scope: Scope) -> bool:
        """Tell whether a request's path is one of them."""

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Answer a request whose body is in memory."""


@dataclass(frozen=True)
class EntryPoint:
    """The ASGI application around everything else.

    It finds the operation (404, 405), reads a body of at most 1 MiB (413) however it was sent,
    turns HEAD into GET, and adds the headers that every answer carries. What it passes on is a
    complete request in memory, and what it gets back is a complete answer.
    """

    definition: Definition
    connections: Connections
    begin: Callable[[RequestContext], None]
    inner: Inner
    options: Inner
    assets: Assets
    observe: Observe
    origin: str
    client_address: Callable[[Scope], str]
    run: Callable[..., Awaitable[Any]]
    pages: Pages | None = None

    @cached_property
    def _headers(self) -> ResponseHeaders:
        return ResponseHeaders(self.origin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["path"] in self.assets and scope["method"] in {"GET", "HEAD"}:
            try:
                await self.assets(scope, receive, self._headers.completing(send))
            except OSError as error:  # the file cannot be read; nothing is sent yet
                await self._send(answer(error, PROBLEM), send, scope, None)
            return
        began = time.perf_counter()
        context = self._begin(scope)
        try:
            if context:
                made = await self._answer(context, scope, receive)
            else:
                made = await self._page(scope, receive)
        except DisconnectedError:
            return
        except asyncio.CancelledError:  # uvicorn stops, and has waited long enough
            made = answer(_STOPPING, context.route.error_media_type if context else PROBLEM)
        except Exception as error:  # noqa: BLE001 (the last place that can still answer a failure)
            made = answer(error, context.route.error_media_type if context else PROBLEM)
            # Its frames lead back to it, and would keep the request until garbage is collected.
            error.__traceback__ = None
            if context and context.operation and made.status < 500:
                made = await self._counted(made, context)
        if context:
            await self._send(made, send, scope, context.route, context.usage.headers)
        else:
            await self._send(made, send, scope, None)
        operation = context.operation if context else None
        self.observe(operation.id if operation else "", made.status, time.perf_counter() - began)

    async def refuse(self, error: Exception, scope: Scope, send: Send) -> None:
        """Answer a request with an error, in the form of its path."""
        found = self.definition.match(scope["path"])
        route = found[0] if found else None
        form = route.error_media_type if route else PROBLEM
        await self._send(answer(error, form), send, scope, route)

    async def _counted(self, made: Answer, context: RequestContext) -> Answer:
        """Count a request that was answered before it came to a thread, where that is to be done.

        Its answer is another one where it was one too many.
        """
        if context.usage.is_open:
            try:
                await self.run(context.usage.count, None)
            except HTTPError as error:
                return answer(error, context.route.error_media_type)
        return made

    def _begin(self, scope: Scope) -> RequestContext | None:
        """Find what the path names; None where it names nothing."""
        found = self.definition.match(scope["path"])
        if found is None:
            return None
        route, path_parameters, path = found
        method = "GET" if scope["method"] == "HEAD" and route.has_head else scope["method"]
        context = RequestContext(
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
        scope[CONTEXT] = context
        self.begin(context)
        return context

    async def _page(self, scope: Scope, receive: Receive) -> Answer:
        """Have Flask answer what the definition lacks and Flask has.

        :raises HTTPError: 404, 413 or 503.
        """
        if self.pages is None or not self.pages.has(scope):
            raise HTTPError(404, "There is nothing here.")
        body = await read_body(scope, receive)
        return await self.pages.answer({**scope, "client": self._client(scope)}, body)

    def _client(self, scope: Scope) -> tuple[str, int]:
        """Return the client's address, behind proxies too, and the port of the connection."""
        return self.client_address(scope), (scope.get("client") or ("", 0))[1]

    async def _answer(self, context: RequestContext, scope: Scope, receive: Receive) -> Answer:
        """Pass the request on.

        :raises HTTPError: 405, 413 or 429.
        """
        if scope["method"] == "OPTIONS":
            if context.header(b"access-control-request-method") and context.header(b"origin"):
                return Answer(204)  # a preflight that nobody answered: its origin may nothing
            context.usage.enter()
            return await self.options(scope, context)
        operation = context.operation
        if operation is None:
            allowed = ", ".join(sorted(context.route.operations))
            raise HTTPError(405, "This method is not for this path.", headers={"Allow": allowed})
        context.usage.enter()
        if operation.request_content:
            context.raw_body = await read_body(scope, receive)
        # The request as the client sent it, for `flask.request`. Validation reads the request
        # context instead, once and strictly.
        passed = {
            **scope,
            "client": (context.client_address, (scope.get("client") or ("", 0))[1]),
        }
        if not operation.request_content:  # the body was not read
            headers = scope["headers"]
            passed["headers"] = [each for each in headers if each[0] not in _CONTENT_HEADERS]
        return await self.inner(passed, context)

    async def _send(
        self,
        made: Answer,
        send: Send,
        scope: Scope,
        route: Route | None,
        of_usage: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        raw = made.all_headers()
        raw += of_usage
        if made.status in {401, 403}:
            raw = self._headers.with_metadata(raw)
        present = {name for name, _ in raw}
        if b"content-length" not in present and made.status not in {204, 304}:
            raw.append((b"content-length", b"%d" % len(made.body)))
        if route is not None and route.opener_policy != ISOLATED:
            raw.append((OPENER_POLICY, route.opener_policy.encode()))
            present.add(OPENER_POLICY)
        raw += self._headers.missing(frozenset(present))
        body = b"" if scope["method"] == "HEAD" else made.body
        await send({"type": "http.response.start", "status": made.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

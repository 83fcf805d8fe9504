"""The worker: runs connexion's whole stack, and Flask in it, in one thread per request."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, cast

from starlette.types import ASGIApp, Message, Scope

from models.passwords import CORES
from roster import memory
from roster.errors import Answer
from roster.exchange import Exchange, current
from roster.threads import Threads

# How long nobody has hashed before the memory for it is given back.
_REST_SECONDS = 5.0


class Worker:
    """Hand complete requests to an ASGI application that runs to its end in a thread.

    Everything below the boundary finds the request in memory and never waits on the event loop, so
    its coroutines can be stepped through at once where database calls may block: in a thread, and
    in the same one for security, validation and handler, which therefore share a database session.
    It costs one hop between threads where connexion and its WSGI bridge would take five.
    """

    def __init__(self, app: ASGIApp, threads: int) -> None:
        self._app = app
        self._threads = Threads(threads, "roster")
        # Whoever waits for a password hash waits apart, and keeps nobody else from a thread.
        self._hashing = Threads(4 * CORES, "roster-hashing")
        self._giving_back: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def __call__(self, scope: Scope, exchange: Exchange) -> Answer:
        """Answer a request, in a thread."""
        operation = exchange.operation
        threads = self._hashing if operation and operation.computes_hash else self._threads
        loop = asyncio.get_running_loop()
        try:
            answered: Answer = await threads.run(_answer, self._app, scope, exchange)
        finally:
            if threads is self._hashing and not self._is_closed:
                self._give_memory_back_later(loop)
        return answered

    async def run(self, function: Any, *arguments: Any) -> Any:
        """Call a function in one of the threads, with this task's context."""
        return await self._threads.run(function, *arguments)

    def _give_memory_back_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._giving_back:
            self._giving_back.cancel()
        self._giving_back = loop.call_later(_REST_SECONDS, memory.give_back)

    def close(self) -> None:
        """End the threads, after the requests under way."""
        self._is_closed = True
        if self._giving_back:
            self._giving_back.cancel()
        self._threads.close()
        self._hashing.close()


def _answer(app: ASGIApp, scope: Scope, exchange: Exchange) -> Answer:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    current.set(exchange)
    try:
        step_through(app(scope, receive, send))
    finally:
        exchange.close()
    start, *bodies = messages
    return Answer(
        start["status"],
        b"".join(message.get("body", b"") for message in bodies),
        raw_headers=start["headers"],
    )


def step_through(awaitable: Awaitable[None]) -> None:
    """Run a coroutine that never waits.

    :raises RuntimeError: if it does wait, for there is no event loop here that could wake it.
    """
    coroutine = cast("Coroutine[Any, Any, None]", awaitable)
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("Something below the boundary waits for the event loop, and must not.")

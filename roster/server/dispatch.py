"""The dispatcher: runs connexion's whole stack, and Flask in it, in one thread per request."""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextvars import copy_context
from typing import Any, cast

from starlette.types import ASGIApp, Message, Scope

from models.users.passwords import CORES
from roster.http.answers import Answer
from roster.http.context import RequestContext, current
from roster.http.detour import Detour
from roster.http.errors import HTTPError
from roster.server import memory
from roster.server.threads import Threads

# How long nobody has hashed before the memory for it is given back.
_REST_SECONDS = 5.0
# How long a request that nobody waits for any more is given at the end, which the database may
# keep from ending: it is rolled back then.
_PATIENCE = 0.5


class Dispatcher:
    """Hand complete requests to an ASGI application that runs to its end in a thread.

    Everything below the entry point finds the request in memory and never waits on the event loop,
    so its coroutines can be stepped through at once where database calls may block: in a thread,
    and in the same one for security, validation and handler, which therefore share a database
    session. It costs one hop between threads where connexion and its WSGI adapter would take five.

    `queue` and `hashing_queue` are how many requests may wait for a thread. `threads` are both
    kinds of them by name.
    """

    def __init__(
        self, app: ASGIApp, threads: int, *, queue: int = 1000, hashing_queue: int = 100
    ) -> None:
        self._app = app
        self._threads = Threads(threads, "roster", queue)
        # Whoever waits for a password hash waits apart, and keeps nobody else from a thread.
        self._hashing = Threads(4 * CORES, "roster-hashing", hashing_queue)
        self.threads = {"requests": self._threads, "hashing": self._hashing}
        self._giving_back: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def __call__(self, scope: Scope, context: RequestContext) -> Answer:
        """Answer a request: in a thread, or at once where the operation waits for nothing.

        :raises HTTPError: 503, where too many requests are waiting.
        """
        # What has to be counted elsewhere first may have to wait for that.
        if context.operation and context.operation.is_immediate and not context.usage.is_open:
            return copy_context().run(_answer, self._app, scope, context)
        try:
            while not context.may_hash:
                try:
                    return cast(Answer, await self.run(_answer, self._app, scope, context))
                except Detour as detour:
                    question = detour.question
                if question:
                    await question()
                else:
                    context.may_hash = True
            return await self._hash(scope, context)
        except HTTPError:
            context.close()  # where it never came to its end in a thread
            raise

    def run(self, function: Any, *arguments: Any) -> Coroutine[Any, Any, Any]:
        """Call a function in one of the threads, with this task's context.

        :raises HTTPError: 503, where too many calls are waiting.
        """
        return self._threads.run(function, *arguments)

    async def _hash(self, scope: Scope, context: RequestContext) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            return cast(Answer, await self._hashing.run(_answer, self._app, scope, context))
        finally:
            if not self._is_closed:
                self._give_memory_back_later(loop)

    def _give_memory_back_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._giving_back:
            self._giving_back.cancel()
        self._giving_back = loop.call_later(_REST_SECONDS, memory.give_back)

    def close(self) -> None:
        """End the threads, after the requests under way, unless those do not end soon."""
        self._is_closed = True
        if self._giving_back:
            self._giving_back.cancel()
        self._threads.close(_PATIENCE)
        self._hashing.close(_PATIENCE)


def _answer(app: ASGIApp, scope: Scope, context: RequestContext) -> Answer:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": context.raw_body, "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    current.set(context)
    finish = context.close
    try:
        context.usage.begin()
        # Layers of the stack note things in the scope; another run must not find them there.
        step_through(app({**scope}, receive, send))
    except Detour:
        finish = context.rewind
        raise
    finally:
        finish()
    start, *bodies = messages
    body = b"".join([message.get("body", b"") for message in bodies])
    return Answer(start["status"], body, raw_headers=start["headers"])


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
    raise RuntimeError("Something below the entry point waits for the event loop, and must not.")

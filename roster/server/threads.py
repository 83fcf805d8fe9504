"""Threads in which an event loop has functions called that may block."""

import asyncio
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import SimpleQueue
from time import perf_counter
from typing import Any, NamedTuple

from roster.http.errors import HTTPError


class _Call(NamedTuple):
    """A function to be called, and who waits for what comes of it."""

    loop: asyncio.AbstractEventLoop
    waiting: asyncio.Future[Any]
    context: Context
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    # Has one element until it is taken up or given up; who pops it decides which.
    undecided: list[None]
    since: float


class _Waiting(NamedTuple):
    """When a call began to wait, and for whom; of the call itself nothing is kept here."""

    since: float
    undecided: list[None]
    loop: asyncio.AbstractEventLoop
    future: weakref.ref[asyncio.Future[Any]]


class BusyError(HTTPError):
    """So many calls wait for a thread that another one would wait too long (503)."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "Too many requests are waiting. Try again shortly.",
            headers={"Retry-After": "5"},
        )


class Threads:
    """A fixed number of threads, which take calls off one queue of a greatest length.

    A call that has waited in it for `patience` seconds is given up, for what keeps all threads
    (a database that does not answer) may keep them long.

    They do what `run_in_executor` with a ThreadPoolExecutor does. That makes two futures for each
    call, each with a lock and callbacks to the other: a sixth of the time that a request for
    `users/me` takes.
    """

    def __init__(
        self, number: int, name: str, longest_queue: int = 1000, patience: float = 10.0
    ) -> None:
        self.number = number
        self._name = name
        self._longest_queue = longest_queue
        self._patience = patience
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._latest: deque[_Waiting] = deque()
        self._watching: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._busy: deque[None] = deque()
        self._waited: Callable[[float], None] = _ignored
        self._refused: Callable[[], None] = _ignored
        self._is_closed = False

    def observe(self, waited: Callable[[float], None], refused: Callable[[], None]) -> None:
        """Have each wait in the queue, in seconds, and each refusal told."""
        self._waited, self._refused = waited, refused

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return self._calls.qsize()

    @property
    def busy(self) -> int:
        """How many threads carry a call out."""
        return len(self._busy)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a thread, with this task's context; return or raise what it does.

        :raises BusyError: at once, where too many calls are waiting; or when it has waited too
            long, and is not begun any more.
        :raises RuntimeError: where the threads have ended.
        """
        if self._is_closed:
            raise RuntimeError("The threads have ended.")
        if self._calls.qsize() >= self._longest_queue:
            self._refused()
            raise BusyError
        if not self._threads:
            self._start()
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()
        undecided = [None]
        self._latest.append(_Waiting(loop.time(), undecided, loop, weakref.ref(waiting)))
        self._calls.put(
            _Call(loop, waiting, copy_context(), function, arguments, undecided, perf_counter())
        )
        if self._watching is not loop:
            self._watch(loop)
        try:
            return await waiting
        finally:
            del waiting  # or an exception would lead to itself, through this frame

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give up the calls that have waited too long, and look again soon where some wait."""
        while self._latest:
            first = self._latest[0]
            if first.undecided and first.loop is loop:
                if loop.time() - first.since < self._patience:
                    break
                future = first.future()
                if future and _decide(first.undecided):
                    self._refused()
                    _settle(future, None, BusyError())
            self._latest.popleft()
        self._watching = loop if self._latest else None
        if self._latest:
            loop.call_later(self._patience / 10, self._watch, loop)

    def close(self, seconds: float | None = None) -> None:
        """End the threads, after the calls that are waiting or under way.

        What does not end within so many seconds is left alone, and ends with the process.
        """
        self._is_closed = True
        ends = None if seconds is None else time.monotonic() + seconds
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(None if ends is None else max(0.0, ends - time.monotonic()))
        self._threads.clear()

    def _start(self) -> None:
        for number in range(self.number):
            # Who forgets to close them can end all the same.
            thread = threading.Thread(target=self._work, name=f"{self._name}_{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if _decide(call.undecided):
                self._waited(perf_counter() - call.since)
                # A deque's `append` and `pop` need no lock.
                self._busy.append(None)
                try:
                    _carry_out(call)
                finally:
                    self._busy.pop()
            del call  # or what it holds would live until the next one comes


def _ignored(*_: object) -> None:
    return


def _decide(undecided: list[None]) -> bool:
    """Tell whether a call is left to this thread: of all that ask, one is told so."""
    try:
        undecided.pop()
    except IndexError:
        return False
    return True


def _carry_out(call: _Call) -> None:
    result: Any = None
    failure: BaseException | None = None
    try:
        result = call.context.run(call.function, *call.arguments)
    except StopIteration as error:  # no future takes it; coroutines make this of it too
        failure = RuntimeError("A call raised StopIteration.")
        failure.__cause__ = error
    except BaseException as error:  # noqa: BLE001 (it belongs to who waits)
        failure = error
    try:
        call.loop.call_soon_threadsafe(_settle, call.waiting, result, failure)
    except RuntimeError:  # the loop is closed, and nobody waits any more
        return
    finally:
        del call, failure  # or an exception would lead to itself, through this frame


def _settle(waiting: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if waiting.done():  # cancelled in the meantime
        return
    if failure is None:
        waiting.set_result(result)
    else:
        waiting.set_exception(failure)

"""The dispatcher: connexion's stack and Flask run in one thread, whose answer comes back whole."""

import asyncio
import threading
import time
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send

from roster.http.detour import Detour
from roster.http.errors import HTTPError
from roster.http.usage import Uncounted
from roster.server import memory
from roster.server.dispatch import Dispatcher, step_through
from tests.roster.raw import http_scope

variable: ContextVar[str] = ContextVar("variable", default="unset")

SCOPE = http_scope("GET", "/")


# Stepping through coroutines


def test_a_coroutine_that_does_not_wait_is_run_to_its_end() -> None:
    steps = []

    async def inner() -> None:
        steps.append("inner")

    async def outer() -> None:
        await inner()
        steps.append("outer")

    step_through(outer())

    assert steps == ["inner", "outer"]


def test_a_coroutine_that_waits_is_refused_and_closed() -> None:
    steps = []

    async def waits() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            steps.append("closed")

    coroutine = waits()  # held here, or it would be closed because nobody holds it
    with pytest.raises(RuntimeError, match="waits for the event loop"):
        step_through(coroutine)

    assert steps == ["closed"]


def test_the_exception_of_a_coroutine_comes_out() -> None:
    async def fails() -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        step_through(fails())


# The threads


class FakeContext:
    """A request context that knows whether it was closed or rewound, and in which thread."""

    closed_in: str | None = None
    rewound_in: str | None = None
    may_hash = False
    raw_body = b""
    usage = Uncounted()

    def __init__(self, *, is_immediate: bool = False) -> None:
        self.operation = SimpleNamespace(is_immediate=is_immediate)

    def close(self) -> None:
        self.closed_in = self.closed_in or threading.current_thread().name

    def rewind(self) -> None:
        self.rewound_in = threading.current_thread().name


async def answer_nothing(send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})


def run(app: Any, context: FakeContext) -> Any:
    dispatcher = Dispatcher(app, threads=1)
    try:
        return asyncio.run(dispatcher(dict(SCOPE), cast(Any, context)))
    finally:
        dispatcher.close()


def test_an_answer_is_made_in_one_thread_that_is_not_the_loops() -> None:
    threads = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        threads.append(threading.current_thread().name)
        assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"\xe4")]})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body"})

    context = FakeContext()
    made = run(app, context)

    assert (made.status, made.raw_headers, made.body) == (201, [(b"x-a", b"\xe4")], b"one")
    assert threads == [context.closed_in]
    assert threads[0].startswith("roster")


def test_an_exchange_is_closed_after_an_error_too() -> None:
    async def app(*_: Any) -> None:
        raise LookupError("broken")

    context = FakeContext()
    with pytest.raises(LookupError):
        run(app, context)

    assert context.closed_in


def test_context_variables_reach_the_threads_and_do_not_come_back() -> None:
    def change() -> str:
        found = variable.get()
        variable.set("changed inside")
        return found

    async def call() -> tuple[str, str]:
        variable.set("set outside")
        dispatcher = Dispatcher(cast(Any, None), threads=1)
        try:
            return await dispatcher.run(change), await dispatcher.run(change)
        finally:
            dispatcher.close()

    assert asyncio.run(call()) == ("set outside", "set outside")


def test_the_loop_goes_on_while_a_thread_is_busy() -> None:
    async def call() -> list[str]:
        dispatcher = Dispatcher(cast(Any, None), threads=1)
        release = threading.Event()
        order = []
        busy = asyncio.create_task(dispatcher.run(release.wait))
        await asyncio.sleep(0)
        order.append("loop")
        release.set()
        await busy
        order.append("thread")
        dispatcher.close()
        return order

    assert asyncio.run(call()) == ["loop", "thread"]


def test_closing_waits_for_what_is_under_way() -> None:
    done = []

    async def call() -> None:
        dispatcher = Dispatcher(cast(Any, None), threads=1)

        def work() -> None:
            time.sleep(0.05)
            done.append(True)

        task = asyncio.create_task(dispatcher.run(work))
        await asyncio.sleep(0)
        dispatcher.close()
        assert done == [True]
        await task

    asyncio.run(call())


# Detours


def test_what_will_hash_is_run_again_in_the_threads_for_that() -> None:
    threads = []
    context = FakeContext()

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        threads.append(threading.current_thread().name)
        assert "noted" not in scope
        scope["noted"] = True
        if not context.may_hash:
            raise Detour
        await answer_nothing(send)

    assert run(app, context).status == 204
    assert threads == [context.rewound_in, context.closed_in]
    assert [name.rpartition("_")[0] for name in threads] == ["roster", "roster-hashing"]


def test_a_question_is_awaited_on_the_loop_while_no_thread_waits() -> None:
    places = []
    context = FakeContext()
    is_answered = False

    async def ask() -> None:
        nonlocal is_answered
        await asyncio.sleep(0)
        places.append(threading.current_thread().name)
        is_answered = True

    async def app(_scope: Scope, _: Receive, send: Send) -> None:
        places.append(threading.current_thread().name)
        if not is_answered:
            raise Detour(ask)
        await answer_nothing(send)

    assert run(app, context).status == 204
    assert places == ["roster_0", threading.main_thread().name, "roster_0"]
    assert context.rewound_in == context.closed_in == "roster_0"


def test_an_exchange_whose_question_is_refused_is_closed() -> None:
    context = FakeContext()

    async def ask() -> None:
        raise HTTPError(503, "Nobody knows.")

    async def app(*_: Any) -> None:
        raise Detour(ask)

    with pytest.raises(HTTPError, match="Nobody knows"):
        run(app, context)

    assert context.closed_in


def test_what_waits_for_nothing_is_answered_on_the_loop() -> None:
    places = []

    async def app(_scope: Scope, _: Receive, send: Send) -> None:
        places.append(threading.current_thread().name)
        variable.set("changed inside")
        await answer_nothing(send)

    context = FakeContext(is_immediate=True)

    assert run(app, context).status == 204
    assert places == [threading.main_thread().name] == [context.closed_in]
    assert variable.get() == "unset"


@pytest.mark.parametrize("may_hash", [False, True])
def test_more_than_may_wait_are_refused_at_once(*, may_hash: bool) -> None:
    release = threading.Event()

    async def app(_scope: Scope, _: Receive, send: Send) -> None:
        release.wait(60)
        await answer_nothing(send)

    async def call() -> None:
        dispatcher = Dispatcher(app, 1, queue=3, hashing_queue=3)
        threads = (dispatcher._hashing if may_hash else dispatcher._threads).number
        exchanges = [FakeContext() for _ in range(threads + 3)]
        tasks = []
        for context in exchanges:
            context.may_hash = may_hash
            tasks.append(asyncio.create_task(dispatcher(dict(SCOPE), cast(Any, context))))
            await taken_up(dispatcher, len(tasks), threads, may_hash=may_hash)
        over = FakeContext()
        over.may_hash = may_hash
        with pytest.raises(HTTPError) as refused:
            await dispatcher(dict(SCOPE), cast(Any, over))
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
        assert over.closed_in
        other = FakeContext()
        other.may_hash = not may_hash
        last = asyncio.create_task(dispatcher(dict(SCOPE), cast(Any, other)))
        release.set()
        assert {(await task).status for task in [*tasks, last]} == {204}
        dispatcher.close()

    asyncio.run(call())


async def taken_up(dispatcher: Dispatcher, sent: int, threads: int, *, may_hash: bool) -> None:
    """Wait until as many calls are in threads as can be."""
    calls = (dispatcher._hashing if may_hash else dispatcher._threads)._calls
    deadline = time.monotonic() + 60
    await asyncio.sleep(0)
    while calls.qsize() > max(0, sent - threads):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


# Memory


def test_memory_is_given_back_when_nobody_has_hashed_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_back: list[float] = []
    monkeypatch.setattr(memory, "give_back", lambda: given_back.append(time.monotonic()))
    monkeypatch.setattr("roster.server.dispatch._REST_SECONDS", 0.5)

    async def app(*_: Any) -> None:
        raise LookupError("broken")

    async def call(dispatcher: Dispatcher, *, hashes: bool) -> float:
        context: Any = FakeContext()
        context.may_hash = hashes
        with pytest.raises(LookupError):
            await dispatcher(dict(SCOPE), context)
        return time.monotonic()

    async def call_several_times() -> float:
        dispatcher = Dispatcher(app, threads=1)
        await call(dispatcher, hashes=False)
        await asyncio.sleep(0.6)
        assert given_back == []
        await call(dispatcher, hashes=True)
        await asyncio.sleep(0.02)
        last = await call(dispatcher, hashes=True)
        await asyncio.sleep(1)
        await call(dispatcher, hashes=True)
        dispatcher.close()
        await asyncio.sleep(0.6)
        return last

    last = asyncio.run(call_several_times())

    [moment] = given_back
    assert moment - last >= 0.4


def test_nothing_is_given_back_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[None] = []
    monkeypatch.setattr(memory, "give_back", lambda: given_back.append(None))
    monkeypatch.setattr("roster.server.dispatch._REST_SECONDS", 0.01)

    async def call_too_late() -> None:
        dispatcher = Dispatcher(cast(Any, None), threads=1)
        dispatcher.close()
        context: Any = FakeContext()
        context.may_hash = True
        with pytest.raises(RuntimeError, match="have ended"):
            await dispatcher(dict(SCOPE), context)
        await asyncio.sleep(0.05)

    asyncio.run(call_too_late())

    assert given_back == []

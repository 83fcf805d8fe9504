"""The worker: connexion's stack and Flask run in one thread, whose answer comes back whole."""

import asyncio
import threading
import time
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send

from roster import memory
from roster.worker import Worker, step_through
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


class FakeExchange:
    """An exchange that knows whether it was closed, and in which thread."""

    closed_in: str | None = None
    operation = None

    def close(self) -> None:
        self.closed_in = threading.current_thread().name


def run(app: Any, exchange: FakeExchange) -> Any:
    worker = Worker(app, threads=1)
    try:
        return asyncio.run(worker(dict(SCOPE), cast(Any, exchange)))
    finally:
        worker.close()


def test_an_answer_is_made_in_one_thread_that_is_not_the_loops() -> None:
    threads = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        threads.append(threading.current_thread().name)
        assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"\xe4")]})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body"})

    exchange = FakeExchange()
    made = run(app, exchange)

    assert (made.status, made.raw_headers, made.body) == (201, [(b"x-a", b"\xe4")], b"one")
    assert threads == [exchange.closed_in]
    assert threads[0].startswith("roster")


def test_an_exchange_is_closed_after_an_error_too() -> None:
    async def app(*_: Any) -> None:
        raise LookupError("broken")

    exchange = FakeExchange()
    with pytest.raises(LookupError):
        run(app, exchange)

    assert exchange.closed_in


def test_context_variables_reach_the_threads_and_do_not_come_back() -> None:
    def change() -> str:
        found = variable.get()
        variable.set("changed inside")
        return found

    async def call() -> tuple[str, str]:
        variable.set("set outside")
        worker = Worker(cast(Any, None), threads=1)
        try:
            return await worker.run(change), await worker.run(change)
        finally:
            worker.close()

    assert asyncio.run(call()) == ("set outside", "set outside")


def test_the_loop_goes_on_while_a_thread_is_busy() -> None:
    async def call() -> list[str]:
        worker = Worker(cast(Any, None), threads=1)
        release = threading.Event()
        order = []
        busy = asyncio.create_task(worker.run(release.wait))
        await asyncio.sleep(0)
        order.append("loop")
        release.set()
        await busy
        order.append("thread")
        worker.close()
        return order

    assert asyncio.run(call()) == ["loop", "thread"]


def test_closing_waits_for_what_is_under_way() -> None:
    done = []

    async def call() -> None:
        worker = Worker(cast(Any, None), threads=1)

        def work() -> None:
            time.sleep(0.05)
            done.append(True)

        task = asyncio.create_task(worker.run(work))
        await asyncio.sleep(0)
        worker.close()
        assert done == [True]
        await task

    asyncio.run(call())


# Memory


def test_memory_is_given_back_when_nobody_has_hashed_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_back: list[float] = []
    monkeypatch.setattr(memory, "give_back", lambda: given_back.append(time.monotonic()))
    monkeypatch.setattr("roster.worker._REST_SECONDS", 0.1)

    async def app(*_: Any) -> None:
        raise LookupError("broken")

    async def call(worker: Worker, *, hashes: bool) -> float:
        exchange: Any = FakeExchange()
        exchange.operation = SimpleNamespace(computes_hash=hashes)
        with pytest.raises(LookupError):
            await worker(dict(SCOPE), exchange)
        return time.monotonic()

    async def call_several_times() -> float:
        worker = Worker(app, threads=1)
        await call(worker, hashes=False)
        await asyncio.sleep(0.15)
        assert given_back == []
        await call(worker, hashes=True)
        await asyncio.sleep(0.02)
        last = await call(worker, hashes=True)
        await asyncio.sleep(0.3)
        await call(worker, hashes=True)
        worker.close()
        await asyncio.sleep(0.15)
        return last

    last = asyncio.run(call_several_times())

    [moment] = given_back
    assert moment - last >= 0.09


def test_nothing_is_given_back_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[None] = []
    monkeypatch.setattr(memory, "give_back", lambda: given_back.append(None))
    monkeypatch.setattr("roster.worker._REST_SECONDS", 0.01)

    async def call_too_late() -> None:
        worker = Worker(cast(Any, None), threads=1)
        worker.close()
        exchange: Any = FakeExchange()
        exchange.operation = SimpleNamespace(computes_hash=True)
        with pytest.raises(RuntimeError, match="have ended"):
            await worker(dict(SCOPE), exchange)
        await asyncio.sleep(0.05)

    asyncio.run(call_too_late())

    assert given_back == []

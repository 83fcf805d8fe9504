"""The threads do what an executor's do."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from roster.server.threads import BusyError, Threads

variable: ContextVar[str] = ContextVar("variable", default="unset")


class Executor:
    """The standard library's executor, as it would be used instead."""

    def __init__(self, number: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=name)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, copy_context().run, function, *arguments)

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture(params=[Threads, Executor])
def threads(request: pytest.FixtureRequest) -> Any:
    made = request.param(2, "name")
    yield made
    made.close()


def test_a_call_returns_what_the_function_does(threads: Any) -> None:
    assert asyncio.run(threads.run(divmod, 7, 2)) == (3, 1)


@pytest.mark.parametrize("error", [LookupError("broken"), SystemExit(3)])
def test_a_call_raises_what_the_function_does(threads: Any, error: BaseException) -> None:
    def fail() -> None:
        raise error

    async def call() -> BaseException:
        try:
            await threads.run(fail)
        except BaseException as raised:  # noqa: BLE001
            return raised
        raise AssertionError("Nothing was raised.")

    assert asyncio.run(call()) is error
    assert asyncio.run(threads.run(len, "abc")) == 3


def test_the_context_reaches_the_thread_and_does_not_come_back(threads: Any) -> None:
    def change() -> str:
        found = variable.get()
        variable.set("changed inside")
        return found

    async def call() -> tuple[str, str, str]:
        variable.set("set outside")
        return await threads.run(change), await threads.run(change), variable.get()

    assert asyncio.run(call()) == ("set outside",) * 3


def test_calls_run_beside_each_other_but_no_more_than_there_are_threads(threads: Any) -> None:
    both = threading.Barrier(2)
    names = set()

    def meet() -> None:
        names.add(threading.current_thread().name)
        both.wait(10)

    async def call() -> None:
        await asyncio.gather(*(threads.run(meet) for _ in range(6)))

    asyncio.run(call())
    assert names == {"name_0", "name_1"}


def test_a_call_that_is_cancelled_hurts_nobody(threads: Any) -> None:
    release = threading.Event()

    async def call() -> int:
        task = asyncio.create_task(threads.run(release.wait))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release.set()
        answer: int = await threads.run(len, "abc")
        return answer

    assert asyncio.run(call()) == 3


def test_an_answer_for_a_loop_that_is_closed_is_dropped(threads: Any) -> None:
    release = threading.Event()

    async def leave() -> None:
        task = asyncio.create_task(threads.run(release.wait))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    release.set()
    assert asyncio.run(threads.run(len, "abc")) == 3


def test_nothing_of_a_call_is_kept(threads: Any) -> None:
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    assert asyncio.run(threads.run(id, thing)) == id(thing)
    del thing
    deadline = time.monotonic() + 10
    while gone() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert gone() is None


def test_closing_waits_for_what_is_waiting_and_under_way(threads: Any) -> None:
    done = []

    def work(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    async def call() -> None:
        tasks = [asyncio.create_task(threads.run(work, number)) for number in range(5)]
        await asyncio.sleep(0)
        threads.close()
        assert sorted(done) == [0, 1, 2, 3, 4]
        await asyncio.gather(*tasks)

    asyncio.run(call())
    with pytest.raises(RuntimeError):
        asyncio.run(threads.run(int))


def test_threads_start_with_the_first_call() -> None:
    before = threading.active_count()
    made = Threads(3, "name")
    assert threading.active_count() == before
    asyncio.run(made.run(int))
    assert threading.active_count() == before + 3
    made.close()
    assert threading.active_count() == before


def test_a_queue_has_a_greatest_length_and_calls_beyond_it_fail_at_once() -> None:
    threads = Threads(1, "name", longest_queue=2)
    release = threading.Event()
    begun = threading.Event()

    def wait() -> bool:
        begun.set()
        return release.wait(60)

    async def call() -> None:
        tasks = [asyncio.create_task(threads.run(wait))]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(begun.wait, 60)
        tasks += [asyncio.create_task(threads.run(wait)) for _ in range(2)]
        await asyncio.sleep(0)
        for _ in range(3):
            with pytest.raises(BusyError):
                await threads.run(wait)
        release.set()
        assert await asyncio.gather(*tasks) == [True] * 3
        assert await threads.run(len, "abc") == 3

    asyncio.run(call())
    threads.close()


def test_a_call_that_waits_too_long_is_given_up_and_never_begun() -> None:
    threads = Threads(1, "name", patience=0.05)
    release, begun = threading.Event(), threading.Event()
    called: list[int] = []

    def wait() -> bool:
        begun.set()
        return release.wait(60)

    async def call() -> None:
        under_way = asyncio.create_task(threads.run(wait))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(begun.wait, 60)
        late = [threads.run(called.append, number) for number in range(3)]
        assert [type(each) for each in await asyncio.gather(*late, return_exceptions=True)] == [
            BusyError
        ] * 3
        release.set()
        assert await under_way, "What has begun is not given up."
        await threads.run(called.append, 3)

    for _ in range(2):  # on a second event loop too
        release.clear()
        begun.clear()
        called.clear()
        asyncio.run(call())
        assert called == [3]
    threads.close()


def test_an_iteration_that_stops_is_an_error_not_a_call_without_end() -> None:
    # The executor's call would never end: its future does not take this exception.
    threads = Threads(1, "name")

    def stop() -> None:
        next(iter(()))

    try:
        with pytest.raises(RuntimeError, match="StopIteration") as raised:
            asyncio.run(asyncio.wait_for(threads.run(stop), 10))
    finally:
        threads.close()

    assert isinstance(raised.value.__cause__, StopIteration)

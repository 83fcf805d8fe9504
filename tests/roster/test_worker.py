"""The worker: connexion's stack and Flask run in one thread, and Flask as behind a2wsgi."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, cast

import pytest
from a2wsgi import WSGIMiddleware
from starlette.types import Message, Receive, Scope, Send

from roster.worker import FlaskInPlace, Worker, step_through
from tests.roster.raw import body_of, converse, http_scope

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

variable: ContextVar[str] = ContextVar("variable", default="unset")


def in_place(app: WSGI) -> FlaskInPlace:
    return FlaskInPlace(cast(Any, SimpleNamespace(wsgi_app=app)))


def behind_a2wsgi(app: WSGI) -> Any:
    # It wants a loop when it is made for each request, and gets it there.
    return WSGIMiddleware(cast(Any, app))


BRIDGES: list[Callable[[WSGI], Any]] = [in_place, behind_a2wsgi]

SCOPE = http_scope(
    "POST",
    "/api/v1/usérs",
    query=b"a=1&b=%C3%A4",
    headers=[
        (b"content-type", b"text/plain"),
        (b"content-length", b"11"),
        (b"x-twice", b"one"),
        (b"x-twice", b"two"),
        (b"x-latin", b"\xe4"),
        (b"if-none-match", b'"x"'),
    ],
)


def answer_of(messages: list[Message]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    start, *bodies = messages
    return start["status"], start["headers"], b"".join(each["body"] for each in bodies)


def both(app: WSGI, body: bytes = b"hello world") -> tuple[Any, Any]:
    """Send the same request over both bridges; return what each answers."""
    ours, theirs = (
        answer_of(converse(bridge(app), dict(SCOPE), body_of(body))) for bridge in BRIDGES
    )
    return ours, theirs


class Pieces:
    """An iterable that knows whether it was closed."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1


def as_list(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"one", b"two"]


def as_generator(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [])
    yield b"one"
    yield b""
    yield b"two"


def without_content(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("204 NO CONTENT", [])
    return []


def with_odd_status(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("299 Odd But Allowed", [])
    return [b"x"]


def with_headers(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start(
        "200 OK",
        [("Set-Cookie", "a=1"), ("SET-COOKIE", "b=2"), ("X-Latin", "\xe4"), ("X-Empty", "")],
    )
    return [b""]


def by_write(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    write = start("200 OK", [])
    write(b"one")
    write(b"two")
    return [b"three"]


def by_write_in_between(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    write = start("200 OK", [])
    yield b"one"
    write(b"two")
    yield b"three"


def echo(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [])
    return [environ["wsgi.input"].read()]


def read_in_parts(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [])
    read = environ["wsgi.input"].read
    return [read(3), b"|", read(3), b"|", read(100), b"|", read(1)]


def read_lines(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [])
    return [environ["wsgi.input"].readline(), b"|", environ["wsgi.input"].read()]


def tell_the_environ(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [])
    told = {
        name: value
        for name, value in environ.items()
        if name not in {"wsgi.input", "wsgi.errors", "asgi.scope"}
    }
    return [repr(sorted(told.items())).encode()]


def tell_the_context(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", [])
    yield variable.get().encode()


@pytest.mark.parametrize(
    "app",
    [
        as_list,
        as_generator,
        without_content,
        with_odd_status,
        with_headers,
        by_write,
        by_write_in_between,
        echo,
        read_in_parts,
        tell_the_environ,
    ],
)
def test_an_application_answers_as_behind_a2wsgi(app: WSGI) -> None:
    ours, theirs = both(app)

    assert ours == theirs


def test_a_body_is_read_by_lines_as_behind_a2wsgi() -> None:
    ours, theirs = both(read_lines, body=b"one\ntwo\nthree")

    assert ours == theirs
    assert ours[2] == b"one\n|two\nthree"


def test_an_empty_body_is_read_as_behind_a2wsgi() -> None:
    ours, theirs = both(echo, body=b"")

    assert ours == theirs
    assert ours[2] == b""


def test_an_environ_is_as_wsgi_has_it() -> None:
    seen: dict[str, Any] = {}

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        seen.update(environ)
        start("200 OK", [])
        return []

    converse(in_place(app), dict(SCOPE), body_of(b"hello world"))

    assert seen["REQUEST_METHOD"] == "POST"
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/api/v1/usérs"
    assert seen["QUERY_STRING"] == "a=1&b=%C3%A4"
    assert seen["CONTENT_LENGTH"] == "11"
    assert seen["HTTP_X_TWICE"] == "one,two"
    assert seen["asgi.scope"]["path"] == "/api/v1/usérs"


def test_context_variables_reach_the_application_as_behind_a2wsgi() -> None:
    token = variable.set("set outside")
    try:
        ours, theirs = both(tell_the_context)
    finally:
        variable.reset(token)

    assert ours == theirs
    assert ours[2] == b"set outside"


@pytest.mark.parametrize("bridge", BRIDGES)
def test_an_iterable_is_closed_once(bridge: Callable[[WSGI], Any]) -> None:
    pieces = Pieces(b"one", b"two")

    def app(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        return pieces

    status, _, body = answer_of(converse(bridge(app), dict(SCOPE), body_of(b"")))

    assert (status, body, pieces.closed) == (200, b"onetwo", 1)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_an_iterable_is_closed_after_an_error_too(bridge: Callable[[WSGI], Any]) -> None:
    pieces = Pieces(b"one", RuntimeError("broken"))

    def app(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        return pieces

    with pytest.raises(RuntimeError, match="broken"):
        converse(bridge(app), dict(SCOPE), body_of(b""))

    assert pieces.closed == 1


@pytest.mark.parametrize("bridge", BRIDGES)
def test_an_exception_of_the_application_comes_out(bridge: Callable[[WSGI], Any]) -> None:
    def app(_: dict[str, Any], _start: Callable[..., Any]) -> Iterable[bytes]:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        converse(bridge(app), dict(SCOPE), body_of(b""))


def test_nothing_is_sent_before_the_answer_is_whole() -> None:
    def app(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        yield b"one"
        raise RuntimeError("broken")

    sent: list[Message] = []

    async def receive() -> Message:
        return body_of(b"")[0]

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(in_place(app)(dict(SCOPE), receive, send))

    assert sent == []


def test_what_is_no_request_does_not_concern_flask() -> None:
    def app(*_: Any) -> Iterable[bytes]:
        raise AssertionError("Flask was called.")

    for kind in ("lifespan", "websocket"):
        assert converse(in_place(app), {"type": kind}, []) == []


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

    assert (made.status, made.headers, made.body) == (201, [("x-a", "\xe4")], b"one")
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

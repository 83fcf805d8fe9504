"""Writing: what is written of an answer is, to the byte, what uvicorn would write of it."""

import asyncio
import logging
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from roster.server.writing import WholeAnswers

DEFAULTS = [(b"date", b"Sun, 29 Nov 2026 12:00:00 GMT")]


class Transport:
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        return

    resume_reading = pause_reading


async def run(
    transport: Transport, messages: list[Message], method: str, keep_alive: bool, whole: bool
) -> tuple[Any, ...]:
    """Have an application send messages, and return the state of the connection afterwards."""
    ends: list[None] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    cycle = RequestResponseCycle(
        scope=cast(Any, {"type": "http", "method": method, "http_version": "1.1"}),
        transport=cast(Any, transport),
        flow=FlowControl(cast(Any, transport)),
        logger=logging.getLogger("tests.writing"),
        access_logger=logging.getLogger("tests.writing"),
        access_log=False,
        default_headers=DEFAULTS,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: ends.append(None),
    )
    await cycle.run_asgi(cast(Any, WholeAnswers(cycle, app, transport.close) if whole else app))
    return (
        cycle.response_started,
        cycle.response_complete,
        cycle.keep_alive,
        cycle.message_event.is_set(),
        cycle.waiting_for_100_continue,
        transport.is_closed,
        len(ends),
    )


def answered(
    messages: list[Message], *, whole: bool, method: str = "GET", keep_alive: bool = True
) -> tuple[Any, ...]:
    """Return what is written, and the state of the connection afterwards."""
    transport = Transport()
    state = asyncio.run(run(transport, messages, method, keep_alive, whole))
    return b"".join(transport.writes), state


def message(kind: str, **fields: Any) -> Message:
    return {"type": f"http.response.{kind}", **fields}


NAMES = st.sampled_from(
    [b"content-length", b"Content-Type", b"x-a", b"connection", b"transfer-encoding", b"x y", b""]
)
VALUES = st.sampled_from(
    [b"0", b"5", b"text/plain", b"close", b"keep-alive", b"chunked", b"a\tb", b"a\r\nb: c", b"\x00"]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
USUAL = st.just([(b"content-length", b"5"), (b"content-type", b"text/plain")])


@given(
    status=st.sampled_from([200, 201, 204, 303, 304, 404, 500]),
    headers=HEADERS | USUAL,
    bodies=st.lists(st.sampled_from([b"", b"hello", b"hell"]), max_size=3),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    keep_alive=st.booleans(),
)
def test_an_answer_is_written_as_uvicorn_writes_it(
    status: int,
    headers: list[tuple[bytes, bytes]],
    bodies: list[bytes],
    method: str,
    keep_alive: bool,
) -> None:
    messages: list[Message] = [
        {"type": "http.response.start", "status": status, "headers": headers}
    ]
    for number, body in enumerate(bodies, start=1):
        is_last = number == len(bodies)
        messages.append({"type": "http.response.body", "body": body, "more_body": not is_last})

    ours = answered(messages, whole=True, method=method, keep_alive=keep_alive)

    if bodies:
        assert ours == answered(messages, whole=False, method=method, keep_alive=keep_alive)
    else:  # the head is not written before the body comes: an error can still be told
        assert ours[0].startswith(b"HTTP/1.1 500 ")


def test_it_is_written_at_once() -> None:
    transport = Transport()
    headers = [(b"content-length", b"5")]
    messages: list[Message] = [
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": b"hello"},
    ]

    asyncio.run(run(transport, messages, "GET", keep_alive=True, whole=True))

    [written] = transport.writes
    assert written.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert written.endswith(b"\r\ncontent-length: 5\r\n\r\nhello")


START = message("start", status=200, headers=[(b"content-length", b"0")])
END = message("body", body=b"")


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [message("body", body=b"hello")],
        [START, START],
        [START, message("trailers")],
        [START, END, START],
        [START, END, END],
        [message("start", status=204), END],
        [message("start", status=200, headers=[(bytearray(b"content-length"), b"0")]), END],
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_odd_messages_are_answered_as_by_uvicorn(messages: list[Message], method: str) -> None:
    ours, theirs = (answered(messages, whole=whole, method=method) for whole in (True, False))

    # What has not been sent yet can still be an error; uvicorn has sent the head by then.
    is_error_after_start = theirs[0].startswith(b"HTTP/1.1 200 ") and not theirs[1][1]
    assert ours == theirs or (is_error_after_start and ours[0].startswith(b"HTTP/1.1 500 "))

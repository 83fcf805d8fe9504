"""Pipelining: requests that come before the answers to others, and connections that end."""

import asyncio
import contextlib
import select
import signal
import socket
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.live import PATIENCE_SECONDS, LiveServer, read, serving
from tests.roster.server.test_protocol import (
    CHUNKED,
    HEAD,
    LONG,
    POST,
    Answered,
    connected,
    converse,
    memory,
    status_of,
    status_of_next,
)

pytestmark = pytest.mark.live

GET = HEAD + b"\r\n"
READY = GET.replace(b"/healthz", b"/readyz")
LARGE = GET.replace(b"/healthz", b"/api/v1/swagger-ui-bundle.js")
LOGIN = GET.replace(
    b"/healthz",
    b"/auth/oauth2/token?grant_type=password&client_id=documentation&username=root&password=q",
)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server that waits for ever."""
    with serving(tmp_path_factory.mktemp("patient"), **LONG) as server:
        yield server


def statuses(answer: bytes) -> list[int]:
    """Return the status of each answer; no body of those that are asked for holds such a line."""
    return [int(each[:3]) for each in answer.split(b"HTTP/1.1 ")[1:]]


# The order


@pytest.mark.parametrize(
    ("behind", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"GET http:// HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (HEAD + b"a: b\r\n" * 200 + b"\r\n", 431),
        (POST + b"Content-Length: 9, 9\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n", 400),
    ],
    ids=["garbage", "no URL", "no host", "large", "many headers", "two lengths", "no chunk"],
)
@pytest.mark.parametrize(
    "first", [[GET], [LOGIN], [READY, LOGIN, GET]], ids=["at once", "login", "three"]
)
def test_what_cannot_be_read_is_told_after_the_answers_before_it(
    patient: LiveServer, first: list[bytes], behind: bytes, status: int
) -> None:
    answer = converse(patient, b"".join(first) + behind)

    assert statuses(answer) == [200] * len(first) + [status]


def test_what_cannot_be_read_is_told_after_answers_that_are_read_slowly(
    patient: LiveServer,
) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE_SECONDS)
        client.connect(("127.0.0.1", patient.port))
        client.sendall(LARGE * 4)
        select.select([client], [], [], PATIENCE_SECONDS)
        client.sendall(b"garbage\r\n\r\n")
        answer = read(client)

    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert answer.endswith(b"Invalid HTTP request received.")
    assert answer.count(b"HTTP/1.1 400 ") == 1


def test_requests_wait_as_bytes_for_their_turn(patient: LiveServer) -> None:
    number = 10_000
    patient.client.get("/healthz")
    before = memory(patient)
    with connected(patient) as client:
        client.settimeout(PATIENCE_SECONDS)
        client.setblocking(False)
        waiting, answer = GET * number, b""
        while answer.count(b"HTTP/1.1 200 ") < number:
            readable, writable, _ = select.select(
                [client], [client] if waiting else [], [], PATIENCE_SECONDS
            )
            assert readable or writable
            if writable:
                waiting = waiting[client.send(waiting) :]
            if readable and not waiting:
                answer += client.recv(1 << 20)
        most = memory(patient)

    assert most - before < 10_000  # KiB


def test_who_sends_many_requests_keeps_nobody_waiting(patient: LiveServer) -> None:
    patient.client.get("/healthz")
    before = memory(patient)
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(connected(patient))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    client.send(GET * 10_000)
        time.sleep(0.5)  # for the server to read it
        assert patient.client.get("/healthz").status_code == 200
        # As requests they would take some 20 MiB on each connection.
        assert memory(patient) - before < 50_000


def test_all_that_has_arrived_is_answered_at_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as server, connected(server) as client:
        client.sendall(READY * 100)
        assert select.select([client], [], [], PATIENCE_SECONDS)[0]
        server.process.send_signal(signal.SIGTERM)

        assert statuses(read(client)) == [200] * 100


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    lines = b"".join(b"%x;a=b\r\n%b\r\n" % (len(each), each) for each in pieces)
    return CHUNKED + lines + b"0\r\nX-Trailer: 1\r\n\r\n"


def requests(random: Random) -> Iterator[tuple[bytes, int]]:
    """Yield requests of all forms without end, each with the status of its answer."""
    offer = b"Upgrade: h2c\r\nConnection: upgrade\r\n"
    while True:
        body = b'{"pad":"%b"}' % (b"x" * random.randrange(9000))
        head = POST + b"Content-Length: %d\r\n" % len(body)
        yield random.choice(
            [
                (GET, 200),
                (READY, 200),
                (HEAD + b"X: " + b"y" * random.randrange(5000) + b"\r\n\r\n", 200),
                (HEAD + offer + b"\r\n", 200),
                (GET.replace(b"/healthz", b"/api/v1/users/me"), 401),
                (head + b"\r\n" + body, 400),
                (head + offer + b"\r\n" + body, 400),
                (head.replace(b"/api/v1/users", b"/nowhere") + b"\r\n" + body, 404),
                (chunked(body, random.randint(1, 700)), 400),
            ]
        )


@pytest.mark.parametrize("seed", range(20))
def test_requests_mean_the_same_however_they_are_divided(patient: LiveServer, seed: int) -> None:
    random = Random(seed)
    for most in (60, 3000, 1_000_000):
        given = [*islice(requests(random), random.randint(1, 10))]
        stream = b"".join(sent for sent, _ in given)
        pieces = []
        while stream:
            size = random.randint(1, most)
            pieces.append(stream[:size])
            stream = stream[size:]

        assert statuses(converse(patient, *pieces, end=True)) == [status for _, status in given]


# The end of one side


@pytest.mark.parametrize("sent", [GET, READY, LOGIN, READY * 3, (READY + LOGIN) * 40], ids=len)
def test_a_client_that_sends_no_more_gets_its_answers(patient: LiveServer, sent: bytes) -> None:
    number = sent.count(b"GET ")

    assert statuses(converse(patient, sent, end=True)) == [200] * number


@pytest.mark.parametrize(
    ("sent", "number"),
    [
        (b"", 0),
        (HEAD, 0),
        (POST + b"Content-Length: 9\r\n\r\n{", 0),
        (READY + HEAD, 1),
        (READY + READY + POST + b"Content-Length: 9\r\n\r\n{", 2),
    ],
    ids=["nothing", "half a head", "half a body", "a half one behind", "half a body behind"],
)
def test_what_will_not_be_whole_is_not_answered(
    patient: LiveServer, sent: bytes, number: int
) -> None:
    assert statuses(converse(patient, sent, end=True)) == [200] * number


@pytest.mark.parametrize("tail", [b"\r\n", b"garbage\r\n\r\n"], ids=["line end", "garbage"])
def test_who_reads_nothing_keeps_no_place_by_sending_more(
    monkeypatch: pytest.MonkeyPatch, tail: bytes
) -> None:
    async def run() -> bool:
        connection = await Answered(2, monkeypatch)(unread=1)
        transport: Any = connection.transport
        transport.close.side_effect = lambda: setattr(transport.is_closing, "return_value", True)
        soon = {"head_seconds": 0.01, "body_seconds": 0.01}
        connection._settings = connection._settings.model_copy(update=soon)
        connection.data_received(tail)
        await asyncio.sleep(0.2)
        return bool(transport.abort.called)

    assert asyncio.run(run())


@pytest.mark.parametrize("path", [b"/nowhere", b"/api/v1/users"], ids=["404", "413"])
def test_an_early_answer_is_not_lost_where_the_connection_ends(
    patient: LiveServer, path: bytes
) -> None:
    head = (
        POST.replace(b"/api/v1/users", path) + b"Connection: close\r\nContent-Length: 3000000\r\n"
    )
    for _ in range(10):
        with connected(patient) as client:
            client.sendall(head + b"\r\n")
            for _ in range(30):
                client.sendall(b"x" * 100_000)
            assert status_of_next(client) in {404, 413}


# Hosts and versions


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_a_request_names_one_host(patient: LiveServer, sent: bytes, status: int) -> None:
    assert status_of(converse(patient, sent)) == status


def test_nobody_tells_http_1_0_to_go_on(patient: LiveServer) -> None:
    head = POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Expect: 100-continue\r\nContent-Length: 2\r\n"

    assert status_of(converse(patient, head + b"\r\n{}")) == 400

"""The protocol: what a client may send, how much of it, and how long it may take."""

import asyncio
import contextlib
import gc
import json
import resource
import select
import signal
import socket
import sysconfig
import time
import weakref
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx2
import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from roster import settings
from roster.server import protocol
from roster.server.capacity import REFUSED_POLITELY
from tests.live import PATIENCE_SECONDS, ROSTER, LiveServer, read, serving

pytestmark = pytest.mark.live

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = {"ROSTER_HEAD_SECONDS": "3600", "ROSTER_BODY_SECONDS": "3600"}
SHORT = {
    "ROSTER_HEAD_SECONDS": "1",
    "ROSTER_BODY_SECONDS": "1",
    "ROSTER_IDLE_SECONDS": "5",
}


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server that waits for ever, so that what it closes it closes for another reason."""
    with serving(tmp_path_factory.mktemp("patient"), **LONG) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server that waits for a second."""
    with serving(tmp_path_factory.mktemp("hasty"), **SHORT) as server:
        yield server


@contextlib.contextmanager
def connected(server: LiveServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as client:
        yield client


def converse(server: LiveServer, *pieces: bytes, end: bool = False) -> bytes:
    """Send pieces on one connection; return what comes until the server closes it."""
    with connected(server) as client:
        # A server that has enough closes, whatever is still on the way to it.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                client.sendall(piece)
            if end:
                client.shutdown(socket.SHUT_WR)
        return read(client)


def status_of_next(client: socket.socket) -> int:
    """Read one whole answer, in as many pieces as it comes; the connection stays open."""
    response = HTTPResponse(client)
    response.begin()
    response.read()
    return response.status


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:100]
    return int(answer[9:12])


def memory(server: LiveServer) -> int:
    """Return how many KiB of memory a server has."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def sockets(server: LiveServer) -> int:
    """Return how many files and connections a server has open."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def wait_for_sockets(server: LiveServer, number: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sockets(server) != number:
        assert time.monotonic() < deadline, "A connection stays."
        time.sleep(0.02)


# How much


def test_a_head_of_a_hundred_headers_is_taken(patient: LiveServer) -> None:
    head = HEAD + b"a: b\r\n" * 98 + b"Connection: close\r\n\r\n"

    assert status_of(converse(patient, head)) == 200


def test_a_head_of_almost_64_kib_is_taken_however_it_arrives(patient: LiveServer) -> None:
    head = HEAD + b"Connection: close\r\nX: " + b"x" * 65000 + b"\r\n\r\n"

    assert status_of(converse(patient, head)) == 200
    with connected(patient) as client:
        for start in range(0, len(head), 6500):
            client.sendall(head[start : start + 6500])
            time.sleep(0.01)
        assert status_of(read(client)) == 200


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"a: b\r\n" * 100 + b"\r\n",
        HEAD + b"a: b\r\n" * 10_000 + b"\r\n",
        HEAD + b"a: b\r\n" * 1000,
        HEAD + b"X: " + b"x" * 65536 + b"\r\n\r\n",
        HEAD + b"X: " + b"x" * 1_000_000,
        HEAD + b"x" * 1_000_000,
        HEAD + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * 1_000_000,
        b"GET /healthz?" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"\r\n" * 100_000,
        HEAD + b"\r\n" + HEAD + b"X: " + b"x" * 1_000_000,
    ],
    ids=[
        "101 headers",
        "10,000 headers",
        "1,000 headers without end",
        "a header of 64 KiB",
        "a header without end",
        "a name without end",
        "a header of 1 MB",
        "a path of 70 kB",
        "a path without end",
        "a query of 1 MB",
        "line ends",
        "a second head",
    ],
)
def test_a_head_that_is_too_large_is_refused(patient: LiveServer, head: bytes) -> None:
    answer = converse(patient, head)

    # What is still on the way when the server closes may cost the client the answer.
    assert not answer or b"HTTP/1.1 431 " in answer or status_of(answer) == 200
    assert patient.client.get("/healthz").status_code == 200


def test_who_reads_its_answer_is_told_why(patient: LiveServer) -> None:
    answer = converse(patient, HEAD + b"a: b\r\n" * 100 + b"\r\n")

    assert status_of(answer) == 431
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    "more",
    [
        b"2;" + b"x" * 1_000_000,
        b"2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 100_000,
        b"2\r\n{}\r\n0\r\nX: " + b"x" * 1_000_000,
    ],
    ids=["an extension of a chunk", "trailers", "a trailer"],
)
def test_what_is_no_data_of_a_body_is_bounded_too(patient: LiveServer, more: bytes) -> None:
    answer = converse(patient, CHUNKED, more)

    assert not answer or status_of(answer) in {400, 431}
    assert patient.client.get("/healthz").status_code == 200


def test_memory_does_not_grow_with_what_is_refused(patient: LiveServer) -> None:
    converse(patient, HEAD + b"X: " + b"x" * 1_000_000)
    before = memory(patient)

    for _ in range(3):
        clients = [
            socket.create_connection(("127.0.0.1", patient.port), PATIENCE_SECONDS)
            for _ in range(20)
        ]
        for client in clients:
            with contextlib.suppress(ConnectionError), client:
                client.sendall(HEAD + b"X: " + b"x" * 4_000_000)

    assert memory(patient) - before < 64 * 1024


def test_trailers_are_no_headers(patient: LiveServer) -> None:
    form = b"grant_type=password&client_id=documentation&username=root&password=q"
    token = json.loads(
        patient.client.post(
            "/auth/oauth2/token",
            content=form,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ).content
    )["access_token"]
    head = CHUNKED.replace(b"/users", b"/teams").replace(b"Host", b"Connection: close\r\nHost")
    trailer = f"Authorization: Bearer {token}\r\n\r\n".encode()

    answer = converse(patient, head + b'15\r\n{"title": "Analysts"}\r\n0\r\n' + trailer)

    assert status_of(answer) == 401


# How long


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((), None),
        ((b"\r\n",), None),
        ((b"GET",), 408),
        ((HEAD,), 408),
        ((HEAD[:7], HEAD[7:20], HEAD[20:]), 408),
        ((POST + b"Content-Length: 100\r\n\r\n",), 408),
        ((POST + b"Content-Length: 900000\r\n\r\n" + b" " * 800_000,), 408),
        ((CHUNKED, b"2\r\n{"), 408),
        ((CHUNKED, b"2\r\n{}\r\n0\r\n"), 408),
        ((HEAD + b"Content-Length: 100\r\n\r\n",), 200),
        ((HEAD + b"\r\n" + HEAD,), 200),
        ((HEAD + b"\r\n",), 200),
    ],
    ids=[
        "silence",
        "line ends",
        "a word",
        "half a head",
        "half a head in pieces",
        "no body",
        "half a body",
        "half a chunk",
        "half the trailers",
        "a body that nobody reads",
        "half of a second head",
        "an idle connection",
    ],
)
def test_who_does_not_go_on_is_not_waited_for(
    hasty: LiveServer, pieces: tuple[bytes, ...], status: int | None
) -> None:
    answer = converse(hasty, *pieces)

    assert (status_of(answer) if answer else None) == status


def test_who_sends_byte_by_byte_is_not_waited_for_either(hasty: LiveServer) -> None:
    with connected(hasty) as client:
        sent = 0
        with contextlib.suppress(ConnectionError):
            while not select.select([client], [], [], 0.05)[0]:
                client.sendall(b"GET /healthz HTTP/1.1\r\nX: " if not sent else b"x")
                sent += 1
        assert status_of(read(client)) == 408


def test_who_sends_a_body_byte_by_byte_is_not_waited_for_either(hasty: LiveServer) -> None:
    with connected(hasty) as client:
        client.sendall(POST + b"Content-Length: 100000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not select.select([client], [], [], 0.05)[0]:
                client.sendall(b" ")
        assert status_of(read(client)) == 408


def test_who_does_not_read_its_answers_is_not_waited_for(hasty: LiveServer) -> None:
    hasty.client.get("/healthz")
    before = sockets(hasty)
    asked = b"GET /api/v1/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", hasty.port))
        client.sendall(asked * 20)
        wait_for_sockets(hasty, before)


def test_each_request_of_a_connection_has_its_own_time(tmp_path: Path) -> None:
    with serving(tmp_path, ROSTER_HEAD_SECONDS="3") as server, connected(server) as client:
        for _ in range(3):
            client.sendall(HEAD)
            time.sleep(1.2)  # together more than each of them has
            client.sendall(b"\r\n")
            assert status_of_next(client) == 200


def test_a_body_may_arrive_in_two_pieces(hasty: LiveServer) -> None:
    with connected(hasty) as client:
        client.sendall(POST + b"Connection: close\r\nContent-Length: 2\r\n\r\n{")
        client.sendall(b"}")
        assert status_of(read(client)) == 400


# How many


def test_more_connections_than_there_may_be_are_told_so(tmp_path: Path) -> None:
    with serving(tmp_path, ROSTER_CONNECTIONS="4", **LONG) as server:
        server.client.close()
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                client = stack.enter_context(connected(server))
                client.sendall(HEAD + b"\r\n")
                assert status_of_next(client) == 200
                client.sendall(b"G")
            assert status_of(converse(server, HEAD + b"\r\n")) == 503
            many = [stack.enter_context(connected(server)) for _ in range(60)]
            # Beyond those that are told, the others are closed without a word.
            closed, _, _ = select.select(many, [], [], PATIENCE_SECONDS)
            assert closed
        deadline = time.monotonic() + PATIENCE_SECONDS
        while status_of(converse(server, HEAD + b"Connection: close\r\n\r\n")) == 503:
            assert time.monotonic() < deadline


def served(server: LiveServer, stack: contextlib.ExitStack) -> socket.socket:
    """Connect, and have a request answered; the connection is idle then."""
    client = stack.enter_context(connected(server))
    client.sendall(HEAD + b"\r\n")
    assert status_of_next(client) == 200
    return client


def is_open(client: socket.socket) -> bool:
    """Tell whether a server that has answered everything still serves the connection."""
    with contextlib.suppress(ConnectionError):
        client.sendall(HEAD + b"\r\n")
        return bool(client.recv(65536))
    return False


def test_a_request_takes_the_place_of_the_connection_that_has_been_idle_longest(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path, ROSTER_CONNECTIONS="4", **LONG) as server,
        contextlib.ExitStack() as stack,
    ):
        server.client.close()
        idle = [served(server, stack) for _ in range(4)]
        # Used again, the first is not the one any more that has waited longest.
        assert is_open(idle[0])
        # Silent connections drive nobody out, and are in nobody's way.
        silent = [stack.enter_context(connected(server)) for _ in range(3)]
        time.sleep(0.1)
        new = [served(server, stack) for _ in range(2)]
        assert [is_open(client) for client in (*idle, *new)] == [True, False, False] + [True] * 3
        silent[0].sendall(HEAD + b"Upgrade: h2c\r\nConnection: upgrade\r\n\r\n")
        assert status_of_next(silent[0]) == 200
        assert [is_open(client) for client in (idle[0], idle[3], *new)] == [False] + [True] * 3


def test_a_connection_whose_answer_came_before_its_body_makes_room(tmp_path: Path) -> None:
    head = POST.replace(b"/api/v1/users", b"/nowhere") + b"Content-Length: 2\r\n\r\n"
    with (
        serving(tmp_path, ROSTER_CONNECTIONS="1", **SHORT) as server,
        connected(server) as client,
        contextlib.ExitStack() as stack,
    ):
        server.client.close()
        client.sendall(head)
        assert status_of_next(client) == 404
        client.sendall(b"{}")
        time.sleep(2)  # longer than a next head may take, once it has begun
        assert is_open(client)
        client.sendall(head)
        assert status_of_next(client) == 404
        client.sendall(b"{}")
        time.sleep(0.1)
        served(server, stack)
        assert client.recv(1) == b""


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_body_that_may_never_come_is_not_waited_for(patient: LiveServer, body: bytes) -> None:
    head = POST.replace(b"/api/v1/users", b"/nowhere") + b"Content-Length: 2\r\n"
    with connected(patient) as client:
        client.sendall(head + b"Expect: 100-continue\r\n\r\n" + body)
        answer = HTTPResponse(client)
        answer.begin()
        answer.read()
        assert answer.status == 404
        # With its body, the request has come to its end.
        assert answer.getheader("Connection") == (None if body else "close")
        assert is_open(client) is bool(body)


def test_a_connection_whose_client_was_slow_makes_room_when_it_has_read(tmp_path: Path) -> None:
    large = b"GET /api/v1/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        serving(tmp_path, ROSTER_CONNECTIONS="1", **LONG) as server,
        socket.socket() as client,
        contextlib.ExitStack() as stack,
    ):
        server.client.close()
        # So little that much of the answers stays with the server.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE_SECONDS)
        client.connect(("127.0.0.1", server.port))
        client.sendall(large * 5)
        select.select([client], [], [], PATIENCE_SECONDS)
        assert status_of(converse(server, HEAD + b"\r\n")) == 503
        reader = client.makefile("rb")
        for _ in range(5):
            length = next(int(line[15:]) for line in reader if line[:15] == b"content-length:")
            while reader.readline() != b"\r\n":
                pass
            assert len(reader.read(length)) == length
        served(server, stack)


def test_a_connection_on_which_a_request_has_arrived_is_not_closed(tmp_path: Path) -> None:
    with (
        serving(tmp_path, ROSTER_CONNECTIONS="2", **LONG) as server,
        contextlib.ExitStack() as stack,
    ):
        server.client.close()
        first, second = (served(server, stack) for _ in range(2))
        new = stack.enter_context(connected(server))
        time.sleep(0.1)
        # The server reads both at once, the new one's first.
        server.process.send_signal(signal.SIGSTOP)
        for client in (new, first):
            client.sendall(HEAD + b"\r\n")
            time.sleep(0.01)
        server.process.send_signal(signal.SIGCONT)
        assert [status_of_next(client) for client in (new, first)] == [200, 200]
        assert second.recv(1) == b""


@pytest.mark.parametrize("sent", [b"", b"GET /heal"], ids=["nothing", "half a head"])
def test_who_asks_is_served_however_many_others_ask_nothing(tmp_path: Path, sent: bytes) -> None:
    with (
        serving(tmp_path, ROSTER_CONNECTIONS="2", **LONG) as server,
        contextlib.ExitStack() as stack,
    ):
        server.client.close()
        silent = []
        for _ in range(2 + REFUSED_POLITELY):
            silent.append(stack.enter_context(connected(server)))
            silent[-1].sendall(sent)
        served(server, stack)
        assert silent[0].recv(1) == b""
        ended, _, _ = select.select(silent[1:], [], [], 0.1)
        assert not ended
        served(server, stack)
        assert silent[1].recv(1) == b""


def test_a_connection_whose_first_request_has_arrived_makes_no_room(tmp_path: Path) -> None:
    with (
        serving(tmp_path, ROSTER_CONNECTIONS="2", **LONG) as server,
        contextlib.ExitStack() as stack,
    ):
        server.client.close()
        several = range(2 + REFUSED_POLITELY)
        first, second, *_ = (stack.enter_context(connected(server)) for _ in several)
        time.sleep(0.1)
        # The server sees the new connection before it reads what the first has sent.
        server.process.send_signal(signal.SIGSTOP)
        new = stack.enter_context(connected(server))
        time.sleep(0.01)
        first.sendall(HEAD + b"\r\n")
        server.process.send_signal(signal.SIGCONT)
        assert status_of_next(first) == 200
        assert second.recv(1) == b""
        new.sendall(HEAD + b"\r\n")
        assert status_of_next(new) == 200


class Answered:
    """Connections without a network, on each of which one request has been answered."""

    def __init__(self, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(protocol, "_most", lambda: most)
        self._config, self._state = Config(self._answer, log_config=None), ServerState()
        self._config.load()

    async def __call__(self, unread: int = 0) -> protocol.Bounded:
        """Make a connection, so many bytes of whose answer have not left."""
        transport = Mock(**{"is_closing.return_value": False})
        transport.get_write_buffer_size.return_value = unread
        transport.get_extra_info.return_value = None
        connection = protocol.Bounded(self._config, self._state, {})
        connection.connection_made(transport)
        connection.data_received(HEAD + b"\r\n")
        await asyncio.sleep(0)
        return connection

    @staticmethod
    async def _answer(_scope: Any, _receive: Any, send: Any) -> None:
        length = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body"})


def test_a_connection_makes_room_when_its_client_has_the_whole_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> list[list[bool]]:
        connect = Answered(2, monkeypatch)
        made: list[Any] = [await connect(unread) for unread in (1, 0, 0)]
        before = [connection.transport.close.called for connection in made]
        made[0].transport.get_write_buffer_size.return_value = 0
        made.append(await connect())
        return [before, [connection.transport.close.called for connection in made]]

    assert asyncio.run(run()) == [[False, True, False], [True, True, False, False]]


def test_many_that_read_nothing_keep_no_other_from_making_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> list[bool]:
        connect = Answered(301, monkeypatch)
        made: list[Any] = [await connect(1) for _ in range(300)]
        made += [await connect(), await connect()]
        return [connection.transport.close.called for connection in made]

    assert asyncio.run(run()) == [False] * 300 + [True, False]


def test_nothing_waits_for_a_connection_that_its_client_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> weakref.ref[protocol.Bounded]:
        connection = await Answered(2, monkeypatch)()
        connection.connection_lost(ConnectionResetError())
        return weakref.ref(connection)

    async def alive() -> bool:
        lost = await run()
        gc.collect()
        return lost() is not None

    assert not asyncio.run(alive())


def test_clients_close_idle_connections_before_the_server_does() -> None:
    seconds = httpx2.Limits().keepalive_expiry
    assert seconds is not None
    assert 2 * seconds < settings.load().idle_seconds


def test_the_system_lets_as_many_connections_be_open(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("This system allows no more files.")
    command = ("sh", "-c", f"ulimit -S -n 256 && exec {ROSTER} serve")

    with serving(tmp_path, command) as server:
        limits = Path(f"/proc/{server.process.pid}/limits").read_text()

    [line] = [line for line in limits.splitlines() if line.startswith("Max open files")]
    assert int(line.split()[3]) > 1000


# The end


def test_a_request_that_does_not_end_does_not_keep_the_server_from_it(tmp_path: Path) -> None:
    with serving(tmp_path, ROSTER_SHUTDOWN_SECONDS="1", **LONG) as server, connected(server) as one:
        one.sendall(POST + b"Content-Length: 100\r\n\r\n{")
        server.client.get("/healthz")
        server.process.send_signal(signal.SIGTERM)
        assert status_of(read(one)) == 503
        server.process.wait(PATIENCE_SECONDS)


def test_a_server_that_is_started_by_hand_can_have_it(tmp_path: Path) -> None:
    uvicorn = str(Path(sysconfig.get_path("scripts")) / "uvicorn")
    command = (
        uvicorn,
        "roster:app",
        "--port",
        "{port}",
        "--http",
        "roster.server.protocol:Bounded",
    )

    with serving(tmp_path, command, ready="/healthz", **SHORT) as server:
        assert status_of(converse(server, HEAD + b"a: b\r\n" * 100 + b"\r\n")) == 431
        assert status_of(converse(server, HEAD)) == 408

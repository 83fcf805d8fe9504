"""Serving: where a server listens, how many it serves, and its end, whatever its clients do."""

import contextlib
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path

import pytest

from roster.server import serving as parts
from roster.settings import SettingsError
from tests.live import PATIENCE_SECONDS, ROSTER, LiveServer, free_port, read, serving

pytestmark = pytest.mark.live

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LARGE = b"GET /api/v1/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
FORM = b"grant_type=password&client_id=documentation&username=root&password=q"
LOGIN = (
    b"POST /auth/oauth2/token HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(FORM)
) + FORM
PATIENT = {
    "ROSTER_HEAD_SECONDS": "3600",
    "ROSTER_BODY_SECONDS": "3600",
    "ROSTER_IDLE_SECONDS": "3600",
}


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)


def next_answer(client: socket.socket) -> tuple[int, bytes]:
    """Read one whole answer; the connection stays open."""
    response = HTTPResponse(client)
    response.begin()
    return response.status, response.read()


# The end


def silence(_client: socket.socket) -> None:
    """Connect, and say nothing."""


def half_a_head(client: socket.socket) -> None:
    client.sendall(HEAD)


def half_a_body(client: socket.socket) -> None:
    client.sendall(POST + b"Content-Length: 100\r\n\r\n{")


def half_a_chunk(client: socket.socket) -> None:
    client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{")


def an_idle_connection(client: socket.socket) -> None:
    client.sendall(HEAD + b"\r\n")
    next_answer(client)


def answers_that_nobody_reads(client: socket.socket) -> None:
    with contextlib.suppress(ConnectionError, TimeoutError):
        client.sendall(LARGE * 50)


def an_endless_upload(client: socket.socket) -> None:
    def upload() -> None:
        with contextlib.suppress(OSError):
            client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
            while True:
                client.sendall(b"1\r\n \r\n")

    threading.Thread(target=upload, daemon=True).start()


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_server_ends_whatever_its_clients_do(tmp_path: Path, workers: str) -> None:
    clients: tuple[Callable[[socket.socket], None], ...] = (
        silence,
        half_a_head,
        half_a_body,
        half_a_chunk,
        an_idle_connection,
        answers_that_nobody_reads,
        an_endless_upload,
    )
    ends = {"ROSTER_SHUTDOWN_SECONDS": "2", "WORKERS": workers}
    with (
        serving(tmp_path, **PATIENT, **ends) as server,
        contextlib.ExitStack() as stack,
    ):
        for act in clients * 3:
            act(stack.enter_context(connect(server.port)))
        server.client.get("/healthz")

        server.process.send_signal(signal.SIGTERM)
        server.process.wait(PATIENCE_SECONDS)


def test_a_server_ends_though_its_database_does_not_answer(tmp_path: Path) -> None:
    ends = {"ROSTER_SHUTDOWN_SECONDS": "1", "ROSTER_DATABASE_LOCK_SECONDS": "3600"}
    with serving(tmp_path, **ends) as server, connect(server.port) as client:
        other = sqlite3.connect(tmp_path / "roster.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        client.sendall(LOGIN)
        server.client.get("/healthz")

        server.process.send_signal(signal.SIGTERM)
        server.process.wait(PATIENCE_SECONDS)
        other.close()


def wait_for_nothing(clients: list[socket.socket]) -> None:
    """Have every connection served once, so that a server knows it."""
    for client in clients:
        client.sendall(HEAD + b"\r\n")
        assert next_answer(client)[0] == 200


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_what_has_been_asked_is_answered_at_the_end(tmp_path: Path, workers: str) -> None:
    with (
        serving(tmp_path, WORKERS=workers, **PATIENT) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(connect(server.port)) for _ in range(20)]
        wait_for_nothing(clients)
        for client in clients:
            client.sendall(LOGIN)
        server.process.send_signal(signal.SIGTERM)
        with ThreadPoolExecutor(len(clients)) as pool:
            answers = list(pool.map(read, clients))
        server.process.wait(PATIENCE_SECONDS)

    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    assert all(b"access_token" in answer for answer in answers)


def test_requests_in_line_on_one_connection_are_answered_at_the_end(tmp_path: Path) -> None:
    with serving(tmp_path, **PATIENT) as server, connect(server.port) as client:
        client.sendall(LOGIN * 3)
        assert b"200" in client.recv(12)
        server.process.send_signal(signal.SIGTERM)

        assert read(client).count(b"access_token") >= 1
        server.process.wait(PATIENCE_SECONDS)


def test_a_request_that_comes_with_the_signal_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path, **PATIENT) as server, connect(server.port) as client:
        wait_for_nothing([client])
        server.process.send_signal(signal.SIGSTOP)
        server.process.send_signal(signal.SIGTERM)
        client.sendall(HEAD + b"\r\n")
        server.process.send_signal(signal.SIGCONT)

        answer = read(client)
        server.process.wait(PATIENCE_SECONDS)

    assert answer.startswith(b"HTTP/1.1 200 ")


# How many


def limited(files: int) -> tuple[str, ...]:
    return ("sh", "-c", f"ulimit -n {files} && exec {ROSTER} serve")


def status(server: LiveServer) -> bytes:
    """Ask on a connection of its own; return the status, b"" where it was closed."""
    with contextlib.suppress(ConnectionError), connect(server.port) as client:
        client.sendall(HEAD + b"Connection: close\r\n\r\n")
        return read(client)[9:12]
    return b""


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_no_more_are_served_than_there_are_files_for(tmp_path: Path, workers: str) -> None:
    chosen = {"ROSTER_THREADS": "4", "WORKERS": workers}
    with (
        serving(tmp_path, limited(256), **PATIENT, **chosen) as server,
        contextlib.ExitStack() as stack,
    ):
        early = stack.enter_context(connect(server.port))
        wait_for_nothing([early])
        crowd = [stack.enter_context(connect(server.port)) for _ in range(600)]

        # Those that are served go on, the database included, and so do new ones that ask.
        early.sendall(LOGIN)
        assert next_answer(early)[0] == 200
        assert status(server) == b"200"
        for client in crowd:
            client.close()
        while status(server) != b"200":
            pass
        log = server.log.read_text()

    assert "ROSTER_CONNECTIONS: the files that the system lets a process open" in log
    assert "out of system resource" not in log


def test_too_few_files_for_any_are_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="roster: ROSTER_CONNECTIONS: the system lets"),
        serving(tmp_path, limited(64)),
    ):
        pass


# Where


def test_every_address_of_a_host_is_taken() -> None:
    port = free_port()
    taken = parts.listen("::", port)
    try:
        for each in taken:
            each.listen()
        with pytest.raises(SettingsError, match=r"^PORT: "):
            parts.listen("127.0.0.1", port)
    finally:
        for each in taken:
            each.close()


def test_an_address_that_is_not_here_is_one_line() -> None:
    with pytest.raises(SettingsError, match=r"^HOST: "):
        parts.listen("192.0.2.1", free_port())


def test_a_server_may_listen_on_both_kinds_of_addresses(tmp_path: Path) -> None:
    chosen = {"HOST": "::", "ROSTER_DEVELOPMENT_EXPOSED": "1"}
    with serving(tmp_path, **chosen) as server:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, server.port), PATIENCE_SECONDS) as client:
                client.sendall(HEAD + b"Connection: close\r\n\r\n")
                assert read(client).startswith(b"HTTP/1.1 200 ")
        found = server.client.get("/.well-known/oauth-authorization-server").json()

    assert found["issuer"] == f"http://127.0.0.1:{server.port}"

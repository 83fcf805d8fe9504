"""Requests that offer to go on in another protocol, which the server reads as HTTP/1.1."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
from typing import Any

import pytest

from tests.live import PATIENCE_SECONDS, LiveServer, read

pytestmark = pytest.mark.parametrize("live", ["sqlite"], indirect=True)

H2C = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
)
WEBSOCKET = (
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
OFFERS = pytest.mark.parametrize("offer", [H2C, WEBSOCKET], ids=["h2c", "websocket"])

FORM = b"grant_type=password&client_id=documentation&username=root&password=q"
LOGIN = (
    b"POST /auth/oauth2/token HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
)
WITH_LENGTH = LOGIN + b"Content-Length: %d\r\n" % len(FORM)
CHUNKS = b"%x\r\n%b\r\n0\r\nA-Trailer: x\r\n\r\n" % (len(FORM), FORM)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
LAST = HEALTH + b"Connection: close\r\n\r\n"


def converse(server: LiveServer, *pieces: bytes) -> list[tuple[int, Any]]:
    """Send pieces on one connection, each in a packet of its own; return all answers to them."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A server that reads no more may close before the last piece.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.02 if len(pieces) > 1 else 0)
        received = read(client)
    answers = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        [length] = re.findall(rb"(?i)content-length: (\d+)", head)
        body, received = received[: int(length)], received[int(length) :]
        answers.append((int(head[9:12]), json.loads(body)))
    return answers


@pytest.mark.parametrize("blanks", [b" ", b"\t", b" \t  "])
def test_white_space_around_a_value_is_no_part_of_it(live: LiveServer, blanks: bytes) -> None:
    head = (
        b"GET /api/v1/teams HTTP/1.1\r\nHost: localhost" + blanks + b"\r\nAuthorization:" + blanks
    )
    token = live.bearer("root", "q")["Authorization"].encode()

    [listed, health] = converse(live, head + token + blanks + b"\r\n\r\n" + LAST)

    assert listed[0] == 200
    assert health == (200, {"status": "ok"})


@OFFERS
@pytest.mark.parametrize(
    ("head", "body"), [(WITH_LENGTH, FORM), (LOGIN + b"Transfer-Encoding: chunked\r\n", CHUNKS)]
)
def test_an_offer_costs_no_body_and_no_request(
    live: LiveServer, head: bytes, body: bytes, offer: bytes
) -> None:
    [login, health] = converse(live, head + offer + b"\r\n" + body + LAST)

    assert login[0] == 200
    assert login[1]["token_type"] == "Bearer"
    assert health == (200, {"status": "ok"})


@OFFERS
@pytest.mark.parametrize(
    ("head", "body"), [(WITH_LENGTH, FORM), (LOGIN + b"Transfer-Encoding: chunked\r\n", CHUNKS)]
)
def test_nor_where_head_and_body_come_in_many_packets(
    live: LiveServer, head: bytes, body: bytes, offer: bytes
) -> None:
    sent = head + offer + b"\r\n" + body + LAST
    ends = [len(head) + 20, len(head) + len(offer) + 2, len(head) + len(offer) + 12, len(sent)]
    pieces = [sent[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    assert [status for status, _ in converse(live, *pieces)] == [200, 200]


def test_a_body_is_never_taken_for_a_request(live: LiveServer) -> None:
    body = HEALTH + b"\r\n"
    head = LOGIN + b"Content-Length: %d\r\n" % len(body) + H2C + b"\r\n"

    assert [status for status, _ in converse(live, head, body + LAST)] == [400, 200]


@OFFERS
def test_many_offers_on_one_connection_are_answered_each(live: LiveServer, offer: bytes) -> None:
    answers = converse(live, (HEALTH + offer + b"\r\n") * 100 + LAST)

    assert answers == [(200, {"status": "ok"})] * 101


def test_an_offer_does_not_let_a_larger_head_in(live: LiveServer) -> None:
    offer = b"Connection: upgrade\r\nUpgrade: %b\r\n" % (b"x" * 70_000)
    with socket.create_connection(("127.0.0.1", live.port), PATIENCE_SECONDS) as client:
        client.sendall(HEALTH + offer + b"\r\n")
        answer = read(client)

    assert not answer or answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("body", [b"", FORM])
@pytest.mark.parametrize(
    "connection", [b"close, upgrade", b"upgrade, close", b"keep-alive, upgrade"]
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_offer_on_a_connection_that_ends_is_answered(
    live: LiveServer, version: bytes, connection: bytes, body: bytes
) -> None:
    head = WITH_LENGTH if body else HEALTH
    head = head.replace(b"HTTP/1.1", b"HTTP/" + version)
    offer = b"Connection: %b\r\nUpgrade: h2c\r\n\r\n" % connection
    with socket.create_connection(("127.0.0.1", live.port), PATIENCE_SECONDS) as client:
        client.sendall(head + offer + body)
        answer = client.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("target", [b"/healthz", b"http://localhost/healthz"])
def test_nothing_is_read_behind_a_connect(live: LiveServer, target: bytes) -> None:
    connect = b"CONNECT %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n" % target

    for pieces in [(connect + b"abc" + LAST,), (connect, b"abc", LAST)]:
        assert [status for status, _ in converse(live, *pieces)] == [405]


def test_a_connect_to_another_server_is_no_request_here(live: LiveServer) -> None:
    with socket.create_connection(("127.0.0.1", live.port), PATIENCE_SECONDS) as client:
        client.sendall(b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n" + LAST)
        answer = read(client)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("body", [FORM, b"x=" + b"y" * 500_000 + b"&" + FORM])
def test_curl_may_offer_http_2(live: LiveServer, body: bytes) -> None:
    if not (curl := shutil.which("curl")):
        pytest.skip("curl is absent.")
    command = [curl, "--silent", "--http2", "--data-binary", "@-", f"{live.url}/auth/oauth2/token"]

    answer = subprocess.run(command, input=body, capture_output=True, check=True)

    assert json.loads(answer.stdout)["token_type"] == "Bearer"

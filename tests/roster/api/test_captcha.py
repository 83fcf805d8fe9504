"""The captcha at sign-up, before a service that is kind, unkind, slow, broken or not there."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from models import User
from roster import settings
from roster.api import captcha
from roster.api.captcha import Captcha
from roster.http.context import RequestContext
from roster.oauth.rate_limits import Limits
from tests.live import free_port
from tests.serving import PASSWORD, PRODUCTION, Serve, Server

pytestmark = pytest.mark.one_database
both_databases = pytest.mark.parametrize("serve", ["sqlite", "postgresql"], indirect=True)

SECRET = "the-operators-secret"
KEY = "the-response-token"
NEW = {"username": "ada", "email": "ada@example.com", "password": PASSWORD}

Reply = Callable[[BaseHTTPRequestHandler], None]


def verdict(body: Any, status: int = 200) -> Reply:
    """Make a reply with a JSON body."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.end_headers()
        handler.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    return reply


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


@dataclass
class Service:
    """A `siteverify` service that replies as a test wants it, and remembers what it was asked."""

    url: str = ""
    reply: Reply = hang_up
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    patience: threading.Event = field(default_factory=threading.Event)

    def be_slow(self, _handler: BaseHTTPRequestHandler) -> None:
        """Say nothing until the test ends."""
        self.patience.wait(60)

    def trickle(self, handler: BaseHTTPRequestHandler) -> None:
        """Send byte after byte until the test ends, and never the whole."""
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        with suppress(OSError):
            while not self.patience.wait(0.02):
                handler.wfile.write(b" ")


@pytest.fixture(scope="module")
def _service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            service.asked.append(parse_qs(self.rfile.read(length).decode()))
            service.reply(self)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    class Listening(ThreadingHTTPServer):
        request_queue_size = 128

    with Listening(("127.0.0.1", 0), Handler) as listening:
        service.url = f"http://127.0.0.1:{listening.server_address[1]}/siteverify"
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield service
        listening.shutdown()
        thread.join()


@pytest.fixture
def service(_service: Service) -> Iterator[Service]:
    """Yield a service that finds every key right."""
    _service.reply = verdict({"success": True})
    _service.asked.clear()
    _service.patience.clear()
    yield _service
    _service.patience.set()


@pytest.fixture
def guarded(serve: Serve, service: Service) -> Server:
    """Return a server that asks the service."""
    return serve(
        captcha_verify_url=service.url, captcha_secret=SECRET, captcha_site_key="the-site-key"
    )


def sign_up(server: Server, **fields: Any) -> Any:
    return server.client.post("/api/v1/users", json={**NEW, **fields})


def exists(server: Server) -> bool:
    with server.session() as session:
        return User.find_by_login(session, "ada") is not None


def test_a_key_that_the_service_finds_right_passes(guarded: Server, service: Service) -> None:
    assert sign_up(guarded, recaptcha_key=KEY).status_code == 201

    assert service.asked == [{"secret": [SECRET], "response": [KEY]}]


@pytest.mark.parametrize(
    "answer",
    [
        {"success": False},
        {"success": False, "error-codes": ["timeout-or-duplicate"]},
        {"success": "true"},
        {"success": 1},
        {"success": None},
    ],
)
def test_a_key_that_the_service_does_not_find_right_is_refused(
    guarded: Server, service: Service, answer: Any
) -> None:
    service.reply = verdict(answer)

    refused = sign_up(guarded, recaptcha_key=KEY)

    assert refused.status_code == 403
    assert refused.json()["detail"] == "The captcha is missing or wrong."
    assert not exists(guarded)


@pytest.mark.parametrize("fields", [{}, {"recaptcha_key": ""}])
def test_without_a_key_the_service_is_not_asked(
    guarded: Server, service: Service, fields: dict[str, str]
) -> None:
    assert sign_up(guarded, **fields).status_code == 403

    assert service.asked == []


def test_the_development_key_is_worth_nothing_before_a_service(
    guarded: Server, service: Service
) -> None:
    service.reply = verdict({"success": False})

    assert sign_up(guarded, recaptcha_key="secret_key").status_code == 403


def test_odd_keys_reach_the_service_as_they_are(guarded: Server, service: Service) -> None:
    key = "a&secret=b=ä 😀+%00"

    assert sign_up(guarded, recaptcha_key=key).status_code == 201

    assert service.asked == [{"secret": [SECRET], "response": [key]}]


NO_VERDICTS = {
    "nothing": hang_up,
    "no body": verdict(b""),
    "no JSON": verdict(b"<html>"),
    "no text": verdict(b"\xff"),
    "no object": verdict([]),
    "no member": verdict({}),
    "null": verdict(None),
    "a failure": verdict({"success": True}, status=500),
    "an absence": verdict({"success": True}, status=404),
    "a redirect": verdict({"success": True}, status=302),
}


@pytest.mark.parametrize("reply", NO_VERDICTS.values(), ids=NO_VERDICTS.keys())
def test_a_service_that_gives_no_verdict_makes_sign_up_unavailable(
    guarded: Server, service: Service, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    service.reply = reply

    with caplog.at_level(logging.DEBUG):
        failed = sign_up(guarded, recaptcha_key=KEY)

    assert (failed.status_code, failed.headers["retry-after"]) == (503, "30")
    assert not exists(guarded)
    assert "ROSTER_CAPTCHA_VERIFY_URL: the service gave no verdict" in caplog.text
    for secret in (SECRET, KEY, PASSWORD):
        assert secret not in caplog.text
        assert secret not in failed.text


@pytest.mark.parametrize("manner", ["be_slow", "trickle"])
def test_a_service_that_is_slow_makes_sign_up_unavailable(
    guarded: Server, service: Service, monkeypatch: pytest.MonkeyPatch, manner: str
) -> None:
    monkeypatch.setattr(captcha, "_TIMEOUT_SECONDS", 0.2)
    service.reply = getattr(service, manner)

    assert sign_up(guarded, recaptcha_key=KEY).status_code == 503


def test_a_service_that_is_not_there_makes_sign_up_unavailable(serve: Serve) -> None:
    server = serve(
        captcha_verify_url=f"http://127.0.0.1:{free_port()}/",
        captcha_secret=SECRET,
        captcha_site_key="x",
    )

    assert sign_up(server, recaptcha_key=KEY).status_code == 503


def test_the_captcha_is_judged_before_any_name_is_looked_up(
    guarded: Server, service: Service
) -> None:
    assert sign_up(guarded, recaptcha_key=KEY).status_code == 201
    service.reply = verdict({"success": False})

    taken = sign_up(guarded, recaptcha_key=KEY)
    free = sign_up(guarded, username="bob", email="bob@example.com", recaptcha_key=KEY)

    assert (taken.status_code, free.status_code) == (403, 403)
    assert {**taken.json(), "request_id": ""} == {**free.json(), "request_id": ""}


def test_an_admin_does_not_bother_the_service(guarded: Server, service: Service) -> None:
    assert guarded.admin.post("/users", {**NEW, "recaptcha_key": KEY}).status_code == 201

    assert service.asked == []


def test_a_closed_sign_up_does_not_bother_the_service(serve: Serve, service: Service) -> None:
    server = serve(
        signup="closed",
        captcha_verify_url=service.url,
        captcha_secret=SECRET,
        captcha_site_key="x",
    )

    assert sign_up(server, recaptcha_key=KEY).status_code == 403
    assert service.asked == []


@pytest.mark.parametrize("fields", [{}, {"recaptcha_key": "anything"}])
def test_a_captcha_that_is_off_asks_for_nothing(serve: Serve, fields: dict[str, str]) -> None:
    assert sign_up(serve(captcha="off"), **fields).status_code == 201


@pytest.mark.parametrize(
    ("key", "status"),
    [("secret_key", 201), ("SECRET_KEY", 403), ("secret_key ", 403), ("ключ", 403), ("", 403)],
)
def test_in_development_one_key_is_right(server: Server, key: str, status: int) -> None:
    assert sign_up(server, recaptcha_key=key).status_code == status


@pytest.mark.parametrize("key", ["secret_key", "anything"])
def test_in_production_without_a_service_no_key_is_right(serve: Serve, key: str) -> None:
    server = serve(**PRODUCTION)

    assert sign_up(server, recaptcha_key=key).status_code == 403
    assert server.admin.post("/users", NEW).status_code == 201


@pytest.mark.parametrize(
    ("chosen", "key"),
    [
        ({}, "secret_key"),
        ({"captcha": "off"}, ""),
        ({"captcha": "off", "captcha_site_key": "site"}, ""),
        ({"captcha_site_key": "site"}, "site"),
        (PRODUCTION, ""),
        (
            {
                **PRODUCTION,
                "captcha_verify_url": "https://captcha.example/siteverify",
                "captcha_secret": SECRET,
                "captcha_site_key": "site",
            },
            "site",
        ),
    ],
)
def test_the_sign_up_form_is_told_the_public_key(chosen: dict[str, str], key: str) -> None:
    loaded = settings.load(**chosen)

    assert Captcha(loaded, Limits(loaded)).site_key == key


def test_the_sign_up_form_is_open_to_anyone(server: Server) -> None:
    answer = server.nobody.get("/users/signup-form")

    assert (answer.status_code, answer.json()) == (200, {"recaptcha_server_key": "secret_key"})


# While the service is not well


GARBAGE = 200


@contextmanager
def garbage_sign_ups(
    server: Server, monkeypatch: pytest.MonkeyPatch, end: Callable[[], None]
) -> Iterator[Callable[[], list[Any]]]:
    """Send many sign-ups, and go on when as many questions are under way as may be.

    What is yielded has the service give up, by `end`, and returns all answers.
    """
    monkeypatch.setattr(captcha, "_TIMEOUT_SECONDS", 60)

    def send(number: int) -> Any:
        name = f"garbage{number}"
        return sign_up(server, username=name, email=f"{name}@example.com", recaptcha_key="garbage")

    def answers() -> list[Any]:
        assert sum(not each.done() for each in sent) == 32
        end()
        return [each.result(60) for each in sent]

    with ThreadPoolExecutor(GARBAGE) as threads:
        sent = [threads.submit(send, number) for number in range(GARBAGE)]
        try:
            deadline = time.monotonic() + 60
            while sum(not each.done() for each in sent) > 32:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield answers
        finally:
            end()


@pytest.fixture(params=["be_slow", "trickle", "frozen"])
def in_trouble(
    request: pytest.FixtureRequest, serve: Serve, service: Service
) -> Iterator[tuple[Server, Callable[[], None]]]:
    """Yield a server whose service is slow, or takes no connections, and the end of that."""
    chosen = {"captcha_secret": SECRET, "captcha_site_key": "x"}
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(GARBAGE)  # and nobody accepts
        if request.param == "frozen":
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/siteverify"
            yield serve(captcha_verify_url=url, **chosen), listening.close
        else:
            service.reply = getattr(service, request.param)
            yield serve(captcha_verify_url=service.url, **chosen), service.patience.set


@pytest.mark.live
def test_many_sign_ups_before_a_service_in_trouble_disturb_nobody(
    in_trouble: tuple[Server, Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, end = in_trouble
    ada = server.person("ada-before")
    form = {"grant_type": "password", "client_id": "documentation", "username": "user"}
    first = server.client.post("/auth/oauth2/token", data={**form, "password": "w"}).json()
    refresh = {"grant_type": "refresh_token", "client_id": "documentation"}
    refresh["refresh_token"] = first["refresh_token"]
    admin = server.admin

    with garbage_sign_ups(server, monkeypatch, end) as answers:
        login = server.client.post("/auth/oauth2/token", data={**form, "password": "w"})
        renewed = server.client.post("/auth/oauth2/token", data=refresh)
        others = [
            admin.post("/users", NEW),
            ada.post("/teams", {"title": "Undisturbed"}),
            ada.get("/users/me"),
            server.client.get("/healthz"),
            server.client.get("/readyz"),
        ]
        finished = answers()

    assert (login.status_code, renewed.status_code) == (200, 200)
    assert [each.status_code for each in others] == [201, 201, 200, 200, 200]
    assert {each.status_code for each in finished} == {503}
    assert {each.headers["retry-after"] for each in finished} == {"30"}
    with server.session() as session:
        assert User.find_by_login(session, "garbage0") is None


def test_after_a_bad_time_sign_up_works_again(
    guarded: Server, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.reply = service.be_slow
    with garbage_sign_ups(guarded, monkeypatch, service.patience.set):
        assert len(service.asked) <= 32
    service.reply = verdict({"success": True})

    assert sign_up(guarded, recaptcha_key=KEY).status_code == 201


@both_databases
def test_a_request_that_waits_for_the_service_holds_no_database_connection(
    guarded: Server, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A token that counts as none here is looked up in the database before.
    ada = guarded.person("ada-before")
    held: list[Any] = []

    async def ask(_captcha: Captcha, _key: str, context: RequestContext) -> None:
        held.extend([context._connection, context._session])
        context.captcha_verdict = True

    monkeypatch.setattr(Captcha, "_ask", ask)

    assert ada.post("/users", {**NEW, "recaptcha_key": KEY}).status_code == 201
    assert held == [None, None]


# Wrong captchas are counted


def from_address(server: Server, address: str, **fields: Any) -> Any:
    headers = {"X-Forwarded-For": address}
    return server.client.post("/api/v1/users", json={**NEW, **fields}, headers=headers)


@pytest.mark.parametrize("fields", [{}, {"recaptcha_key": "wrong"}])
def test_wrong_captchas_are_counted_by_address(serve: Serve, fields: dict[str, str]) -> None:
    server = serve(trusted_proxies=1, limit_captchas_per_address=3)
    for _ in range(3):
        assert from_address(server, "192.0.2.1", **fields).status_code == 403

    refused = from_address(server, "192.0.2.1", recaptcha_key="secret_key")

    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 900
    headers = {"X-Forwarded-For": "192.0.2.1"}
    by_admin = server.admin.request("POST", "/users", json=NEW, headers=headers)
    assert by_admin.status_code == 201
    other = {"username": "bob", "email": "bob@example.com", "recaptcha_key": "secret_key"}
    assert from_address(server, "192.0.2.2", **other).status_code == 201
    # Who logs in from there is not concerned.
    form = {"grant_type": "password", "client_id": "documentation", "username": "user"}
    login = server.client.post(
        "/auth/oauth2/token", data={**form, "password": "w"}, headers=headers
    )
    assert login.status_code == 200


def test_an_address_that_is_over_its_limit_does_not_bother_the_service(
    serve: Serve, service: Service
) -> None:
    server = serve(
        limit_captchas_per_address=3,
        captcha_verify_url=service.url,
        captcha_secret=SECRET,
        captcha_site_key="x",
    )
    service.reply = verdict({"success": False})

    statuses = [sign_up(server, recaptcha_key=KEY).status_code for _ in range(5)]

    assert statuses == [403] * 3 + [429] * 2
    assert len(service.asked) == 3


def test_right_captchas_and_a_service_without_a_verdict_count_against_nobody(
    serve: Serve, service: Service
) -> None:
    server = serve(
        limit_captchas_per_address=1,
        captcha_verify_url=service.url,
        captcha_secret=SECRET,
        captcha_site_key="x",
    )
    for reply, status in ((verdict(b""), 503), (verdict({"success": True}), 201)):
        service.reply = reply
        for number in range(2):
            name = f"ada{number}"
            answer = sign_up(server, username=name, email=f"{name}@example.com", recaptcha_key=KEY)
            assert answer.status_code == status

"""The captcha at sign-up, before a service that is kind, unkind, slow, broken or not there."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from models import User
from roster import captcha, settings
from roster.captcha import Captcha
from tests.live import free_port
from tests.serving import PASSWORD, PRODUCTION, Serve, Server

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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
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


def test_a_service_that_is_slow_makes_sign_up_unavailable(
    guarded: Server, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captcha, "_TIMEOUT_SECONDS", 0.05)
    service.reply = service.be_slow

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
    assert Captcha(settings.load(**chosen)).site_key == key


def test_the_sign_up_form_is_open_to_anyone(server: Server) -> None:
    answer = server.nobody.get("/users/signup-form")

    assert (answer.status_code, answer.json()) == (200, {"recaptcha_server_key": "secret_key"})

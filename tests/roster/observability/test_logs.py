"""Logs: whatever somebody turns on, no secret is in them."""

import base64
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from models import Base, Client, TokenStore, User, development
from models.database import connections
from roster.observability import logs
from tests.live import LiveServer, serving
from tests.scopes import ALL_SCOPES
from tests.serving import Server, basic, patch

TOKEN = "/auth/oauth2/token"
PASSWORD = "canary password ä+%&"
WRONG_PASSWORD = "wrong canary password"
CAPTCHA_KEY = "canary-captcha-key"


class Secrets(list[str]):
    """What must not be written down, in any form in which it travels."""

    def appear_in(self, text: str) -> list[str]:
        """Return those that a text holds."""
        return [secret for secret in self if any(form in text for form in self.forms(secret))]

    @staticmethod
    def forms(secret: str) -> Iterator[str]:
        """Yield a secret as it is, percent-encoded, escaped."""
        yield from (secret, quote(secret), quote_plus(secret), quote(secret, safe=""))
        yield from (ascii(secret)[1:-1], base64.b64encode(secret.encode()).decode())


def test_the_forms_of_a_secret_are_recognised() -> None:
    secrets = Secrets(["ä b"])

    for text in ("x ä b", "password=%C3%A4+b&", "%C3%A4%20b", r"'\xe4 b'", "w6QgYg=="):
        assert secrets.appear_in(text) == ["ä b"]
    assert secrets.appear_in("a b") == []


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Yield all that is logged at the lowest level."""
    with caplog.at_level(logging.DEBUG):
        yield caplog


def register(server: Server) -> tuple[str, str]:
    """Register a confidential client; return its id and its secret."""
    with server.session() as session:
        client, secret = Client.create(
            session, user_id=1, name="C", scopes=ALL_SCOPES, grant_types=("password",)
        )
        session.commit()
        assert secret
        return client.client_id, secret


def test_no_secret_of_the_token_endpoint_is_logged(
    server: Server, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.user("ada", password=PASSWORD)
    client_id, client_secret = register(server)
    secrets = Secrets([PASSWORD, WRONG_PASSWORD, client_secret])
    form = {"grant_type": "password", "client_id": "documentation", "username": "ada"}
    right = {**form, "password": PASSWORD}

    def send(data: dict[str, str], **options: Any) -> Any:
        answer = server.client.post(TOKEN, data=data, **options)
        found = answer.json()
        secrets.extend(found[name] for name in ("access_token", "refresh_token") if name in found)
        return found

    first = send(right)
    send({**form, "password": WRONG_PASSWORD})
    send({**form, "client_secret": client_secret, "password": PASSWORD})
    refresh = {"grant_type": "refresh_token", "client_id": "documentation"}
    send({**refresh, "refresh_token": first["refresh_token"]})
    send({**refresh, "refresh_token": first["refresh_token"]})  # used: the family ends
    by_client = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    send(by_client, headers=basic(client_id, client_secret))
    send(by_client, headers=basic(client_id, f"{client_secret}x"))
    send(by_client, headers={"Authorization": f"Bearer {client_secret}"})
    server.client.get(TOKEN, params=right)
    server.client.post(TOKEN, params=right)
    server.client.post(TOKEN, params=right, data=right)
    server.client.post(TOKEN, content=f"password={PASSWORD}%ff", headers=FORM)
    server.client.post(TOKEN, content=f"password={PASSWORD}", headers={"Content-Type": "x/y"})
    server.client.post(TOKEN, files={"password": ("f", PASSWORD)})
    revoked = {"token": first["access_token"], "client_id": "documentation"}
    server.client.post("/auth/oauth2/revoke", data=revoked)
    monkeypatch.setattr(TokenStore, "save_bearer_token", broken)
    failed = send(right)

    assert failed["error"] == "server_error"
    assert "A request could not be answered." in log.text
    assert len(secrets) == 8
    assert secrets.appear_in(log.text) == []


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("broken")


def test_no_secret_of_the_api_is_logged(server: Server, log: pytest.LogCaptureFixture) -> None:
    ada = server.person("ada", password=PASSWORD)
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    secrets = Secrets([PASSWORD, WRONG_PASSWORD, CAPTCHA_KEY, token])
    new = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}

    ada.get("/users/me")
    server.client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}x"})
    server.client.get("/api/v1/users/me", headers={"Authorization": f"Basic {token}"})
    server.client.get(f"/api/v1/users/me?access_token={token}")
    server.client.post("/api/v1/users", json={**new, "recaptcha_key": CAPTCHA_KEY})
    server.client.post("/api/v1/users", json={**new, "recaptcha_key": "secret_key"})
    server.client.post("/api/v1/users", json={**new, "recaptcha_key": "secret_key"})  # taken
    server.client.post("/api/v1/users", json={**new, "password": [PASSWORD]})
    for password in (WRONG_PASSWORD, PASSWORD):
        operations = (
            {"op": "test", "path": "/current_password", "value": password},
            {"op": "replace", "path": "/password", "value": WRONG_PASSWORD},
        )
        options = patch(*operations)
        options["headers"] |= ada.headers
        server.client.patch(f"/api/v1/users/{ada.id}", **options)

    assert secrets.appear_in(log.text) == []


def test_no_value_of_a_statement_that_failed_is_logged(
    server: Server, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.user("ada", password=PASSWORD)
    table: Any = Base.metadata.tables["tokens"]
    with server.app.engine.begin() as connection:
        table.drop(connection)
    try:
        answer = server.client.post(
            TOKEN,
            data={
                "grant_type": "password",
                "client_id": "documentation",
                "username": "ada",
                "password": PASSWORD,
            },
        )
    finally:
        with server.app.engine.begin() as connection:
            table.create(connection)

    assert answer.status_code in {500, 503}
    assert "tokens" in log.text
    assert "users:read" not in log.text  # a value of that statement
    with server.session() as session:
        hashed = User.find_by_login(session, "ada")
        assert hashed
        assert Secrets([PASSWORD, hashed.password_hash]).appear_in(log.text) == []


# The access log


def access_line(target: str) -> str:
    """Have uvicorn's access logger format a line as uvicorn does."""
    logger = logging.getLogger("uvicorn.access")
    arguments = ("127.0.0.1:40000", "GET", target, "1.1", 200)
    record = logger.makeRecord(
        logger.name, logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', arguments, None
    )
    assert logger.filter(record)
    return record.getMessage()


def test_the_access_log_shows_no_query() -> None:
    logs.keep_secrets()

    line = access_line(f"{TOKEN}?password=canary")

    assert line == f'127.0.0.1:40000 - "GET {TOKEN} HTTP/1.1" 200'


def test_other_lines_of_the_access_logger_are_let_pass() -> None:
    logs.keep_secrets()
    logger = logging.getLogger("uvicorn.access")

    for arguments in ((), ("a",), ({"a": "b"},)):
        record = logger.makeRecord(logger.name, logging.INFO, "", 0, "x", arguments, None)
        assert logger.filter(record)
        assert record.getMessage() == "x" if not arguments else True


def test_keeping_secrets_twice_changes_nothing() -> None:
    logs.keep_secrets()
    filters = list(logging.getLogger("uvicorn.access").filters)

    logs.keep_secrets()

    assert logging.getLogger("uvicorn.access").filters == filters


SERVE_LOUDLY = """
import logging, sys, uvicorn
logging.basicConfig(level=logging.DEBUG)
uvicorn.run("roster:app", port=int(sys.argv[1]), log_level="debug")
"""


@pytest.fixture(params=["httptools", "h11"])
def loud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveServer]:
    """Yield a server that logs all that it can, on each of uvicorn's parsers in turn."""
    engine = connections.connect(f"sqlite:///{tmp_path / 'roster.db'}")
    Base.metadata.create_all(engine)
    with connections.session_factory(engine)() as session:
        development.load(session, "http://127.0.0.1:5000", 5000, ALL_SCOPES)
        session.commit()
    engine.dispose()
    code = SERVE_LOUDLY.replace("log_level=", f"http={request.param!r}, log_level=")
    command = (sys.executable, "-c", code, "{port}")
    with serving(tmp_path, command, ready="/healthz", ROSTER_LOG_FORMAT="none") as server:
        yield server


def test_no_secret_is_in_the_log_of_a_server_that_logs_all(loud: LiveServer) -> None:
    form = {
        "grant_type": "password",
        "client_id": "documentation",
        "client_secret": development.CLIENT_SECRET,
        "username": "root",
        "password": WRONG_PASSWORD,
    }
    assert loud.client.get(TOKEN, params=form).status_code == 400
    assert loud.client.post(TOKEN, params=form, data={"password": "x"}).status_code == 400
    found = loud.login("root", "q")
    header = {"Authorization": f"Bearer {found['access_token']}"}
    assert loud.client.get("/api/v1/users/me", headers=header).status_code == 200

    log = loud.log.read_text()

    assert f'GET {TOKEN} HTTP/1.1" 400' in log
    assert "DEBUG" in log
    secrets = Secrets(
        [
            WRONG_PASSWORD,
            development.CLIENT_SECRET,
            found["access_token"],
            found["refresh_token"],
        ]
    )
    assert secrets.appear_in(log) == []
    assert "grant_type=" not in log

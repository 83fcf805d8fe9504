"""The server under test, in this process: every answer is held against the definition."""

import base64
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from sqlalchemy import Engine, Table, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from models import Base, Client, Grant, Team, Token, User, development
from models.database import migrate
from models.database.base import now
from models.database.connections import connect, session_factory
from models.oauth.secret import digest, generate
from models.oauth.token import ACCESS
from roster import settings
from roster.application import Application, create_app
from roster.contract.draft4 import Draft4
from roster.contract.operation import Operation
from roster.contract.schemas import compiled
from roster.http.errors import PROBLEM
from tests.databases import wipe
from tests.scopes import ALL_SCOPES

PASSWORD = "correct horse battery staple"
# The least that a production server has to be told.
PRODUCTION = {
    "environment": "production",
    "secret_key": "0123456789abcdef" * 2,
    "trusted_proxies": 0,
}
# What the API's challenges end with (RFC 9728 section 5.1), and the one for whom sent no token.
RESOURCE = ', resource_metadata="http://127.0.0.1:5000/.well-known/oauth-protected-resource"'
CHALLENGE = f'Bearer realm="roster"{RESOURCE}'
API = "/api/v1"
SCOPES = " ".join(ALL_SCOPES)
# What no row can have as its id, though some of it is an integer to somebody.
NO_IDS = ("0", "-1", "+1", "01", "1.0", "1_0", "abc", "\uff11", "9" * 5000, str(2**63))


class CheckedClient(TestClient):
    """A client that fails where an answer is not one that the definition declares."""

    app: Any

    def request(self, method: str, url: Any, **options: Any) -> Any:
        """Send a request and hold the answer against the definition."""
        response = super().request(method, url, **options)
        check_answer(self.app, method, httpx2.URL(url).path, response)
        return response


def check_answer(app: Application, method: str, path: str, response: Any) -> None:
    """Hold an answer against what the definition declares for its operation and status.

    What belongs to no operation (no such path, no such method, OPTIONS, static files) is let pass.
    """
    found = app.definition.match(path)
    operation = found and found[0].operations.get("GET" if method == "HEAD" else method)
    if not operation or response.status_code == 405:
        return
    declared = operation.spec["responses"].get(str(response.status_code))
    assert declared, f"{operation.id} does not declare {response.status_code}: {response.text}"
    for name, header in declared.get("headers", {}).items():
        assert name in response.headers or not header.get("required"), f"{name} is missing"
    if "content" not in declared or method == "HEAD":
        assert not response.content
        return
    media_type = response.headers["content-type"].partition(";")[0]
    assert media_type in declared["content"], f"{operation.id} does not declare {media_type}"
    if "json" in media_type:
        _validator(operation, str(response.status_code), media_type).validate(response.json())
    if media_type == PROBLEM:
        assert response.json()["status"] == response.status_code
        assert response.json()["request_id"] == response.headers["x-request-id"]


@cache
def _validator(operation: Operation, status: str, media_type: str) -> jsonschema_rs.Validator:
    schema = operation.spec["responses"][status]["content"][media_type]["schema"]
    return compiled(Draft4(refused="writeOnly")(schema))


@dataclass(frozen=True)
class Person:
    """Somebody who makes requests to the API, always with the same access token or with none."""

    client: CheckedClient
    headers: dict[str, str]
    id: int = 0

    def get(self, path: str, **options: Any) -> Any:
        """Send a GET; the path is without the API's prefix."""
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> Any:
        """Send a POST with a JSON body."""
        return self.request("POST", path, json=body, **options)

    def patch(self, path: str, *operations: Any) -> Any:
        """Send a PATCH with a JSON Patch of these operations."""
        return self.request("PATCH", path, **patch(*operations))

    def delete(self, path: str) -> Any:
        """Send a DELETE."""
        return self.request("DELETE", path)

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Send any request; headers among the options come on top of the token's."""
        headers = {**self.headers, **options.pop("headers", {})}
        return self.client.request(method, API + path, headers=headers, **options)


@dataclass
class Server:
    """A server with its database, and short ways to what most tests need."""

    app: Application
    client: CheckedClient

    @property
    def origin(self) -> str:
        """The origin under which the server leads browsers to itself."""
        return self.app.settings.origin

    def session(self) -> Session:
        """Open a session on the server's database, beside the server."""
        return self.app.sessions()

    def user(self, username: str, **fields: Any) -> int:
        """Create a user with the password of all test users; return its id."""
        with self.session() as session:
            fields = {"email": f"{username}@example.com", "password": PASSWORD, **fields}
            made = User.create(session, username=username, **fields)
            session.commit()
            return made.id

    def team(self, title: str, leader: Person, *others: Person) -> int:
        """Create a team of a leader and plain members; return its id."""
        with self.session() as session:
            made = Team.create(session.connection(), title, session.get_one(User, leader.id))
            team = session.get_one(Team, made.id)
            for other in others:
                team.add(session, other.id)
            session.commit()
            return team.id

    def person(self, username: str, *, scope: str = SCOPES, **fields: Any) -> Person:
        """Create a user and log it in."""
        return self.caller(self.user(username, **fields), scope)

    @property
    def nobody(self) -> Person:
        """Somebody without a token."""
        return Person(self.client, {})

    @property
    def admin(self) -> Person:
        """The development data's admin."""
        return self.caller(1)

    def caller(self, user_id: int | None, scope: str = SCOPES) -> Person:
        """Store an access token for a user, or (None) for a service; return who has it."""
        token = generate()
        ends = now() + timedelta(hours=1)
        with self.session() as session:
            client = Client.find(session, development.CLIENT_ID)
            assert client
            grant = Grant(client_id=client.id, user_id=user_id, scope=scope, expires_at=ends)
            session.add(grant)
            session.flush()
            session.add(
                Token(
                    hash=digest(token),
                    kind=ACCESS,
                    grant_id=grant.id,
                    scope=scope,
                    expires_at=ends,
                )
            )
            session.commit()
        return Person(self.client, {"Authorization": f"Bearer {token}"}, user_id or 0)

    def token(self, username: str, password: str = PASSWORD, scope: str | None = None) -> str:
        """Log a user in through the development client; return an access token."""
        form = {
            "grant_type": "password",
            "client_id": "documentation",
            "username": username,
            "password": password,
        }
        if scope is not None:
            form["scope"] = scope
        response = self.client.post("/auth/oauth2/token", data=form)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    def bearer(self, username: str, password: str = PASSWORD, scope: str | None = None) -> Any:
        """Return the header with which a user makes requests."""
        return {"Authorization": f"Bearer {self.token(username, password, scope)}"}

    @property
    def root(self) -> Any:
        """The header of the development data's admin."""
        return self.bearer("root", "q")

    @property
    def service(self) -> Any:
        """The header of a client that acts for itself."""
        response = self.client.post(
            "/auth/oauth2/token",
            data={"grant_type": "client_credentials"},
            headers=basic("documentation", development.CLIENT_SECRET),
        )
        return {"Authorization": f"Bearer {response.json()['access_token']}"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the header of HTTP Basic authentication."""
    encoded = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def patch(*operations: Any) -> dict[str, Any]:
    """Return the options of a request whose body is a JSON Patch."""
    return {
        "content": json.dumps(operations),
        "headers": {"Content-Type": "application/json-patch+json"},
    }


def replace(path: str, value: Any) -> dict[str, Any]:
    """Return the operation of a JSON Patch that makes a value so."""
    return {"op": "replace", "path": path, "value": value}


def demand(path: str, value: Any) -> dict[str, Any]:
    """Return the operation of a JSON Patch that tests whether a value is so."""
    return {"op": "test", "path": path, "value": value}


# What a change of a user begins with, for callers with the password of all test users.
PROOF = demand("/current_password", PASSWORD)


def pointers(response: Any) -> list[str]:
    """Return the places that a problem complains of."""
    return [error["pointer"] for error in response.json().get("errors", [])]


def empty(engine: Engine, origin: str, port: int) -> None:
    """Empty every table, let ids start at 1 again, and load the development data."""
    wipe(engine, _development_data(origin, port))


@cache
def _development_data(origin: str, port: int) -> list[tuple[Table, list[dict[str, Any]]]]:
    """Return the rows of the development data by table, without the ids that the database gives."""
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(f"sqlite:///{folder}/development.db")
        Base.metadata.create_all(engine)
        with session_factory(engine)() as session:
            development.load(session, origin, port, ALL_SCOPES)
            session.flush()
            found = [
                (table, [dict(row) for row in session.execute(select(table)).mappings()])
                for table in Base.metadata.sorted_tables
            ]
        engine.dispose()
    for table, rows in found:
        key = table.autoincrement_column
        for number, row in enumerate(rows, 1):
            assert key is None or row.pop(key.name) == number
    return [(table, rows) for table, rows in found if rows]


@pytest.fixture(scope="session")
def _servers() -> Iterator[dict[Any, Server]]:
    servers: dict[Any, Server] = {}
    yield servers
    for server in servers.values():
        server.client.__exit__()
        server.app.engine.dispose()


Serve = Callable[..., Server]


@pytest.fixture(params=["sqlite", "postgresql"])
def serve(
    request: pytest.FixtureRequest,
    _servers: dict[Any, Server],
    tmp_path_factory: pytest.TempPathFactory,
) -> Serve:
    """Return a function that starts a server with settings, on each kind of database in turn.

    The servers of one kind share a database, which holds the development data when a test begins.
    """
    kind = request.param

    def start(**chosen: Any) -> Server:
        key = (kind, *sorted(chosen.items()))
        if key not in _servers:
            if kind == "sqlite":
                url = f"sqlite:///{tmp_path_factory.getbasetemp() / 'served.db'}"
            else:
                url = request.getfixturevalue("postgresql_server").get_uri()
            app = create_app(settings.load(database_url=url, **chosen), validate_responses=True)
            migrate.upgrade(app.engine)
            client = CheckedClient(
                app, base_url=app.settings.origin, follow_redirects=False
            ).__enter__()
            _servers[key] = Server(app, client)
        _servers[key].app.limits.reset()
        _servers[key].app.rates.reset()
        return _servers[key]

    app = start().app
    empty(app.engine, app.settings.origin, app.settings.port)
    return start


@pytest.fixture
def server(serve: Serve) -> Server:
    """Return a development server with fresh development data."""
    return serve()


@pytest.fixture
def client(server: Server) -> CheckedClient:
    """Return a client of the development server."""
    return server.client

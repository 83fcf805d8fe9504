"""The handler wrapper: what happens around every handler."""

from typing import Any

import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from handlers import documentation, teams, users
from handlers.schemas.teams import team as team_schema
from models import Caller, Team, TeamView, User
from models.database.base import now
from models.database.prepared import Prepared
from models.errors import Conflict
from roster import settings
from roster.application import Application, create_app
from roster.contract.errors import DefinitionError
from roster.http.context import current
from tests.serving import CheckedClient, Serve, Server


def titles(server: Server) -> list[str]:
    with server.session() as session:
        return list(session.scalars(select(Team.title).order_by(Team.id)))


# Transactions


class Consequential(Conflict):
    consequence = True


LATER = Prepared(insert(Team).values(title="Later", created=now(), updated=now()).inline())


@pytest.fixture
def forgetful(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Have answers with a team write another one later; the server forgets the first statement."""
    if server.app.engine.dialect.name != "postgresql":
        pytest.skip("SQLite writes nothing with the commit.")
    dump = team_schema.dump
    forgotten: list[int] = []

    def write_and_dump(team: Any) -> Any:
        connection = current.get().connection
        LATER.write_later(connection)
        if not forgotten:
            driver: Any = connection.connection.dbapi_connection
            forgotten.append(driver.pgconn.exec_(b"DEALLOCATE ALL").status)
        return dump(team)

    monkeypatch.setattr(team_schema, "dump", write_and_dump)
    return server


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}])
def test_a_request_is_repeated_if_the_server_has_forgotten_what_it_writes_later(
    forgetful: Server, headers: dict[str, str]
) -> None:
    caller = forgetful.admin

    for _ in range(2):
        answer = caller.post("/teams", {"title": "Analysts"}, headers=headers)
        assert answer.status_code == 201

    assert titles(forgetful) == ["Analysts", "Later"] * (1 if headers else 2)


def test_so_is_one_whose_error_has_a_consequence(
    forgetful: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_and_fail(team: Any) -> None:
        write(team)
        raise Consequential("Taken.")

    caller, write = forgetful.admin, team_schema.dump
    monkeypatch.setattr(team_schema, "dump", write_and_fail)

    assert make_team_unchecked(forgetful, caller.headers).status_code == 409

    assert titles(forgetful) == ["Analysts", "Later"]


def test_what_a_handler_did_is_committed(server: Server) -> None:
    assert server.admin.post("/teams", {"title": "Analysts"}).status_code == 201

    assert titles(server) == ["Analysts"]


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("broken"), 500), (Conflict("Taken."), 409)]
)
def test_what_a_handler_did_before_an_error_is_undone(
    server: Server, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(_: Any) -> None:
        raise error

    caller = server.admin
    monkeypatch.setattr(team_schema, "dump", fail)

    assert make_team_unchecked(server, caller.headers).status_code == status

    assert titles(server) == []


def test_the_consequence_of_an_error_is_committed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise Consequential("Taken.")

    caller = server.admin
    monkeypatch.setattr(team_schema, "dump", fail)

    assert make_team_unchecked(server, caller.headers).status_code == 409

    assert titles(server) == ["Analysts"]


def make_team_unchecked(server: Server, headers: dict[str, str]) -> Any:
    """Create a team, though the answer be one that the definition does not declare."""
    client = TestClient(server.app, base_url=server.app.settings.origin)
    return client.post("/api/v1/teams", json={"title": "Analysts"}, headers=headers)


def test_a_commit_that_fails_is_an_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("broken")

    caller = server.admin
    new = {"username": "ada", "email": "ada@example.com", "password": "correct horse battery"}
    monkeypatch.setattr(Session, "commit", fail)
    assert caller.post("/users", new).status_code == 500
    monkeypatch.setattr(Connection, "commit", fail)
    assert caller.post("/teams", {"title": "Analysts"}).status_code == 500
    monkeypatch.undo()

    assert titles(server) == []
    assert caller.post("/users", new).status_code == 201


def test_a_handler_that_yields_has_its_work_committed_step_by_step(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def delete_team(session: Session) -> Any:
        for number in range(3):
            session.add(Team(title=f"Team {number}"))
            session.flush()
            yield
            seen.append(titles(server))
            # Nothing is held: others may write meanwhile.
            server.user(f"user-{number}")
        raise Conflict("Taken.")

    team = server.team("Old", server.person("ada"))
    monkeypatch.setattr(teams, "delete_team", delete_team)
    app = create_app(server.app.settings)
    client = TestClient(app, base_url=app.settings.origin)

    answer = client.delete(f"/api/v1/teams/{team}", headers=server.admin.headers)

    assert answer.status_code == 409
    assert seen == [["Old", *(f"Team {number}" for number in range(end))] for end in (1, 2, 3)]
    app.engine.dispose()


def test_what_a_handler_that_yields_did_after_the_last_step_goes_with_its_error(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete_team(session: Session) -> Any:
        session.add(Team(title="Kept"))
        yield
        session.add(Team(title="Undone"))
        session.flush()
        raise RuntimeError("broken")

    team = server.team("Old", server.person("ada"))
    monkeypatch.setattr(teams, "delete_team", delete_team)
    app = create_app(server.app.settings)
    client = TestClient(app, base_url=app.settings.origin, raise_server_exceptions=False)

    answer = client.delete(f"/api/v1/teams/{team}", headers=server.admin.headers)

    assert answer.status_code == 500
    assert titles(server) == ["Old", "Kept"]
    app.engine.dispose()


def test_what_a_handler_that_yields_returns_is_its_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_team(team: TeamView) -> Any:
        yield
        yield
        return team_schema.dump(team)

    team_id = server.team("Analysts", server.person("ada"))
    monkeypatch.setattr(teams, "read_team", read_team)
    app = create_app(server.app.settings)
    client = TestClient(app, base_url=app.settings.origin)

    answer = client.get(f"/api/v1/teams/{team_id}", headers=server.admin.headers)

    assert answer.json()["title"] == "Analysts"
    app.engine.dispose()


def test_every_connection_is_given_back(server: Server) -> None:
    caller = server.admin
    caller.get("/users")
    pool: Any = server.app.engine.pool
    kept = pool.checkedout()  # which one request after the other has
    for path in ("/users", "/users/999", "/users?limit=x", "/nothing"):
        caller.get(path)
        caller.request("OPTIONS", path)
    caller.post("/teams", {"title": "x"})
    server.client.post("/auth/oauth2/token", data={"grant_type": "password"})

    assert pool.checkedout() == kept >= 1


# What a handler gets


@pytest.fixture
def build(database_url: str) -> Any:
    """Return a function that builds an app, for handlers that a test has replaced."""

    def build() -> Application:
        return create_app(settings.load(database_url=database_url))

    return build


def test_an_unknown_parameter_of_a_handler_is_refused_at_the_start(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_team(team: TeamView, nonsense: object) -> None:
        """Ask for what nobody gives."""

    monkeypatch.setattr(teams, "read_team", read_team)

    with pytest.raises(DefinitionError, match=r"handlers\.teams\.read_team asks for nonsense"):
        build()


def test_an_object_that_the_path_does_not_name_is_refused_at_the_start(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_team(user: User) -> None:
        """Ask for an object that the permission does not name."""

    monkeypatch.setattr(teams, "read_team", read_team)

    with pytest.raises(DefinitionError, match="asks for user"):
        build()


def test_a_handler_that_is_missing_is_noticed_at_the_start(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(users, "read_me")

    with pytest.raises(DefinitionError, match="read_me"):
        build()


def test_a_handler_gets_the_parameters_of_the_query_by_name(
    build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_definition_json(caller: Caller, settings: Any) -> dict[str, Any]:
        return {"roles": sorted(caller.roles), "origin": settings.origin}

    def list_users(limit: int, offset: int | None, cursor: str | None) -> list[Any]:
        return [{"id": 1, "username": f"{limit} {offset} {cursor}"}]

    monkeypatch.setattr(documentation, "read_definition_json", read_definition_json)
    monkeypatch.setattr(users, "list_users", list_users)
    monkeypatch.setattr("roster.stack.resolver.Rules.judge", lambda *_: (granted(), None))
    monkeypatch.setattr("roster.stack.security.identify", lambda *_: known())
    client = TestClient(build(), base_url="http://127.0.0.1:5000")

    assert client.get("/api/v1/openapi.json").json() == {
        "roles": [],
        "origin": "http://127.0.0.1:5000",
    }
    assert client.get("/api/v1/users?offset=3").json()[0]["username"] == "20 3 None"


def granted() -> Any:
    from roster.contract.permissions import Verdict  # noqa: PLC0415

    return Verdict.GRANTED


def known() -> Caller:
    return Caller(client=1, scopes=frozenset({"users:read"}))


# Permission


def test_an_absent_object_and_one_that_must_not_be_known_look_the_same(server: Server) -> None:
    ada = server.person("ada")
    hidden, absent = (ada.get(path).json() for path in ("/users/1", "/users/999"))

    for problem in (hidden, absent):
        del problem["request_id"]
    assert hidden == absent
    assert hidden["detail"] == "There is no such user."


def test_what_one_sees_but_may_not_do_is_forbidden(server: Server) -> None:
    internal = server.person("iris", is_internal=True)

    assert internal.get("/users/1").status_code == 200
    assert internal.delete("/users/1").status_code == 403


# Answers


def test_the_location_of_what_was_made_leads_to_it(serve: Serve) -> None:
    server = serve(issuer="https://api.example")
    admin = server.admin

    user = admin.post(
        "/users",
        {"username": "ada", "email": "ada@example.com", "password": "correct horse battery"},
    )
    team = admin.post("/teams", {"title": "Analysts"})

    for made, path in ((user, "users"), (team, "teams")):
        location = made.headers["location"]
        assert location == f"https://api.example/api/v1/{path}/{made.json()['id']}"
        found = server.client.get(location, headers=admin.headers)
        assert found.json() == made.json()


def test_the_root_leads_to_the_documentation(client: CheckedClient) -> None:
    answer = client.get("/")

    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["location"] == "/api/v1/"


def test_what_has_no_content_has_no_content_type(server: Server) -> None:
    ada = server.person("ada")

    answer = server.admin.delete(f"/users/{ada.id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers


def test_json_is_what_it_says(server: Server) -> None:
    answer = server.admin.get("/users/me")

    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_text_tells_its_charset(client: CheckedClient) -> None:
    assert client.get("/api/v1/").headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/metrics").headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/api/v1/openapi.json", "/api/v1/openapi.yaml"])
class TestETag:
    """A document with an ETag need not be sent again."""

    def test_it_is_strong_and_stable(self, client: CheckedClient, path: str) -> None:
        first, second = (client.get(path).headers["etag"] for _ in range(2))

        assert first == second
        assert first.startswith('"')

    @pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
    def test_the_copy_at_hand_is_enough(self, client: CheckedClient, path: str, form: str) -> None:
        etag = client.get(path).headers["etag"]

        answer = client.get(path, headers={"If-None-Match": form.format(etag)})

        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert answer.headers["cache-control"] == "no-cache"
        assert "content-type" not in answer.headers

    @pytest.mark.parametrize("form", ['"other"', "{}x", "", "nonsense", '"', "W/", "\xff"])
    def test_another_copy_is_not(self, client: CheckedClient, path: str, form: str) -> None:
        value = form.format(client.get(path).headers["etag"]).encode("latin-1")

        answer = client.get(path, headers=[(b"If-None-Match", value)])

        assert answer.status_code == 200
        assert answer.content

    def test_head_asks_about_the_copy_too(self, client: CheckedClient, path: str) -> None:
        etag = client.get(path).headers["etag"]

        assert client.head(path, headers={"If-None-Match": etag}).status_code == 304

    def test_a_date_or_a_range_does_not_matter(self, client: CheckedClient, path: str) -> None:
        headers = {
            "If-Modified-Since": "Fri, 31 Dec 2100 00:00:00 GMT",
            "If-Match": '"other"',
            "Range": "bytes=0-3",
        }

        answer = client.get(path, headers=headers)

        assert answer.status_code == 200
        assert answer.content == client.get(path).content

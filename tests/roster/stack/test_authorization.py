"""Access: what a request may do is decided on what the rows say when it writes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from models import NAMED_OBJECTS, Grant, Member, Team, Token, User
from models.database import connections
from models.database.connections import session_on
from tests.serving import PROOF, Person, Server, replace

Act = Callable[[Session], Any]


@contextmanager
def before_writing(server: Server, *acts: Act) -> Iterator[None]:
    """Do something else, and commit it, each time a request is about to begin its transaction."""
    waiting = list(acts)
    begin = connections.begin

    def act_first(connection: Any, locks: Any = ()) -> None:
        is_request = "roster_check" in connection.__dict__
        if waiting and is_request and not connections._driver(connection).in_transaction:
            act = waiting.pop(0)
            with server.session() as session:
                act(session)
                session.commit()
        begin(connection, locks)

    with pytest.MonkeyPatch.context() as patch:
        for module in ("database.connections", "database.prepared", "users.user"):
            patch.setattr(f"models.{module}.begin", act_first)
        yield
    assert not waiting


def set_flags(person: Person, **flags: bool) -> Act:
    return lambda session: session.execute(update(User).where(User.id == person.id).values(**flags))


def end_tokens(person: Person) -> Act:
    def act(session: Session) -> None:
        for grant in session.scalars(select(Grant).where(Grant.user_id == person.id)):
            session.delete(grant)

    return act


def titles(server: Server) -> list[str]:
    with server.session() as session:
        return list(session.scalars(select(Team.title).order_by(Team.id)))


def test_who_has_just_lost_a_role_writes_nothing(server: Server) -> None:
    ada = server.person("ada")

    with before_writing(server, set_flags(ada, is_regular_user=False)):
        answer = ada.post("/teams", {"title": "Engines"})

    assert answer.status_code == 403
    assert titles(server) == []


def test_whose_token_has_just_ended_writes_nothing(server: Server) -> None:
    ada = server.person("ada")

    with before_writing(server, end_tokens(ada)):
        answer = ada.post("/teams", {"title": "Engines"})

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert titles(server) == []


def test_who_has_just_got_a_role_may_use_it(server: Server) -> None:
    ada = server.person("ada")
    bob = server.person("bob", is_internal=True)

    with before_writing(server, set_flags(bob, is_admin=True)):
        answer = bob.patch(f"/users/{ada.id}", PROOF, replace("/is_regular_user", False))

    assert answer.status_code == 200


def test_a_right_is_not_kept_by_changing_what_it_comes_from(server: Server) -> None:
    ada = server.person("ada", is_admin=True)

    with before_writing(server, set_flags(ada, is_admin=False)):
        answer = ada.patch(f"/users/{ada.id}", PROOF, replace("/is_admin", True))

    assert answer.status_code == 403
    assert ada.get("/users/me").json()["is_admin"] is False


def test_who_is_out_of_a_team_does_not_come_back_by_itself(server: Server) -> None:
    ada, bob = server.person("ada"), server.person("bob")
    team = server.team("Engines", ada, bob)

    def expel(session: Session) -> None:
        session.get_one(Member, (team, bob.id)).is_leader = True
        session.delete(session.get_one(Member, (team, ada.id)))

    with before_writing(server, expel):
        answer = ada.post(f"/teams/{team}/members", {"user_id": ada.id, "is_leader": True})

    assert answer.status_code == 404
    assert [each["user"]["id"] for each in bob.get(f"/teams/{team}").json()["members"]] == [bob.id]


def test_a_request_whose_caller_never_stays_the_same_is_given_up(server: Server) -> None:
    ada = server.person("ada", is_internal=True)
    flips = [set_flags(ada, is_admin=bool(number % 2)) for number in range(1, 6)]

    with before_writing(server, *flips):
        answer = ada.post("/teams", {"title": "Engines"})

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert titles(server) == []


def test_a_request_that_is_begun_anew_has_its_body_as_it_was_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = server.person("ada", is_internal=True)
    seen = []
    create = Team.create

    def note(connection: Any, **given: Any) -> Any:
        seen.append(given["title"])
        return create(connection, **given)

    monkeypatch.setattr(Team, "create", note)
    with before_writing(server, set_flags(ada, is_admin=True)):
        answer = ada.post("/teams", {"title": "Engines"})

    assert answer.status_code == 201
    assert seen == ["Engines", "Engines"]
    assert titles(server) == ["Engines"]


def test_what_a_handler_is_given_to_change_is_locked_and_fresh(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = server.person("ada")
    team = server.team("Engines", ada)

    def rename(session: Session) -> None:
        session.get_one(Team, team).title = "Looms"

    def append(self: Team, session: Session, _: Any) -> None:
        # As a handler would that knows of no locks.
        self.title += "!"
        session.flush()

    monkeypatch.setattr(Team, "change", append)
    with before_writing(server, rename):
        answer = ada.patch(f"/teams/{team}", replace("/title", "Poetry"))

    assert answer.json()["title"] == "Looms!"


def test_reading_takes_no_lock(server: Server) -> None:
    ada = server.person("ada")
    team = server.team("Engines", ada)
    statements: list[str] = []

    def note(_: Any, __: Any, sql: str, *___: Any) -> None:
        statements.append(sql)

    event.listen(server.app.engine, "before_cursor_execute", note)
    try:
        for path in ("/users/me", f"/users/{ada.id}", "/teams", f"/teams/{team}"):
            assert ada.get(path).status_code == 200
    finally:
        event.remove(server.app.engine, "before_cursor_execute", note)
    assert not [sql for sql in statements if " FOR " in sql]


@pytest.mark.parametrize("name", sorted(NAMED_OBJECTS))
def test_every_object_can_be_locked_though_it_is_gone(server: Server, name: str) -> None:
    named = next(
        each
        for each in server.app.definition.operations
        if each.permission.object == name and each.method != "POST"
    )
    ids = {
        each["name"]: 4711 if each["schema"].get("type") == "integer" else "unknown"
        for each in named.parameters
        if each["in"] == "path"
    }
    kind: Any = NAMED_OBJECTS[name].mapped
    with server.app.engine.connect() as connection, session_on(connection) as session:
        User.lock_accounts(connection, kind.users_to_lock(session, **ids))
        kind.lock_named(session, **ids)
        assert kind.load(session, **ids) is None


def test_tokens_of_clients_alone_are_looked_at_again_too(server: Server) -> None:
    service = server.caller(None)
    with server.session() as session:
        assert session.scalar(select(Token.id).join(Grant).where(Grant.user_id.is_(None)))

    assert service.post("/teams", {"title": "Engines"}).status_code == 403

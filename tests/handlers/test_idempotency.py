"""`Idempotency-Key`: what creates is carried out once, however often it is sent."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from models import AuditEvent, Client, IdempotentRequest, Member, Team, User, idempotency
from models.teams import team as teams
from roster.contract import loader
from roster.contract.errors import DefinitionError
from roster.stack.idempotency import HEADER, check_idempotent
from tests.serving import PASSWORD, Person, Server

KEY = {HEADER: '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}
# They tell of the one request and its time, and not of what it was about.
OF_EACH = {"x-request-id", "ratelimit", "date"}
PLACES = ["users", "teams", "members", "clients", "secret"]


@dataclass(frozen=True)
class Creation:
    """An operation that creates, with a body, another one, and what tells how often it was done."""

    by: Person
    path: str
    body: Any
    other: Any
    count: Callable[[], Any]

    def send(self, body: Any = None, by: Person | None = None, key: Any = KEY) -> Any:
        return (by or self.by).post(self.path, body or self.body, headers=key)


def number_of(server: Server, kind: Any) -> int:
    with server.session() as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


@pytest.fixture(params=PLACES)
def creation(request: pytest.FixtureRequest, server: Server, ada: Person, bob: Person) -> Creation:
    def count(kind: Any) -> Callable[[], int]:
        return lambda: number_of(server, kind)

    if request.param == "users":
        form = {"email": "eve@example.com", "password": PASSWORD, "recaptcha_key": "secret_key"}
        body: dict[str, Any] = {"username": "eve", **form}
        return Creation(server.nobody, "/users", body, body | {"last_name": "E"}, count(User))
    if request.param == "teams":
        return Creation(ada, "/teams", {"title": "Analysts"}, {"title": "Engineers"}, count(Team))
    if request.param == "members":
        path = f"/teams/{server.team('Analysts', ada)}/members"
        body = {"user_id": bob.id, "is_leader": False}
        return Creation(ada, path, body, {"user_id": bob.id, "is_leader": True}, count(Member))
    body = {"name": "Calendar", "redirect_uris": ["https://example.org/cb"]}
    if request.param == "clients":
        path = "/auth/oauth2_clients"
        return Creation(ada, path, body, body | {"name": "Diary"}, count(Client))
    made = ada.post("/auth/oauth2_clients", body).json()["client_id"]

    def secret() -> Any:
        with server.session() as session:
            return session.scalar(select(Client.secret_hash).where(Client.client_id == made))

    return Creation(ada, f"/auth/oauth2_clients/{made}/secret", None, {"x": 1}, secret)


def told(answer: Any) -> Any:
    headers = {name: each for name, each in answer.headers.items() if name.lower() not in OF_EACH}
    return answer.status_code, headers, answer.content


@contextmanager
def during(patch: pytest.MonkeyPatch, act: Callable[[], None]) -> Iterator[None]:
    """Have something done while a team is being created."""
    real = teams.Team.create.__func__  # type: ignore[attr-defined]

    def create(cls: Any, *arguments: Any, **options: Any) -> Any:
        act()
        return real(cls, *arguments, **options)

    with patch.context() as patched:
        patched.setattr(teams.Team, "create", classmethod(create))
        yield


def let_pass(server: Server, time: timedelta) -> None:
    with server.session() as session:
        earlier = {
            row.id: row.expires_at - time for row in session.scalars(select(IdempotentRequest))
        }
        for id, expires_at in earlier.items():
            row = update(IdempotentRequest).where(IdempotentRequest.id == id)
            session.execute(row.values(expires_at=expires_at))
        session.commit()


def test_the_first_answer_is_given_again(creation: Creation) -> None:
    first = creation.send()
    after = creation.count()

    assert first.status_code == 201, first.text
    assert [told(creation.send()) for _ in range(2)] == [told(first)] * 2
    assert creation.count() == after


def test_without_a_key_each_request_is_one_of_its_own(server: Server, ada: Person) -> None:
    assert ada.post("/teams", {"title": "Analysts"}).status_code == 201
    assert ada.post("/teams", {"title": "Analysts"}).status_code == 201

    assert number_of(server, Team) == 2
    assert number_of(server, IdempotentRequest) == 0


@pytest.mark.parametrize("creation", PLACES[:4], indirect=True)
def test_a_key_is_of_one_body(creation: Creation) -> None:
    creation.send()
    before = creation.count()

    refused = creation.send(creation.other)

    assert refused.status_code == 422
    assert "used for another request" in refused.json()["detail"]
    assert creation.count() == before


def test_a_key_of_one_operation_is_none_of_another(server: Server, ada: Person) -> None:
    path = f"/teams/{server.team('Analysts', ada)}/members"

    made = [
        ada.post(path, {"user_id": server.user("eve")}, headers=KEY),
        ada.post("/teams", {"title": "Engineers"}, headers=KEY),
    ]

    assert [each.status_code for each in made] == [201, 201]


def test_a_key_of_one_object_is_refused_for_another(server: Server, ada: Person) -> None:
    eve = server.user("eve")
    paths = [f"/teams/{server.team(title, ada)}/members" for title in ("First", "Second")]

    answers = [ada.post(each, {"user_id": eve}, headers=KEY) for each in paths]

    assert [each.status_code for each in answers] == [201, 422]


def test_a_key_of_one_client_is_refused_for_another(ada: Person) -> None:
    body = {"name": "Calendar", "redirect_uris": ["https://example.org/cb"]}
    made = [ada.post("/auth/oauth2_clients", body).json()["client_id"] for _ in range(2)]

    answers = [ada.post(f"/auth/oauth2_clients/{each}/secret", None, headers=KEY) for each in made]

    assert [each.status_code for each in answers] == [201, 422]


def test_a_body_is_the_same_however_it_is_written(ada: Person) -> None:
    form = {"Content-Type": "application/json", **KEY}
    bodies = [
        '{"user_id": 1, "is_leader": false}',
        '{\n  "is_leader" : false, "user_id" : 1\n}',
        '{"user_id":1}',
    ]
    team = ada.post("/teams", {"title": "Analysts"}).json()["id"]

    answers = [
        ada.request("POST", f"/teams/{team}/members", content=each, headers=form) for each in bodies
    ]

    assert [each.status_code for each in answers] == [201, 201, 422]


@pytest.mark.parametrize(
    ("key", "again"), [('"a b"', '"a b"'), ("a-b", '"a-b"'), ("a", "a"), ("x" * 255, "x" * 255)]
)
def test_a_key_is_the_same_with_and_without_quotes(
    server: Server, ada: Person, key: str, again: str
) -> None:
    for each in (key, again):
        assert ada.post("/teams", {"title": "Analysts"}, headers={HEADER: each}).status_code == 201

    assert number_of(server, Team) == 1


@pytest.mark.parametrize(
    "key", ["", '""', '"', 'a"b', '"a", "b"', "a,b", "é", " a", "x" * 256, "x" * 10_000]
)
def test_a_malformed_key_is_refused(server: Server, ada: Person, key: str) -> None:
    answer = ada.post("/teams", {"title": "Analysts"}, headers={HEADER: key.encode("latin-1")})

    assert answer.status_code == 400
    assert number_of(server, Team) == 0


def test_two_keys_are_refused(server: Server, ada: Person) -> None:
    headers = [*ada.headers.items(), (HEADER, "a"), (HEADER, "b")]

    answer = server.client.post("/api/v1/teams", json={"title": "Analysts"}, headers=headers)

    assert answer.status_code == 400


def test_callers_do_not_meet(server: Server, ada: Person, bob: Person, admin: Person) -> None:
    narrow = server.caller(ada.id, "teams:write")
    everybody = [ada, bob, admin, narrow]

    made = [each.post("/teams", {"title": "Analysts"}, headers=KEY) for each in everybody]

    assert [each.status_code for each in made] == [201] * 4
    assert len({each.json()["id"] for each in made}) == 4
    assert number_of(server, Team) == 4


def test_who_may_no_more_gets_no_answer_again(server: Server, ada: Person) -> None:
    assert ada.post("/teams", {"title": "Analysts"}, headers=KEY).status_code == 201
    with server.session() as session:
        session.get_one(User, ada.id).is_regular_user = False
        session.commit()

    assert ada.post("/teams", {"title": "Analysts"}, headers=KEY).status_code == 403


def test_a_new_token_of_the_same_kind_is_the_same_caller(server: Server, ada: Person) -> None:
    first = ada.post("/teams", {"title": "Analysts"}, headers=KEY)

    again = server.caller(ada.id).post("/teams", {"title": "Analysts"}, headers=KEY)

    assert told(again) == told(first)


def test_what_was_refused_leaves_its_key_free(server: Server, ada: Person, bob: Person) -> None:
    team = server.team("Analysts", ada, bob)
    body = {"user_id": bob.id}
    path = f"/teams/{team}/members"

    assert ada.post(path, {}, headers=KEY).status_code == 400
    assert ada.post(path, {"user_id": 999}, headers=KEY).status_code == 422
    assert ada.post(path, body, headers=KEY).status_code == 409
    assert number_of(server, IdempotentRequest) == 0
    assert ada.delete(f"{path}/{bob.id}").status_code == 204

    assert ada.post(path, body, headers=KEY).status_code == 201


def test_an_error_leaves_the_key_free(
    server: Server, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError

    with during(monkeypatch, fail):
        assert ada.post("/teams", {"title": "Analysts"}, headers=KEY).status_code == 500

    assert number_of(server, Team) == 0
    assert ada.post("/teams", {"title": "Analysts"}, headers=KEY).status_code == 201


@pytest.mark.parametrize("creation", PLACES[1:2], indirect=True)
def test_a_second_one_is_told_that_the_first_is_under_way(
    creation: Creation, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []

    def send() -> None:
        with ThreadPoolExecutor(1) as thread:
            answers.append(thread.submit(creation.send).result())
            answers.append(thread.submit(creation.send, creation.other).result())

    with during(monkeypatch, send):
        first = creation.send()

    assert [each.status_code for each in answers] == [409, 422]
    assert "under way" in answers[0].json()["detail"]
    assert told(creation.send()) == told(first)
    assert creation.count() == 1


def test_what_was_claimed_between_look_and_claim_is_under_way(
    server: Server, creation: Creation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = creation.count()
    real = idempotency.begin

    def begin(connection: Any, id: bytes, fingerprint: bytes) -> bytes | None:
        with server.session() as session:
            real(session.connection(), id, fingerprint)
            session.commit()
        return real(connection, id, fingerprint)

    monkeypatch.setattr(idempotency, "begin", begin)

    assert creation.send().status_code == 409
    assert creation.count() == before


def test_a_request_that_died_frees_its_key_after_a_minute(
    server: Server, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "release", lambda *_: None)
    team = server.team("Analysts", ada)
    path, body = f"/teams/{team}/members", {"user_id": ada.id}
    assert ada.post(path, body, headers=KEY).status_code == 409  # a member already

    under_way = ada.post(path, body, headers=KEY)
    let_pass(server, timedelta(seconds=60))
    again = ada.post(path, body, headers=KEY)

    assert "under way" in under_way.json()["detail"]
    assert "cannot be added" in again.json()["detail"]


def test_a_run_whose_claim_another_one_has_taken_writes_nothing(
    server: Server, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = idempotency.begin

    def begin(connection: Any, id: bytes, fingerprint: bytes) -> bytes | None:
        claim = real(connection, id, fingerprint)
        connection.commit()
        let_pass(server, timedelta(seconds=61))
        with server.session() as session:
            assert real(session.connection(), id, fingerprint) != claim
            session.commit()
        return claim

    monkeypatch.setattr(idempotency, "begin", begin)

    assert ada.post("/teams", {"title": "Analysts"}, headers=KEY).status_code == 409
    assert number_of(server, Team) == 0
    assert number_of(server, IdempotentRequest) == 1


def test_an_answer_is_kept_for_a_day(server: Server, ada: Person) -> None:
    first = ada.post("/teams", {"title": "Analysts"}, headers=KEY)
    let_pass(server, timedelta(hours=23, minutes=59))
    assert told(ada.post("/teams", {"title": "Analysts"}, headers=KEY)) == told(first)
    let_pass(server, timedelta(minutes=1))

    # Whether the purge has been there, or not yet.
    second = ada.post("/teams", {"title": "Analysts"}, headers=KEY)

    assert second.json()["id"] != first.json()["id"]


def test_the_purge_deletes_what_has_expired(server: Server, ada: Person) -> None:
    for number in range(5):
        ada.post("/teams", {"title": "Analysts"}, headers={HEADER: f"old-{number}"})
    let_pass(server, timedelta(hours=24))
    last = ada.post("/teams", {"title": "Analysts"}, headers=KEY)

    with server.session() as session:
        batches = []
        for number in idempotency.purge(session, batch=2):
            session.commit()
            batches.append(number)

    assert batches == [2, 2, 1]
    assert told(ada.post("/teams", {"title": "Analysts"}, headers=KEY)) == told(last)


def test_nothing_is_kept_in_clear(server: Server, ada: Person) -> None:
    body = {"name": "Calendar", "redirect_uris": ["https://example.org/cb"]}
    secret = ada.post("/auth/oauth2_clients", body, headers=KEY).json()["client_secret"]
    form = {"email": "eve@example.com", "password": PASSWORD, "recaptcha_key": "secret_key"}
    server.nobody.post("/users", {"username": "eve", **form}, headers=KEY)

    with server.session() as session:
        rows = session.scalars(select(IdempotentRequest)).all()
        kept = b"".join(row.id + row.fingerprint + row.claim + (row.answer or b"") for row in rows)

    assert len(rows) == 2
    for told_once in (secret, PASSWORD, "eve", "Calendar", KEY[HEADER].strip('"')):
        assert told_once.encode() not in kept


def test_what_is_answered_again_is_no_act(server: Server, ada: Person) -> None:
    def events() -> int:
        with server.session() as session:
            made = select(func.count()).where(AuditEvent.action == "team.created")
            return session.scalar(made) or 0

    before = events()
    for _ in range(3):
        ada.post("/teams", {"title": "Analysts"}, headers=KEY)

    assert events() == before + 1


def test_what_is_answered_again_is_not_counted(server: Server, serve: Any) -> None:
    counting = serve(limit_members_added=2)
    ada, bob = counting.person("ada"), counting.user("bob")
    path = f"/teams/{counting.team('Analysts', ada)}/members"

    answers = [ada.post(path, {"user_id": bob}, headers=KEY) for _ in range(4)]

    assert [each.status_code for each in answers] == [201] * 4


def test_what_is_answered_again_computes_no_hash(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"email": "eve@example.com", "password": PASSWORD, "recaptcha_key": "secret_key"}
    first = server.nobody.post("/users", {"username": "eve", **form}, headers=KEY)

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(User, "create", fail)

    assert told(server.nobody.post("/users", {"username": "eve", **form}, headers=KEY)) == told(
        first
    )


def test_only_what_creates_in_one_transaction_may_declare_it() -> None:
    def steps() -> Iterator[None]:
        yield

    definition = loader.load("production")
    creating = next(each for each in definition.operations if each.id == "create_team")
    revoking = next(each for each in definition.operations if each.id == "revoke_token")
    revoking = replace(revoking, parameters=creating.parameters)

    with pytest.raises(DefinitionError, match="a POST that answers 201"):
        check_idempotent(lambda: None, revoking)
    with pytest.raises(DefinitionError, match="yields"):
        check_idempotent(steps, creating)
    check_idempotent(lambda: None, creating)

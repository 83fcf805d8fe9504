"""The audit trail: each act leaves one event, in its own transaction, and only some read it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from models import AuditEvent, development
from models.database.base import now
from models.oauth.client import Client as RegisteredClient
from roster.contract import loader
from tests.handlers.test_roles import KINDS, caller_of, make_world, right_request
from tests.serving import PASSWORD, PROOF, Person, Serve, Server, basic, pointers, replace
from tests.signing_in import AUTHORIZE, LOGIN, Browser, led_to, register

OPERATIONS = loader.load("development").operations
AUDITED = [operation for operation in OPERATIONS if operation.audited]
EVENTS, MINE = "/audit-events", "/users/me/audit-events"


def trail(server: Server, after: int = 0) -> list[AuditEvent]:
    """Read the events that have come after one."""
    with server.session() as session:
        later = select(AuditEvent).where(AuditEvent.id > after).order_by(AuditEvent.id)
        return list(session.scalars(later))


def last_id(server: Server) -> int:
    return max((event.id for event in trail(server)), default=0)


def actions(server: Server, after: int = 0) -> list[str]:
    return [event.action for event in trail(server, after)]


def only(server: Server, after: int = 0) -> AuditEvent:
    """Return the one event that has come."""
    [event] = trail(server, after)
    return event


def token(server: Server, **form: str) -> Any:
    form = {"client_id": "documentation", **form}
    return server.client.post("/auth/oauth2/token", data=form)


def log_in(server: Server, username: str, password: str) -> Any:
    return token(server, grant_type="password", username=username, password=password)


# What the machinery writes


def test_every_operation_that_writes_says_which_event_it_leaves_or_why_none() -> None:
    for operation in OPERATIONS:
        assert ("x-audit" in operation.spec) is operation.writes, operation.id


@pytest.mark.parametrize("operation", AUDITED, ids=[operation.id for operation in AUDITED])
def test_an_operation_leaves_one_event_where_it_succeeds_and_none_where_it_is_refused(
    server: Server, operation: Any
) -> None:
    succeeded = 0
    for name in ("nobody", "outsider", "self", "leader", "admin", "service"):
        world = make_world(server, KINDS[name], operation)
        caller = caller_of(server, KINDS[name], world)
        before = last_id(server)
        answer = caller.request(operation.method, world.path, **right_request(operation))
        if not answer.is_success:
            assert trail(server, before) == [], name
            continue
        succeeded += 1
        event = only(server, before)
        assert operation.audited
        assert event.action == operation.audited.action
        assert event.actor_id == world.caller
        assert (event.actor_name is None) is (world.caller is None)
        assert event.client_id == (None if name == "nobody" else development.CLIENT_ID)
        assert event.target_kind == operation.audited.target
        if operation.audited.in_answer:
            assert event.target_id == str(answer.json()[operation.audited.in_answer])
        else:
            assert event.target_id in world.path.split("/")
        assert event.request_id == answer.headers["x-request-id"]
        assert event.address == "testclient"
    assert succeeded


def test_an_act_that_is_rolled_back_leaves_no_event(
    server: Server, ada: Person, admin: Person
) -> None:
    team = server.team("Engines", ada)
    conflict = ada.post(f"/teams/{team}/members", {"user_id": ada.id})
    unsafe = ada.patch(f"/users/{ada.id}", PROOF, replace("/password", "password"))
    last = admin.patch(f"/teams/{team}/members/{ada.id}", {**replace("/is_leader", False)})

    assert (conflict.status_code, unsafe.status_code, last.status_code) == (409, 422, 200)
    assert actions(server) == ["member.changed"]


def test_a_change_tells_its_members_and_the_values_of_flags_alone(
    server: Server, ada: Person, admin: Person
) -> None:
    new = "another pass phrase"
    changes = {"/email": "new@x.example", "/password": new, "/is_regular_user": False}
    operations = [replace(path, value) for path, value in changes.items()]
    assert admin.patch(f"/users/{ada.id}", PROOF, *operations).status_code == 200

    event = only(server)
    told = {"changed": "email is_regular_user password", "is_regular_user": "false"}
    assert event.details == told
    assert (event.actor_id, event.user_id, event.target_id) == (admin.id, ada.id, str(ada.id))


def test_a_client_tells_its_grants_and_scopes(server: Server, ada: Person) -> None:
    body = {
        "name": "Calendar",
        "redirect_uris": ["https://calendar.example/"],
        "default_scopes": ["users:read"],
        "grant_types": ["authorization_code"],
    }
    made = ada.post("/auth/oauth2_clients", body).json()
    path = f"/auth/oauth2_clients/{made['client_id']}"
    assert ada.patch(path, replace("/default_scopes", [])).status_code in {200, 400}
    created = trail(server)[0]

    assert created.details == {"default_scopes": "users:read", "grant_types": "authorization_code"}
    assert created.target_id == made["client_id"]


def test_a_deleted_user_stays_identifiable_and_its_things_are_counted(
    server: Server, ada: Person, bob: Person, admin: Person
) -> None:
    for number in range(3):
        server.team(f"Team {number}", bob)
    body = {"name": "An app", "redirect_uris": ["https://x.example/"]}
    assert bob.post("/auth/oauth2_clients", body).status_code == 201
    before = last_id(server)

    assert admin.delete(f"/users/{bob.id}").status_code == 204

    event = only(server, before)
    assert event.details == {"username": "bob", "clients": "1", "teams": "3"}
    assert (event.actor_name, event.user_id, event.target_id) == ("boss", bob.id, str(bob.id))


def test_the_client_is_told_though_it_goes_with_the_act(server: Server, ada: Person) -> None:
    with server.session() as session:
        client = RegisteredClient.find(session, development.CLIENT_ID)
        assert client
        client.user_id = ada.id
        session.commit()

    assert ada.delete(f"/users/{ada.id}").status_code == 204

    assert only(server).client_id == development.CLIENT_ID


# Logins


def test_logins_by_password_good_and_bad(server: Server, ada: Person) -> None:
    assert log_in(server, "ada", PASSWORD).status_code == 200
    assert log_in(server, "ADA@example.com", "wrong").status_code == 400
    assert log_in(server, "a secret typed as the name", "wrong").status_code == 400

    good, bad, unknown = trail(server)
    assert (good.action, good.actor_id, good.actor_name) == ("login.succeeded", ada.id, "ada")
    assert good.client_id == development.CLIENT_ID
    assert (bad.action, bad.actor_id, bad.user_id) == ("login.failed", None, ada.id)
    assert (bad.target_kind, bad.target_id) == ("user", str(ada.id))
    assert (unknown.action, unknown.user_id, unknown.target_id) == ("login.failed", None, None)
    assert {event.details["operation"] for event in (good, bad, unknown)} == {"issue_token"}


def test_a_login_that_the_limits_refuse_leaves_no_event(serve: Serve) -> None:
    server = serve(limit_per_account_and_address=2)
    server.user("ada")
    answered = [log_in(server, "ada", "wrong").status_code for _ in range(4)]

    assert answered == [400, 400, 429, 429]
    assert actions(server) == ["login.failed"] * 2


def test_the_password_that_confirms_a_change_is_a_login_too(server: Server, ada: Person) -> None:
    wrong = {**PROOF, "value": "wrong"}
    assert ada.patch(f"/users/{ada.id}", wrong, replace("/first_name", "A")).status_code == 403

    event = only(server)
    assert (event.action, event.actor_id) == ("login.failed", ada.id)
    assert event.target_id == str(ada.id)
    assert event.details == {"operation": "change_user"}


def test_logins_and_decisions_in_a_browser(server: Server) -> None:
    client = register(server)
    with server.session() as session:
        user = session.scalar(select(AuditEvent.actor_id).where(AuditEvent.actor_name == "user"))
    before = last_id(server)
    browser = Browser(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in(password="wrong")
    browser.sign_in()
    browser.submit(AUTHORIZE, decision="deny")
    browser.open(AUTHORIZE, client.request())
    browser.allow("users:read", "teams:read")
    _, answer = led_to(browser.open(AUTHORIZE, client.request()))
    form = client.exchange(answer["code"])
    assert server.client.post("/auth/oauth2/token", data=form).status_code == 200
    browser.open(LOGIN)
    browser.submit("/auth/logout")

    events = trail(server, before)
    assert [event.action for event in events] == [
        "login.failed",
        "login.succeeded",
        "consent.refused",
        "consent.given",
        "consent.used",
        "login.ended",
    ]
    assert {event.actor_id for event in events[1:]} == {user}
    assert {event.client_id for event in events[1:5]} == {client.client_id}
    assert events[3].details == {"scopes": "teams:read users:read"}


def test_what_is_used_twice_is_told(server: Server, ada: Person) -> None:
    issued = log_in(server, "ada", PASSWORD).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": issued["refresh_token"]}
    before = last_id(server)
    assert token(server, **refresh).status_code == 200
    assert token(server, **refresh).status_code == 400

    event = only(server, before)
    assert (event.action, event.user_id, event.actor_id) == ("token.reused", ada.id, None)
    assert event.details == {"operation": "issue_token", "what": "refresh_token"}
    assert event.client_id == development.CLIENT_ID


def test_a_code_that_comes_back_is_told(server: Server) -> None:
    client = register(server)
    browser = Browser(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    _, answer = led_to(browser.allow("users:read"))
    form = client.exchange(answer["code"])
    assert server.client.post("/auth/oauth2/token", data=form).status_code == 200
    before = last_id(server)
    assert server.client.post("/auth/oauth2/token", data=form).status_code == 400

    event = only(server, before)
    assert (event.action, event.details["what"]) == ("token.reused", "code")
    assert event.client_id == client.client_id


def test_a_revocation_is_told_once(server: Server, ada: Person) -> None:
    issued = log_in(server, "ada", PASSWORD).json()
    before = last_id(server)
    for kind in ("access_token", "refresh_token", "refresh_token"):
        form = {"client_id": "documentation", "token": issued[kind]}
        assert server.client.post("/auth/oauth2/revoke", data=form).status_code == 200

    events = trail(server, before)
    assert [event.details["what"] for event in events] == ["access_token", "refresh_token"]
    assert {(event.action, event.user_id) for event in events} == {("token.revoked", ada.id)}


def test_a_client_with_a_wrong_secret_is_told(server: Server) -> None:
    form = {"grant_type": "client_credentials"}
    for client_id in ("documentation", "a secret typed as the client"):
        headers = basic(client_id, "wrong")
        answer = server.client.post("/auth/oauth2/token", data=form, headers=headers)
        assert answer.status_code == 401

    event = only(server)
    assert (event.action, event.client_id) == ("client.refused", "documentation")


def test_refreshes_services_and_introspections_leave_no_event(server: Server, ada: Person) -> None:
    issued = log_in(server, "ada", PASSWORD).json()
    before = last_id(server)
    refresh = {"grant_type": "refresh_token", "refresh_token": issued["refresh_token"]}
    assert token(server, **refresh).status_code == 200
    assert server.service
    answer = server.client.post(
        "/auth/oauth2/introspect",
        data={"token": issued["access_token"]},
        headers=basic("documentation", development.CLIENT_SECRET),
    )
    assert answer.status_code == 200
    assert trail(server, before) == []


def test_no_event_holds_a_secret(server: Server, ada: Person) -> None:
    secrets = [PASSWORD, "wrong-secret-1", "wrong-secret-2", "new pass phrase 3", "wrong-secret-4"]
    log_in(server, secrets[1], secrets[2])
    log_in(server, "ada", secrets[2])
    ada.patch(f"/users/{ada.id}", {**PROOF, "value": secrets[4]}, replace("/first_name", "A"))
    query = {"grant_type": "password", "client_id": "documentation", "username": "ada"}
    url = "/auth/oauth2/token"
    got = server.client.get(url, params={**query, "password": PASSWORD, "state": "query-secret-5"})
    secrets += [got.json()["access_token"], got.json()["refresh_token"], "query-secret-5"]
    assert ada.patch(f"/users/{ada.id}", PROOF, replace("/password", secrets[3])).is_success
    body = {"name": "An app", "redirect_uris": ["https://x.example/?key=uri-secret-6"]}
    made = ada.post("/auth/oauth2_clients", body).json()
    again = ada.post(f"/auth/oauth2_clients/{made['client_id']}/secret", None).json()
    secrets += [made["client_secret"], again["client_secret"], "uri-secret-6"]
    server.client.post(
        "/auth/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers=basic(made["client_id"], "wrong-secret-7"),
    )
    secrets += ["wrong-secret-7", ada.headers["Authorization"].removeprefix("Bearer ")]
    form = {
        "username": "carl",
        "email": "carl@x.example",
        "password": "sign up secret 8",
        "recaptcha_key": "secret_key",
    }
    assert server.nobody.post("/users", form).status_code == 201
    secrets += ["sign up secret 8", "secret_key", "carl@x.example", "ada@example.com"]

    with server.session() as session:
        rows = [str(tuple(row)) for row in session.execute(select(AuditEvent.__table__))]
    assert len(rows) == 9
    for secret in secrets:
        assert not any(secret in row for row in rows), secret


# Reading


def test_everybody_reads_what_concerns_them_and_admins_read_all(
    server: Server, ada: Person, bob: Person, eve: Person, admin: Person
) -> None:
    team = ada.post("/teams", {"title": "Engines"}).json()["id"]
    assert ada.post(f"/teams/{team}/members", {"user_id": bob.id}).status_code == 201
    assert bob.delete(f"/teams/{team}/members/{bob.id}").status_code == 204
    assert eve.post("/teams", {"title": "Poetry"}).status_code == 201

    def read(who: Person, path: str) -> list[str]:
        return [event["action"] for event in who.get(path).json()]

    assert read(ada, MINE) == ["team.created", "member.added"]
    assert read(bob, MINE) == ["member.added", "member.removed"]
    assert read(eve, MINE) == ["team.created"]
    assert read(admin, MINE) == []
    assert read(admin, EVENTS) == ["team.created", "member.added", "member.removed", "team.created"]
    added = bob.get(MINE).json()[0]
    assert (added["actor_id"], added["actor_name"]) == (ada.id, "ada")
    assert (added["user_id"], added["target_kind"], added["target_id"]) == (
        *(bob.id, "team"),
        str(team),
    )
    where = ("address", "client_id", "request_id")
    assert [added[name] for name in where] == [None] * 3
    assert all(ada.get(MINE).json()[1][name] for name in where)


def test_the_address_of_a_failed_login_is_told_to_the_owner_of_the_account(
    server: Server, ada: Person
) -> None:
    assert log_in(server, "ada", "wrong").status_code == 400

    [event] = ada.get(MINE).json()
    assert (event["action"], event["address"]) == ("login.failed", "testclient")


def test_the_owner_of_a_client_reads_what_an_admin_did_to_it(
    server: Server, ada: Person, admin: Person
) -> None:
    body = {"name": "An app", "redirect_uris": ["https://x.example/"]}
    made = ada.post("/auth/oauth2_clients", body).json()
    assert admin.delete(f"/auth/oauth2_clients/{made['client_id']}").status_code == 204

    assert [event["action"] for event in ada.get(MINE).json()] == [
        "client.created",
        "client.deleted",
    ]


def fill(server: Server, *, start: datetime, minutes: int) -> None:
    """Store an event a minute, by two actors in turn."""
    with server.session() as session:
        for number in range(minutes):
            event = AuditEvent(
                created=start + timedelta(minutes=number),
                action=("team.created", "team.deleted", "user.changed")[number % 3],
                actor_id=1000 + number % 2,
                target_kind="team",
                target_id=str(number % 5),
                details={},
            )
            session.add(event)
            session.flush()
        session.commit()


START = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, range(30)),
        ({"action": "team.deleted"}, range(1, 30, 3)),
        ({"action": "no.such"}, []),
        ({"actor_id": 1001}, range(1, 30, 2)),
        ({"target": "team:3"}, range(3, 30, 5)),
        ({"target": "user:3"}, []),
        ({"since": "2026-01-31T12:10:00Z"}, range(10, 30)),
        ({"since": "2026-01-31T12:10:00.000001Z"}, range(11, 30)),
        ({"until": "2026-01-31T12:10:00Z"}, range(10)),
        ({"since": "2026-01-31T13:05:00+01:00", "until": "2026-01-31T12:07:30Z"}, (5, 6, 7)),
        ({"since": "2026-01-31T12:20:00Z", "actor_id": 1000}, range(20, 30, 2)),
        ({"since": "2027-01-31T12:20:00Z"}, []),
        ({"until": "2025-01-31T12:20:00Z"}, []),
        ({"since": "2026-01-31T12:20:00Z", "until": "2026-01-31T12:10:00Z"}, []),
    ],
)
@pytest.mark.parametrize("limit", [4, 100])
def test_events_are_found_by_time_and_one_thing_more(
    server: Server, query: dict[str, Any], expected: Any, limit: int
) -> None:
    admin = server.admin
    fill(server, start=START, minutes=30)
    found: list[int] = []
    page = admin.get(EVENTS, params={**query, "limit": limit})
    while True:
        assert page.status_code == 200, page.text
        assert "x-total-count" not in page.headers
        found += [event["id"] - 1 for event in page.json()]
        cursor = page.headers.get("x-next-cursor")
        if cursor is None:
            break
        assert page.links["next"]["url"].startswith(f"{server.origin}/api/v1{EVENTS}?")
        page = admin.get(EVENTS, params={**query, "limit": limit, "cursor": cursor})

    assert found == list(expected)


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("query", "status", "place"),
    [
        ({"action": "team.created", "actor_id": 1}, 422, "/actor_id"),
        ({"actor_id": 1, "target": "team:3"}, 422, "/target"),
        ({"action": "team.created", "actor_id": 1, "target": "team:3"}, 422, "/actor_id"),
        ({"target": "team"}, 400, "/target"),
        ({"target": "team:"}, 400, "/target"),
        ({"since": "2016-12-31T23:59:60Z"}, 422, "/since"),
        ({"until": "0000-12-31T23:59:00Z"}, 422, "/until"),
        ({"since": "yesterday"}, 400, "/since"),
        ({"since": "2026-01-31T12:00:00"}, 400, "/since"),
        ({"action": "Team Created"}, 400, "/action"),
        ({"actor_id": 0}, 400, "/actor_id"),
        ({"offset": 0}, 400, ""),
        ({"cursor": "forged"}, 400, "/cursor"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(
    server: Server, query: dict[str, Any], status: int, place: str
) -> None:
    answer = server.admin.get(EVENTS, params=query)

    assert (answer.status_code, pointers(answer)) == (status, [place])


@pytest.mark.one_database
@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_times_at_the_ends_of_the_calendar_are_no_errors(server: Server, text: str) -> None:
    fill(server, start=START, minutes=3)
    for name in ("since", "until"):
        assert server.admin.get(EVENTS, params={name: text}).status_code == 200
        assert server.admin.get(MINE, params={name: text}).status_code == 200


@pytest.mark.one_database
def test_my_events_refuse_a_time_that_is_none(server: Server, ada: Person) -> None:
    answer = ada.get(MINE, params={"since": "2016-12-31T23:59:60Z"})

    assert (answer.status_code, pointers(answer)) == (422, ["/since"])


@pytest.mark.one_database
def test_a_cursor_of_all_events_is_none_of_mine(server: Server) -> None:
    fill(server, start=START, minutes=3)
    cursor = server.admin.get(EVENTS, params={"limit": 1}).headers["x-next-cursor"]

    assert server.admin.get(MINE, params={"cursor": cursor}).status_code == 400


@pytest.mark.one_database
@pytest.mark.parametrize(("size", "how_many"), [(5000, 60), (1, 60)])
def test_details_are_bounded(server: Server, ada: Person, size: int, how_many: int) -> None:
    with server.session() as session:
        details = {f"name {number}": "x" * size for number in range(how_many)}
        session.add(AuditEvent(created=now(), action="a.b", actor_id=ada.id, details=details))
        session.commit()

    [event] = ada.get(MINE).json()
    assert 0 < len(event["details"]) <= 50
    assert sum(len(each["key"] + each["value"]) for each in event["details"]) <= 2000

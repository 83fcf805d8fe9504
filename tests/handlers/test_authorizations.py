"""Authorised apps: which ones a user sees, and what withdrawing one ends."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from models import Consent, Grant, Token
from models.database.base import now
from models.development import CLIENT_ID
from tests.serving import API, PASSWORD, SCOPES, Person, Server, basic
from tests.signing_in import AUTHORIZE, Browser, led_to, register
from tests.signing_in import Client as App

APPS = "/users/me/authorizations"
TOKEN = "/auth/oauth2/token"


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


@pytest.fixture
def user(server: Server) -> Person:
    """Return the development data's user, whom no app holds a token of but the test's own."""
    return server.caller(2 if username(server, 2) == "user" else 3)


def username(server: Server, user_id: int) -> str:
    """Return a user's name."""
    return str(server.admin.get(f"/users/{user_id}").json()["username"])


def code_for(browser: Browser, client: App, *scopes: str, username: str = "user") -> str:
    """Have a user allow a client some scopes; return the code."""
    browser.open(AUTHORIZE, client.request(scope=" ".join(scopes)))
    if "Sign in" in browser.page.text:
        browser.sign_in(username, "w" if username == "user" else PASSWORD)
    if browser.page.status_code == 200:
        browser.allow(*scopes)
    return led_to(browser.page)[1]["code"]


def exchange(server: Server, client: App, code: str) -> Any:
    """RequestContext a code."""
    return server.client.post(TOKEN, data=client.exchange(code))


def renew(server: Server, client: App, refresh_token: str) -> Any:
    """RequestContext a refresh token."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    form |= {"client_id": client.client_id, "client_secret": client.secret or ""}
    return server.client.post(TOKEN, data=form)


def listed(person: Person) -> dict[str, Any]:
    """Return a user's authorised apps by their client_id."""
    answer = person.get(APPS)
    assert answer.status_code == 200, answer.text
    return {app["client_id"]: app for app in answer.json()}


def open_to(server: Server, token: str) -> int:
    """Return the status that a token gets."""
    headers = {"Authorization": f"Bearer {token}"}
    return int(server.client.get(f"{API}/users/me", headers=headers).status_code)


def test_an_app_is_listed_with_what_it_may_do(
    server: Server, browser: Browser, user: Person
) -> None:
    client = register(server, name="Calendar")
    before = now()
    exchange(server, client, code_for(browser, client, "users:read", "teams:read"))

    app = listed(user)[client.client_id]

    assert app.keys() == {"client_id", "name", "scopes", "created"}
    assert app["name"] == "Calendar"
    assert app["scopes"] == ["teams:read", "users:read"]
    assert before - timedelta(seconds=1) <= datetime.fromisoformat(app["created"]) <= now()


def test_a_remembered_consent_counts_without_any_token(
    server: Server, browser: Browser, user: Person
) -> None:
    client = register(server)
    code_for(browser, client, "users:read")

    assert listed(user)[client.client_id]["scopes"] == ["users:read"]


def test_created_is_the_moment_of_the_first_consent(
    server: Server, browser: Browser, user: Person
) -> None:
    client = register(server)
    code_for(browser, client, "users:read")
    created = listed(user)[client.client_id]["created"]

    exchange(server, client, code_for(browser, client, "users:read", "teams:read"))

    app = listed(user)[client.client_id]
    assert app["created"] == created
    assert app["scopes"] == ["teams:read", "users:read"]


def test_the_password_grant_counts(server: Server) -> None:
    ada = server.user("ada")
    token = server.token("ada", scope="auth:read auth:write")
    person = Person(server.client, {"Authorization": f"Bearer {token}"}, ada)

    apps = listed(person)

    assert apps.keys() == {CLIENT_ID}
    assert apps[CLIENT_ID]["scopes"] == ["auth:read", "auth:write"]
    assert person.delete(f"{APPS}/{CLIENT_ID}").status_code == 204
    assert open_to(server, token) == 401


def test_an_app_whose_tokens_have_ended_is_gone_where_nothing_is_remembered(
    server: Server,
) -> None:
    ada = server.user("ada")
    first = server.token("ada")
    with server.session() as session:
        mine = select(Grant.id).where(Grant.user_id == ada)
        ended = now() - timedelta(seconds=1)
        session.execute(update(Token).where(Token.grant_id.in_(mine)).values(expires_at=ended))
        session.commit()

    person = person_of_another_client(server, ada)

    assert open_to(server, first) == 401
    assert CLIENT_ID not in listed(person)
    assert person.delete(f"{APPS}/{CLIENT_ID}").status_code == 404


def person_of_another_client(server: Server, user_id: int) -> Person:
    """Return a user with a token that belongs to a client other than the development one."""
    body = {"name": "Other", "grant_types": ["password"]}
    made = server.admin.post("/auth/oauth2_clients", body).json()
    form = {"grant_type": "password", "username": username(server, user_id), "password": PASSWORD}
    headers = basic(made["client_id"], made["client_secret"])
    token = server.client.post(TOKEN, data=form, headers=headers).json()["access_token"]
    return Person(server.client, {"Authorization": f"Bearer {token}"}, user_id)


def test_nobody_sees_the_apps_of_another(server: Server, browser: Browser, admin: Person) -> None:
    client = register(server)
    exchange(server, client, code_for(browser, client, "users:read"))

    assert client.client_id not in listed(admin)
    assert admin.delete(f"{APPS}/{client.client_id}").status_code == 404


def test_a_list_comes_in_pages_in_the_order_of_the_first_consent(
    server: Server, browser: Browser, user: Person
) -> None:
    clients = [register(server, name=f"App {number}") for number in range(3)]
    for client in reversed(clients):
        code_for(browser, client, "users:read")
    exchange(server, clients[2], code_for(browser, clients[2], "users:read"))
    names = ["App 2", "App 1", "App 0"]

    # The first is the development client, through which the test registered the others.
    everything = [app["name"] for app in user.get(APPS).json()]
    assert everything[1:] == names
    first = user.get(APPS, params={"limit": 2})
    assert first.headers["x-total-count"] == "4"
    assert [app["name"] for app in first.json()] == everything[:2]
    page = user.get(APPS, params={"limit": 2, "cursor": ""})
    assert "x-total-count" not in page.headers
    more = page.links["next"]["url"].removeprefix(f"http://127.0.0.1:5000{API}")
    last = user.get(more)
    assert [app["name"] for app in page.json() + last.json()] == everything
    assert "link" not in last.headers


def test_withdrawing_ends_all_between_the_two(
    server: Server, browser: Browser, user: Person
) -> None:
    client = register(server)
    one = exchange(server, client, code_for(browser, client, "users:read")).json()
    two = exchange(server, client, code_for(browser, client, "users:read")).json()
    two = renew(server, client, two["refresh_token"]).json()
    pending = code_for(browser, client, "users:read")

    assert user.delete(f"{APPS}/{client.client_id}").status_code == 204

    for issued in (one, two):
        assert open_to(server, issued["access_token"]) == 401
        refused = renew(server, client, issued["refresh_token"])
        assert refused.json()["error"] == "invalid_grant"
    assert exchange(server, client, pending).json()["error"] == "invalid_grant"
    assert client.client_id not in listed(user)
    assert browser.open(AUTHORIZE, client.request(scope="users:read")).status_code == 200
    assert user.delete(f"{APPS}/{client.client_id}").status_code == 404


def test_withdrawing_leaves_others_alone(server: Server, browser: Browser, user: Person) -> None:
    server.user("ada")
    client, other = register(server), register(server)
    code_for(browser, client, "users:read")
    kept = exchange(server, other, code_for(browser, other, "users:read")).json()
    code = code_for(Browser(server), client, "users:read", username="ada")
    theirs = exchange(server, client, code).json()

    user.delete(f"{APPS}/{client.client_id}")

    assert open_to(server, kept["access_token"]) == 200
    assert open_to(server, theirs["access_token"]) == 200
    assert renew(server, client, theirs["refresh_token"]).status_code == 200


def test_withdrawing_leaves_the_clients_own_tokens_alone(server: Server) -> None:
    service = server.service
    ada = server.person("ada")
    server.token("ada")

    assert ada.delete(f"{APPS}/{CLIENT_ID}").status_code == 204

    assert server.client.get(f"{API}/users", headers=service).status_code == 200


def test_an_app_can_be_let_in_again(server: Server, browser: Browser, user: Person) -> None:
    client = register(server)
    exchange(server, client, code_for(browser, client, "users:read", "teams:read"))
    user.delete(f"{APPS}/{client.client_id}")

    again = exchange(server, client, code_for(browser, client, "teams:read"))

    assert again.status_code == 200
    assert listed(user)[client.client_id]["scopes"] == ["teams:read"]


@pytest.mark.parametrize("client_id", ["nobody", "x" * 64, "%00", "a%2Fb"])
def test_an_unknown_app_is_not_there(user: Person, client_id: str) -> None:
    assert user.delete(f"{APPS}/{client_id}").status_code == 404


def test_a_client_that_was_not_let_in_is_not_there(server: Server, user: Person) -> None:
    client = register(server)

    assert user.delete(f"{APPS}/{client.client_id}").status_code == 404


def test_declining_authorises_nothing(server: Server, browser: Browser, user: Person) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    browser.submit(AUTHORIZE, decision="deny")

    assert client.client_id not in listed(user)


def test_any_active_user_may_ask_but_no_service(server: Server, user: Person) -> None:
    service = server.caller(None)
    plain = server.person("plain", is_regular_user=False)

    assert plain.get(APPS).status_code == 200
    assert service.get(APPS).status_code == 403
    assert service.delete(f"{APPS}/{CLIENT_ID}").status_code == 403
    assert server.nobody.get(APPS).status_code == 401
    assert server.nobody.delete(f"{APPS}/{CLIENT_ID}").status_code == 401
    narrow = server.caller(user.id, SCOPES.replace("auth:", "users:"))
    assert narrow.get(APPS).status_code == 403
    assert narrow.delete(f"{APPS}/{CLIENT_ID}").status_code == 403


def test_nothing_is_left_in_the_database(server: Server, browser: Browser, user: Person) -> None:
    client = register(server)
    exchange(server, client, code_for(browser, client, "users:read"))
    user.delete(f"{APPS}/{client.client_id}")

    with server.session() as session:
        names = session.scalars(select(Consent.client_id).where(Consent.user_id == user.id))
        assert len(names.all()) == 1

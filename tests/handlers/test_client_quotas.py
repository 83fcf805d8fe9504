"""Quotas over HTTP: clients of a user, its sessions, and the grants between a user and a client."""

from typing import Any

import pytest

from models.development import CLIENT_ID, CLIENT_SECRET
from tests.handlers.test_clients import CLIENTS, TOKEN, at, create, new, works
from tests.serving import PASSWORD, Person, Serve, Server, basic
from tests.signing_in import AUTHORIZE, LOGIN, Browser, led_to, register


@pytest.fixture
def small(serve: Serve) -> Server:
    """Return a server with small quotas."""
    return serve(quota_clients=2, quota_sessions=2, quota_grants=2)


def log_in(server: Server, username: str = "user", password: str = "w") -> dict[str, Any]:
    form = {"grant_type": "password", "client_id": CLIENT_ID}
    answer = server.client.post(TOKEN, data=form | {"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refresh(server: Server, issued: dict[str, Any]) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": issued["refresh_token"]}
    return server.client.post(TOKEN, data=form | {"client_id": CLIENT_ID})


@pytest.mark.parametrize("is_admin", [False, True])
def test_a_user_has_so_many_clients(small: Server, is_admin: bool) -> None:
    ada = small.person("ada", is_admin=is_admin)
    made = [create(ada) for _ in range(2)]

    refused = ada.post(CLIENTS, new())

    assert refused.status_code == 409
    assert "as many clients" in refused.json()["detail"]
    assert len(ada.get(CLIENTS).json()) == 2
    create(small.person("bob"))
    assert ada.delete(at(made[0])).status_code == 204
    create(ada)


def test_what_is_wrong_otherwise_is_said_first(small: Server) -> None:
    ada = small.person("ada")
    for _ in range(2):
        create(ada)

    assert ada.post(CLIENTS, new(redirect_uris=[])).status_code == 422
    assert ada.post(CLIENTS, new(grant_types=["password"])).status_code == 403


def test_a_new_login_ends_the_oldest_session(small: Server) -> None:
    browsers = [Browser(small) for _ in range(3)]
    for browser in browsers:
        browser.open(LOGIN)
        browser.sign_in()

    pages = [browser.open(LOGIN).text for browser in browsers]

    assert ["password" in page for page in pages] == [True, False, False]


def test_a_new_grant_ends_the_oldest_with_all_its_tokens(small: Server) -> None:
    other = log_in(small, "root", "q")
    first, *others = (log_in(small) for _ in range(3))

    assert not works(small, first)
    assert refresh(small, first).json()["error"] == "invalid_grant"
    form = {"token": first["refresh_token"]}
    known = basic(CLIENT_ID, CLIENT_SECRET)
    introspected = small.client.post("/auth/oauth2/introspect", data=form, headers=known)
    assert introspected.json() == {"active": False}
    for issued in (*others, other):
        assert works(small, issued)
        assert works(small, refresh(small, issued).json())


def test_a_used_refresh_token_of_a_grant_that_ended_so_is_still_known(small: Server) -> None:
    first = log_in(small)
    second = refresh(small, first).json()
    log_in(small)
    log_in(small)

    for used in (first, second):
        assert refresh(small, used).json()["error"] == "invalid_grant"


def test_an_app_whose_grants_all_ended_is_authorised_by_the_new_ones(small: Server) -> None:
    person: Person = small.person("ada")
    for _ in range(3):
        log_in(small, "ada", PASSWORD)
    listed = Person(
        small.client, {"Authorization": f"Bearer {log_in(small, 'ada', PASSWORD)['access_token']}"}
    )

    found = listed.get("/users/me/authorizations").json()

    assert [each["client_id"] for each in found] == [CLIENT_ID]
    assert person.get("/users/me").status_code == 401


def test_exchanged_codes_count_as_grants_and_waiting_ones_among_themselves(small: Server) -> None:
    client, browser = register(small), Browser(small)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    codes = [led_to(browser.allow("users:read", "teams:read"))[1]["code"]]
    codes += [led_to(browser.open(AUTHORIZE, client.request()))[1]["code"] for _ in range(2)]

    answers = [small.client.post(TOKEN, data=client.exchange(code)) for code in codes]

    assert [answer.status_code for answer in answers] == [400, 200, 200]
    code = led_to(browser.open(AUTHORIZE, client.request()))[1]["code"]
    last = small.client.post(TOKEN, data=client.exchange(code))
    issued = [answer.json() for answer in (*answers[1:], last)]
    assert [works(small, each) for each in issued] == [False, True, True]


def test_a_service_has_ten_times_as_many(small: Server) -> None:
    known = basic(CLIENT_ID, CLIENT_SECRET)

    def serve() -> dict[str, str]:
        answer = small.client.post(TOKEN, data={"grant_type": "client_credentials"}, headers=known)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    tokens = [serve() for _ in range(21)]
    person = log_in(small)

    statuses = [small.client.get("/api/v1/teams", headers=token).status_code for token in tokens]
    assert statuses == [401] + [200] * 20
    assert works(small, person)

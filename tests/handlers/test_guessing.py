"""Strangers who guess passwords, and those whose account it is: who is stopped, and where."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from tests.serving import Serve, Server, demand, replace
from tests.signing_in import LOGIN, Browser

TOKEN = "/auth/oauth2/token"
DEVICE = "roster_device"
HOME = "203.0.113.7"
FRESH = "203.0.113.99"


@pytest.fixture
def server(serve: Serve) -> Server:
    """Return a server that takes the address from where a test says that it is."""
    return serve(trusted_proxies=1)


def log_in(server: Server, address: str, password: str = "q", username: str = "root") -> Any:
    form = {
        "grant_type": "password",
        "client_id": "documentation",
        "username": username,
        "password": password,
    }
    return server.client.post(TOKEN, data=form, headers={"X-Forwarded-For": address})


def browser_at(server: Server, address: str) -> Browser:
    browser = Browser(server, headers={"X-Forwarded-For": address})
    browser.open(LOGIN)
    return browser


def siege(server: Server, username: str = "root") -> None:
    """Guess at an account from 21 networks, until every stranger is refused."""
    statuses = [
        log_in(server, f"2001:db8:0:{network:x}::{guess:x}", "wrong", username).status_code
        for network in range(21)
        for guess in range(1, 11)
    ]
    assert statuses == [400] * 200 + [429] * 10


def test_a_siege_stops_strangers_and_not_the_owner(server: Server) -> None:
    assert log_in(server, HOME).status_code == 200
    root = server.admin
    ada = server.user("ada")
    at_home = browser_at(server, "203.0.113.8")
    assert at_home.sign_in("root", "q").status_code == 200
    at_home.submit("/auth/logout")
    at_home.headers["X-Forwarded-For"] = FRESH

    siege(server)

    # The address, the device, and the token go on, again and again.
    for _ in range(2):
        assert log_in(server, HOME).status_code == 200
        assert "Signed in" in at_home.sign_in("root", "q").text
        at_home.submit("/auth/logout")
        proof = demand("/current_password", "q")
        change = root.patch(f"/users/{ada}", proof, replace("/is_active", False))
        assert change.status_code == 200
    stranger = log_in(server, "203.0.113.100")
    assert stranger.status_code == 429
    assert int(stranger.headers["retry-after"]) > 0
    page = browser_at(server, "203.0.113.101").sign_in("root", "q")
    assert page.status_code == 429
    # Where the device signed in is known from then on.
    assert log_in(server, FRESH).status_code == 200


def test_guesses_with_a_token_do_not_close_the_login_nor_the_other_way_round(
    server: Server,
) -> None:
    thief = server.caller(1)
    proof = demand("/current_password", "wrong")
    headers = {"X-Forwarded-For": HOME}
    change: dict[str, Any] = {"json": [proof, replace("/first_name", "R")], "headers": headers}
    statuses = [thief.request("PATCH", "/users/1", **change).status_code for _ in range(11)]
    assert statuses == [403] * 10 + [429]

    assert log_in(server, HOME).status_code == 200

    for _ in range(10):
        assert log_in(server, FRESH, "wrong").status_code == 400
    assert log_in(server, FRESH).status_code == 429
    right: dict[str, Any] = {
        "json": [demand("/current_password", "q"), replace("/first_name", "R")],
        "headers": {"X-Forwarded-For": FRESH},
    }
    assert thief.request("PATCH", "/users/1", **right).status_code == 200


def test_a_known_address_and_a_device_are_stopped_by_their_own_guesses(server: Server) -> None:
    browser = browser_at(server, HOME)
    browser.sign_in("root", "q")
    browser.submit("/auth/logout")

    at_page = [browser.sign_in("root", "wrong").status_code for _ in range(11)]
    by_token = [log_in(server, HOME, "wrong").status_code for _ in range(11)]

    assert at_page == by_token == [400] * 10 + [429]
    assert log_in(server, FRESH).status_code == 200


def test_a_browser_is_remembered_for_the_account_that_last_signed_in(server: Server) -> None:
    browser = browser_at(server, HOME)
    browser.sign_in("root", "q")
    first = browser.cookies[DEVICE]
    browser.submit("/auth/logout")
    assert browser.cookies[DEVICE] == first
    browser.sign_in("user", "w")
    assert browser.cookies[DEVICE] != first
    browser.submit("/auth/logout")
    browser.headers["X-Forwarded-For"] = FRESH
    siege(server)

    assert browser.sign_in("root", "q").status_code == 429
    browser.cookies[DEVICE] = first
    assert "Signed in" in browser.sign_in("root", "q").text


@pytest.mark.parametrize("value", ["", "forged", "WyJ1c2VyIDEiLCJ4Il0.aaaaaa.bbbb"])
def test_a_forged_device_is_none(server: Server, value: str) -> None:
    siege(server)
    browser = browser_at(server, FRESH)
    browser.cookies[DEVICE] = value

    assert browser.sign_in("root", "q").status_code == 429
    assert browser.sign_in("user", "w").status_code == 200


@pytest.mark.parametrize(
    ("issuer", "name", "is_secure"),
    [("", DEVICE, False), ("https://roster.example", f"__Host-{DEVICE}", True)],
)
def test_the_devices_cookie_is_closed_to_scripts_and_other_sites(
    serve: Serve, issuer: str, name: str, *, is_secure: bool
) -> None:
    browser = Browser(serve(issuer=issuer))
    browser.open(LOGIN)
    form = {**browser.hidden(LOGIN), "username": "user", "password": "w"}

    answer = browser._send("POST", LOGIN, data=form)

    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith(name)]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert ("Secure" in cookie) is is_secure
    assert "Max-Age=15552000" in cookie


def test_a_failed_login_is_remembered_nowhere(server: Server) -> None:
    browser = browser_at(server, HOME)

    browser.sign_in("root", "wrong")

    assert DEVICE not in browser.cookies


def test_a_change_of_account_locks_no_row_of_the_former_user(server: Server) -> None:
    browser = browser_at(server, HOME)
    browser.sign_in("internal", "q")
    former = browser.cookies["roster_session"]
    with server.app.engine.begin() as connection:
        hour_ago = {"sqlite": "datetime('now', '-1 hour')"}.get(
            connection.dialect.name, "now() - interval '1 hour'"
        )
        connection.exec_driver_sql(f"UPDATE browser_sessions SET seen_at = {hour_ago}")
    form = {**browser.hidden("/auth/logout"), "username": "user", "password": "w"}
    statements: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        statements.append((arguments[2], arguments[3]))

    event.listen(server.app.engine, "before_cursor_execute", note)
    try:
        answer = browser._send("POST", LOGIN, data=form)
    finally:
        event.remove(server.app.engine, "before_cursor_execute", note)

    assert answer.status_code == 303
    assert any(sql.startswith("DELETE FROM browser_sessions") for sql, _ in statements)
    locking = [sql for sql, _ in statements if "FOR " in sql or sql.startswith("UPDATE")]
    if server.app.engine.dialect.name == "postgresql":
        assert len(locking) == 1
    assert not any("browser_sessions" in sql for sql in locking)
    browser.cookies["roster_session"] = former
    assert "Signed in" not in browser.open(LOGIN).text


WIDE = {code: code + 0xFEE0 for code in range(ord("!"), ord("~") + 1)}


def of_all(server: Server, guesses: list[tuple[str, str]]) -> list[int]:
    """Return the statuses of wrong logins, each with a name, from an address."""
    return [log_in(server, address, "wrong", name).status_code for address, name in guesses]


def in_capitals(name: str) -> str:
    return f"\u00a0{name.upper()}\u200b"


def in_wide_letters(name: str) -> str:
    return name.translate(WIDE)


@pytest.mark.parametrize("spell", [in_wide_letters, in_capitals])
@pytest.mark.parametrize("networks", [1, 20])
@pytest.mark.parametrize("name", ["root", "nobody"])
def test_no_spelling_tells_which_usernames_exist(
    server: Server, name: str, networks: int, spell: Callable[[str], str]
) -> None:
    places = [f"2001:db8:0:{each:x}::1" for each in range(networks)]
    guesses = [(place, spell(name)) for place in places for _ in range(10)]
    last = places[0] if networks == 1 else FRESH

    assert of_all(server, [*guesses, (last, name)]) == [400] * 10 * networks + [429]


def test_a_username_and_an_e_mail_address_have_no_more_guesses_than_one(server: Server) -> None:
    guesses = [(FRESH, login) for login in ("root", "root@localhost") for _ in range(5)]

    assert of_all(server, [*guesses, (FRESH, "root")]) == [400] * 10 + [429]

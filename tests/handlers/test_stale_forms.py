"""Forms that are older than the session: of two tabs, of the back button, of restored windows."""

import re
from html import unescape

import pytest

from tests.serving import Server, replace
from tests.signing_in import AUTHORIZE, LOGIN, Browser, Client, led_to, register

LOGOUT = "/auth/logout"
COOKIE, FORM_COOKIE = "roster_session", "roster_form"


@pytest.fixture
def one(server: Server) -> Browser:
    """Return the first tab of a browser."""
    return Browser(server)


@pytest.fixture
def two(one: Browser) -> Browser:
    """Return the second tab of the same browser."""
    return Browser(one.server, cookies=one.cookies)


@pytest.fixture
def app(server: Server) -> Client:
    return register(server)


def test_both_of_two_login_forms_lead_to_their_own_requests(
    one: Browser, two: Browser, app: Client
) -> None:
    one.open(AUTHORIZE, app.request(state="one"))
    two.open(AUTHORIZE, app.request(state="two"))

    one.sign_in()
    two.sign_in()

    for tab, state in ((one, "one"), (two, "two")):
        _, answer = led_to(tab.allow("users:read"))
        assert "code" in answer
        assert answer["state"] == state


def test_a_wrong_password_in_the_second_form_is_told_and_ends_nothing(
    one: Browser, two: Browser
) -> None:
    one.open(LOGIN)
    two.open(LOGIN)
    one.sign_in()

    page = two.sign_in("user", "wrong")

    assert page.status_code == 400
    assert "Username or password is wrong." in page.text
    assert "Signed in" in one.open(LOGIN).text


def test_allow_goes_on_after_the_same_user_signed_in_anew(
    one: Browser, two: Browser, app: Client
) -> None:
    one.open(AUTHORIZE, app.request())
    one.sign_in()
    two.open(LOGIN)
    two.submit(LOGOUT)
    two.sign_in()

    _, answer = led_to(one.allow("users:read"))

    assert "code" in answer


@pytest.mark.parametrize("is_remembered", [False, True])
def test_allow_for_another_user_asks_that_user(
    one: Browser, two: Browser, app: Client, is_remembered: bool
) -> None:
    one.open(AUTHORIZE, app.request())
    one.sign_in()
    two.open(LOGIN)
    two.submit(LOGOUT)
    two.sign_in("internal", "q")
    if is_remembered:
        two.open(AUTHORIZE, app.request())
        two.allow("users:read", "teams:read")

    page = one.allow("users:read")

    if is_remembered:
        assert "code" in led_to(page)[1]
    else:
        assert page.status_code == 200
        assert "You are signed in as <strong>internal</strong>" in page.text
        assert "code" in led_to(one.allow("users:read"))[1]


def test_deny_denies_whoever_is_signed_in_by_now(one: Browser, two: Browser, app: Client) -> None:
    two.open(LOGIN)
    two.sign_in("internal", "q")
    two.open(AUTHORIZE, app.request())
    two.allow("users:read", "teams:read")
    two.open(LOGIN)
    two.submit(LOGOUT)
    one.open(AUTHORIZE, app.request())
    one.sign_in()
    two.open(LOGIN)
    two.submit(LOGOUT)
    two.sign_in("internal", "q")

    _, answer = led_to(one.submit(AUTHORIZE, decision="deny"))

    assert answer["error"] == "access_denied"


@pytest.mark.parametrize("decision", ["allow", "deny"])
@pytest.mark.parametrize("is_out", ["signed out", "expired"])
def test_a_decision_without_a_session_leads_to_the_login_and_back(
    one: Browser, two: Browser, app: Client, decision: str, is_out: str
) -> None:
    one.open(AUTHORIZE, app.request())
    one.sign_in()
    if is_out == "expired":
        one.cookies[COOKIE] = "one that is over"
    else:
        two.open(LOGIN)
        two.submit(LOGOUT)

    page = one.submit(AUTHORIZE, decision=decision)

    assert page.status_code == 200
    assert "to continue to" in page.text
    assert "Allow An app?" in one.sign_in().text


def test_one_signs_out_twice(one: Browser, two: Browser) -> None:
    one.open(LOGIN)
    one.sign_in()
    two.open(LOGIN)
    two.submit(LOGOUT)

    page = one.submit(LOGOUT)

    assert page.status_code == 200
    assert "Sign in" in page.text


def test_a_button_to_sign_out_signs_out_who_is_signed_in_by_now(one: Browser, two: Browser) -> None:
    one.open(LOGIN)
    one.sign_in()
    two.open(LOGIN)
    two.submit(LOGOUT)
    two.sign_in("internal", "q")

    one.submit(LOGOUT)

    assert "Sign in" in two.open(LOGIN).text


@pytest.mark.parametrize("action", [LOGIN, AUTHORIZE, LOGOUT])
def test_a_form_without_its_cookie_does_nothing_and_has_a_link_that_leads_on(
    one: Browser, app: Client, action: str
) -> None:
    one.open(AUTHORIZE, app.request())
    if action != LOGIN:
        one.sign_in()
    session = one.cookies.get(COOKIE)
    del one.cookies[FORM_COOKIE]  # as when the browser was closed, and opened its windows again

    page = one.submit(action, username="user", password="w", decision="allow")

    assert page.status_code == 403
    assert one.cookies.get(COOKIE) == session
    link = re.search('<a href="([^"]+)"', page.text)
    assert link
    fresh = one.open(unescape(link[1]).removeprefix(one.server.origin))
    assert fresh.status_code == 200
    assert ("to continue to" if action == LOGIN else "Allow An app?") in fresh.text


def test_a_forged_form_without_a_request_has_a_link_to_the_login(one: Browser) -> None:
    one.open(LOGIN)

    page = one.submit(LOGIN, csrf="forged")

    assert page.status_code == 403
    assert f'<a href="{one.server.origin}{LOGIN}"' in page.text


@pytest.mark.parametrize("code", ["", "0" * 64, "0" * 128, "\u00e4" * 128, "x" * 256])
@pytest.mark.parametrize("action", [LOGIN, AUTHORIZE, LOGOUT])
def test_a_code_that_is_no_pages_is_refused(
    one: Browser, app: Client, action: str, code: str
) -> None:
    one.open(AUTHORIZE, app.request())
    if action != LOGIN:
        one.sign_in()

    page = one.submit(action, csrf=code, username="user", password="w", decision="allow")

    assert page.status_code in {400, 403}
    assert "location" not in page.headers


def test_a_code_says_nothing_of_another_value_of_its_cookie(one: Browser, app: Client) -> None:
    """A cookie may be planted over http; its value must not be made to look like another code."""
    one.open(AUTHORIZE, app.request())
    value = one.cookies[FORM_COOKIE]
    one.cookies[FORM_COOKIE] = f"{value} 3"
    one.open(LOGIN)
    planted = one.hidden(LOGIN)["csrf"]
    one.cookies[FORM_COOKIE] = value
    one.open(LOGIN)

    assert not {planted[:64], planted[64:]} & {
        one.hidden(LOGIN)["csrf"][:64],
        one.hidden(LOGIN)["csrf"][64:],
    }


def changed(server: Server, app: Client, *operations: dict[str, object]) -> None:
    """Have the author of an app change it."""
    headers = server.bearer("user", "w")
    path = f"/api/v1/auth/oauth2_clients/{app.client_id}"
    assert server.client.patch(path, json=operations, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("member", "value", "told"),
    [
        ("/redirect_uris", ["https://evil.example/"], "evil.example"),
        ("/name", "Another app", "Allow <bdi>Another app</bdi>?"),
    ],
)
def test_allow_for_an_app_that_has_changed_since_asks_again(
    server: Server, one: Browser, app: Client, member: str, value: object, told: str
) -> None:
    one.open(AUTHORIZE, app.request(redirect_uri=None))
    one.sign_in()
    assert told not in one.page.text
    changed(server, app, replace(member, value))

    page = one.allow("users:read")

    assert page.status_code == 200
    assert told in page.text
    assert "code" in led_to(one.allow("users:read"))[1]


def test_allow_holds_where_what_the_page_showed_is_the_same(
    server: Server, one: Browser, app: Client
) -> None:
    one.open(AUTHORIZE, app.request())
    one.sign_in()
    changed(server, app, replace("/redirect_uris", [app.redirect_uri, "https://b.example/"]))

    assert "code" in led_to(one.allow("users:read"))[1]


def test_a_code_for_one_app_is_none_for_another(one: Browser, two: Browser, app: Client) -> None:
    one.open(AUTHORIZE, app.request())
    one.sign_in()
    other = register(one.server, name="Another app")
    two.open(AUTHORIZE, other.request())

    page = two.submit(
        AUTHORIZE,
        csrf=one.hidden(AUTHORIZE)["csrf"],
        decision="allow",
        **{"scope.users:read": "on"},
    )

    assert page.status_code == 200
    assert "Allow <bdi>Another app</bdi>?" in page.text

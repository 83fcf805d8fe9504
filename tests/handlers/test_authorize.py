"""The code flow in the pages: login, consent, and what the client is told."""

import logging
from typing import Any

import pytest

from tests.serving import PASSWORD, Server
from tests.signing_in import (
    AUTHORIZE,
    CALLBACK,
    CHALLENGE,
    LOGIN,
    VERIFIER,
    Browser,
    led_to,
    register,
)

ISSUER = "http://127.0.0.1:5000"


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def token(server: Server, form: dict[str, str]) -> Any:
    return server.client.post("/auth/oauth2/token", data=form)


def test_a_user_signs_in_through_a_client(server: Server, browser: Browser) -> None:
    client = register(server)

    browser.open(AUTHORIZE, client.request())
    assert "Sign in" in browser.page.text
    browser.sign_in()
    assert "An app" in browser.page.text
    place, answer = led_to(browser.allow("users:read", "teams:read"))

    assert place == CALLBACK
    assert answer.keys() == {"code", "state", "iss"}
    assert answer["state"] == "a state"
    assert answer["iss"] == ISSUER
    issued = token(server, client.exchange(answer["code"]))
    assert issued.status_code == 200
    assert issued.json()["scope"] == "teams:read users:read"
    assert "refresh_token" in issued.json()
    headers = {"Authorization": f"Bearer {issued.json()['access_token']}"}
    me = server.client.get("/api/v1/users/me", headers=headers)
    assert me.json()["username"] == "user"


def test_who_allows_a_change_of_the_account_is_told_that_it_can_be_deleted(
    server: Server, browser: Browser
) -> None:
    browser.open(AUTHORIZE, register(server).request(scope="users:write"))

    assert "delete it for good" in browser.sign_in().text


def test_what_stays_ticked_is_granted(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()

    _, answer = led_to(browser.allow("teams:read"))

    assert token(server, client.exchange(answer["code"])).json()["scope"] == "teams:read"


def test_a_scope_that_was_not_asked_for_is_not_granted(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()

    _, answer = led_to(browser.allow("teams:read", "users:write"))

    assert token(server, client.exchange(answer["code"])).json()["scope"] == "teams:read"


@pytest.mark.parametrize(
    "form", [{"decision": "deny", "scope.users:read": "on"}, {"decision": "allow"}, {}]
)
def test_a_user_may_decline(server: Server, browser: Browser, form: dict[str, str]) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()

    place, answer = led_to(browser.submit(AUTHORIZE, **form))

    assert place == CALLBACK
    assert answer["error"] == "access_denied"
    assert answer["state"] == "a state"
    assert answer["iss"] == ISSUER
    assert "code" not in answer


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": CALLBACK + "/more"},
        {"redirect_uri": CALLBACK + "?a=b"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "HTTPS://APP.EXAMPLE/callback"},
    ],
)
def test_an_unknown_client_or_place_is_never_redirected_to(
    server: Server, browser: Browser, changes: dict[str, Any]
) -> None:
    client = register(server)

    page = browser.open(AUTHORIZE, client.request(**changes))

    assert page.status_code == 400
    assert "location" not in page.headers
    assert "evil" not in page.text
    assert "alert(" not in page.text


@pytest.mark.parametrize(
    "uri",
    [
        "com.example.app:/cb",
        "com.example.app:///cb",
        "com.example.app://cb",
        "com.example.app:cb",
        "https://APP.Example/Callback",
        "https://app.example:443/callback",
        "https://app.example",
        "https://app.example/a//b/../c;p=1?q=%7E&r=",
        "https://app.example./callback",
        f"https://{'a' * 63}.example/callback",
        "http://[::1]/callback",
        "http://localhost:1/callback",
    ],
)
def test_a_registered_place_is_led_to_by_the_letter(
    server: Server, browser: Browser, uri: str
) -> None:
    client = register(server, redirect_uris=[uri])

    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    answer = browser.allow("users:read")

    assert answer.status_code == 303, answer.text
    place = answer.headers["location"]
    if place.startswith(ISSUER):  # a page that leads on, for what the browser holds against a form
        answer = browser.open(place.removeprefix(ISSUER))
        place = answer.text
    assert f"{uri}{'&' if '?' in uri else '?'}code=" in place


def test_a_place_may_be_left_out_where_there_is_only_one(server: Server, browser: Browser) -> None:
    one, two = register(server), register(server, redirect_uris=[CALLBACK, CALLBACK + "2"])

    browser.open(AUTHORIZE, one.request(redirect_uri=None))
    browser.sign_in()
    _, answer = led_to(browser.allow("users:read"))

    assert token(server, one.exchange(answer["code"], redirect_uri=None)).status_code == 200
    assert browser.open(AUTHORIZE, two.request(redirect_uri=None)).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "users:read emperor"}, "invalid_scope"),
        ({"scope": 'users:read"'}, "invalid_scope"),
        ({"state": "s" * 4001}, "invalid_request"),
        ({"state": "a NUL \0"}, "invalid_request"),
        ({"state": "\ufffd"}, "invalid_request"),
    ],
)
def test_the_client_hears_what_is_wrong_after_the_login(
    server: Server, browser: Browser, changes: dict[str, Any], error: str
) -> None:
    client = register(server)

    assert browser.open(AUTHORIZE, client.request(**changes)).status_code == 200
    place, answer = led_to(browser.sign_in())

    assert place == CALLBACK
    assert answer["error"] == error
    assert answer["iss"] == ISSUER
    assert answer.get("state") == (None if "state" in changes else "a state")


def test_what_is_no_text_is_refused_where_it_counts(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(LOGIN)
    browser.sign_in()
    query = "&".join(f"{name}={value}" for name, value in client.request(state="one").items())

    assert browser.open(f"{AUTHORIZE}?{query}&other=%ff%00&x={'x' * 9000}").status_code == 200
    _, answer = led_to(browser.open(f"{AUTHORIZE}?{query.replace('one', '%ff')}"))
    assert answer["error"] == "invalid_request"
    assert "state" not in answer
    assert browser.open(f"{AUTHORIZE}?{query}{'&x=' * 50}").status_code == 400
    for name in ("client_id", "redirect_uri"):
        page = browser.open(f"{AUTHORIZE}?{query.replace(f'{name}=', f'{name}=%00')}")
        assert page.status_code == 400


def test_a_repeated_parameter_is_refused_and_a_repeated_state_not_returned(
    server: Server, browser: Browser
) -> None:
    client = register(server)
    browser.open(LOGIN)
    browser.sign_in()
    query = "&".join(f"{name}={value}" for name, value in client.request(state="one").items())

    _, answer = led_to(browser.open(f"{AUTHORIZE}?{query}&state=two"))
    assert answer["error"] == "invalid_request"
    assert "state" not in answer
    _, answer = led_to(browser.open(f"{AUTHORIZE}?{query}&scope=users:read"))
    assert answer["error"] == "invalid_request"
    assert answer["state"] == "one"
    for name in ("client_id", "redirect_uri"):
        assert browser.open(f"{AUTHORIZE}?{query}&{name}=x").status_code == 400


def test_no_scope_asks_for_all_of_the_clients(server: Server, browser: Browser) -> None:
    client = register(server, default_scopes=["users:read", "auth:read"])
    browser.open(AUTHORIZE, client.request(scope=None))
    browser.sign_in()

    _, answer = led_to(browser.allow("users:read", "auth:read"))

    assert token(server, client.exchange(answer["code"])).json()["scope"] == "auth:read users:read"


def test_a_client_without_the_grant_may_not_ask(server: Server, browser: Browser) -> None:
    client = register(server, grant_types=["refresh_token"])
    browser.open(AUTHORIZE, client.request())

    _, answer = led_to(browser.sign_in())

    assert answer["error"] == "unauthorized_client"


def test_consent_is_remembered_for_what_was_allowed(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request(scope="users:read"))
    browser.sign_in()
    browser.allow("users:read")

    _, answer = led_to(browser.open(AUTHORIZE, client.request(scope="users:read")))
    assert "code" in answer
    wider = browser.open(AUTHORIZE, client.request(scope="users:read teams:read"))
    assert wider.status_code == 200


def test_a_box_that_is_unticked_later_is_no_longer_remembered(
    server: Server, browser: Browser
) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request(scope="users:read teams:read"))
    browser.sign_in()
    browser.allow("users:read", "teams:read")
    browser.open(AUTHORIZE, client.request(scope="users:read teams:read auth:read"))
    browser.allow("teams:read", "auth:read")

    asked = browser.open(AUTHORIZE, client.request(scope="users:read"))
    assert asked.status_code == 200
    _, answer = led_to(browser.open(AUTHORIZE, client.request(scope="teams:read auth:read")))
    assert "code" in answer


def test_an_app_that_anyone_can_pose_as_is_asked_about_each_time(
    server: Server, browser: Browser
) -> None:
    for redirect_uri in ("http://127.0.0.1/cb", "com.example.app:/cb"):
        client = register(server, client_type="public", redirect_uris=[redirect_uri])
        browser.open(AUTHORIZE, client.request(scope="users:read"))
        if "Sign in" in browser.page.text:
            browser.sign_in()
        browser.allow("users:read")

        assert browser.open(AUTHORIZE, client.request(scope="users:read")).status_code == 200


def test_an_app_on_the_loopback_may_use_any_port(server: Server, browser: Browser) -> None:
    client = register(server, client_type="public", redirect_uris=["http://127.0.0.1/cb"])
    used = "http://127.0.0.1:43210/cb"
    browser.open(AUTHORIZE, client.request(redirect_uri=used))
    browser.sign_in()

    place, answer = led_to(browser.allow("users:read"))

    assert place == used
    assert token(server, client.exchange(answer["code"], redirect_uri=used)).status_code == 200


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://app.example/cb?tenant",
        "https://app.example/cb?a=b%20c&d=(e)",
        "https://app.example/cb;x?y;z",
        "com.example.app://bank.example/cb?x",
        "com.example.app:///cb",
    ],
)
def test_the_place_is_retained_to_the_letter(
    server: Server, browser: Browser, redirect_uri: str
) -> None:
    client = register(server, redirect_uris=[redirect_uri])
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    joint = "&" if "?" in redirect_uri else "?"

    allowed = browser.submit(AUTHORIZE, **{"decision": "allow", "scope.users:read": "on"})
    assert allowed.headers["location"].startswith(f"{redirect_uri}{joint}code=")
    refused = browser.open(AUTHORIZE, client.request(scope="emperor"))
    assert refused.headers["location"].startswith(f"{redirect_uri}{joint}error=")


@pytest.mark.parametrize("csrf", ["", "forged"])
def test_a_forged_form_is_refused(server: Server, browser: Browser, csrf: str) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())

    assert browser.submit(LOGIN, username="user", password="w", csrf=csrf).status_code == 403
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    assert browser.submit(AUTHORIZE, decision="allow", csrf=csrf).status_code == 403
    browser.open(LOGIN)
    assert browser.submit("/auth/logout", csrf=csrf).status_code == 403
    assert "Signed in" in browser.open(LOGIN).text


def test_a_form_of_another_browser_is_refused(server: Server) -> None:
    mine, theirs = Browser(server), Browser(server)
    mine.open(LOGIN)
    theirs.open(LOGIN)

    code = mine.hidden(LOGIN)["csrf"]

    assert theirs.submit(LOGIN, username="user", password="w", csrf=code).status_code == 403


def test_pages_are_escaped_and_closed_to_others(server: Server, browser: Browser) -> None:
    client = register(server, name="<script>alert(1)</script>")

    browser.open(AUTHORIZE, client.request(state='"><script>'))
    for page in (browser.page, browser.sign_in()):
        assert "<script>" not in page.text
        assert page.headers["cache-control"] == "no-store"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy


def test_a_name_cannot_turn_the_words_around_it(server: Server, browser: Browser) -> None:
    name = "מחשבון"  # which is written from right to left
    browser.open(AUTHORIZE, register(server, name=name).request())

    for page in (browser.page, browser.sign_in()):
        body = page.text.partition("<body>")[2]
        assert 0 < body.count(name) == body.count(f"<bdi>{name}</bdi>")


def test_the_consent_page_says_who_asks_as_whom_and_where_it_leads(
    server: Server, browser: Browser
) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())

    page = browser.sign_in().text

    for shown in ("An app", "user", "app.example", "users:read", "teams:read", "Sign out"):
        assert shown in page
    for scope in ("users:read", "teams:read"):
        assert server.app.definition.scopes[scope].partition(" ")[0] in page
    assert page.count("checked") == 2


def test_the_challenge_is_bound_to_the_code(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    _, answer = led_to(browser.allow("users:read"))

    for wrong, error in (
        (CHALLENGE, "invalid_grant"),
        ("w" * 43, "invalid_grant"),
        (None, "invalid_request"),
        ("short", "invalid_request"),
        ("ü" * 43, "invalid_request"),
    ):
        refused = token(server, client.exchange(answer["code"], code_verifier=wrong))
        assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert token(server, client.exchange(answer["code"])).status_code == 200


def test_a_code_that_comes_back_ends_what_it_had_issued(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    _, answer = led_to(browser.allow("users:read"))
    issued = token(server, client.exchange(answer["code"])).json()

    again = token(server, client.exchange(answer["code"]))

    assert again.status_code == 400
    assert again.json()["error"] == "invalid_grant"
    headers = {"Authorization": f"Bearer {issued['access_token']}"}
    assert server.client.get("/api/v1/users/me", headers=headers).status_code == 401
    renewed = client.exchange("", grant_type="refresh_token", refresh_token=issued["refresh_token"])
    assert token(server, renewed).json()["error"] == "invalid_grant"


def test_a_code_is_bound_to_client_and_place(server: Server, browser: Browser) -> None:
    client, other = register(server), register(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    _, answer = led_to(browser.allow("users:read"))

    for form in (
        other.exchange(answer["code"]),
        client.exchange(answer["code"], redirect_uri=CALLBACK + "2"),
        client.exchange(answer["code"], redirect_uri=None),
        client.exchange("x" + answer["code"]),
    ):
        assert token(server, form).json()["error"] == "invalid_grant"
    assert token(server, client.exchange(answer["code"])).status_code == 200


def test_no_secret_of_the_flow_is_logged(
    server: Server, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    client = register(server)
    server.user("ada")
    with caplog.at_level(logging.DEBUG):
        browser.open(AUTHORIZE, client.request())
        browser.sign_in("a canary name", "a wrong canary password")
        browser.sign_in("ada", PASSWORD)
        _, answer = led_to(browser.allow("users:read"))
        issued = token(server, client.exchange(answer["code"])).json()
        token(server, client.exchange(answer["code"]))

    # The test's own client logs the addresses that it opens; the server must not.
    log = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("http")
    )
    secrets = (
        PASSWORD,
        "a canary name",
        "a wrong canary password",
        answer["code"],
        VERIFIER,
        client.secret or "",
        issued["access_token"],
        issued["refresh_token"],
        browser.cookies["roster_session"],
    )
    assert [secret for secret in secrets if secret in log] == []


def test_a_place_that_is_too_long_for_a_header_is_led_to_by_a_page(
    server: Server, browser: Browser
) -> None:
    client = register(server)
    state = "s" * 4000
    browser.open(AUTHORIZE, client.request(state=state))
    browser.sign_in()

    page = browser.allow("users:read")

    assert page.status_code == 200
    assert f"state={state}" in page.text
    assert f"url={client.redirect_uri}?" in page.text

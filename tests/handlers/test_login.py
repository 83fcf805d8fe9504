"""The login page: sessions, and how they end."""

import re
from typing import Any

import pytest

from tests.roster.raw import ask
from tests.serving import PASSWORD, PROOF, Serve, Server, replace
from tests.signing_in import AUTHORIZE, LOGIN, Browser, register

COOKIE = "roster_session"


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def is_signed_in(browser: Browser) -> bool:
    return "Signed in" in browser.open(LOGIN).text


def test_a_login_without_a_request_ends_there(browser: Browser) -> None:
    browser.open(LOGIN)
    page = browser.sign_in()

    assert page.status_code == 200
    assert "Signed in" in page.text
    assert "user" in page.text
    assert "Sign out" in page.text


@pytest.mark.parametrize(
    ("username", "password"),
    [("user", "wrong"), ("nobody", "w"), ("documentation", "w"), ("", ""), ("user", "")],
)
def test_a_wrong_login_says_no_more_than_that(
    browser: Browser, username: str, password: str
) -> None:
    browser.open(LOGIN)
    page = browser.sign_in(username, password)

    assert page.status_code == 400
    assert "Username or password is wrong." in page.text
    assert not is_signed_in(browser)


def fields(page: Any) -> tuple[str, str]:
    """Return the login form's two fields, as they stand in the page."""
    name, password = re.findall(r'<input id="(?:username|password)"[^>]*>', page.text)
    return name, password


def test_the_form_begins_with_the_name(browser: Browser) -> None:
    name, password = fields(browser.open(LOGIN))

    assert ' value=""' in name
    assert " autofocus" in name
    assert " autofocus" not in password


def test_a_wrong_login_keeps_the_name_and_goes_on_at_the_password(browser: Browser) -> None:
    browser.open(LOGIN)

    name, password = fields(browser.sign_in("Ada@Example.com", "a wrong canary"))

    assert ' value="Ada@Example.com"' in name
    assert " autofocus" not in name
    assert " autofocus" in password
    assert " value" not in password
    assert "canary" not in browser.page.text
    assert browser.page.text.count("Ada@Example.com") == 1


def test_the_name_that_is_kept_is_escaped(browser: Browser) -> None:
    browser.open(LOGIN)

    page = browser.sign_in("""\"><script>alert('1')</script>&amp;""", "x")

    assert "<script" not in page.text
    escaped = "&#34;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;"
    assert f' value="{escaped}"' in fields(page)[0]


def test_a_name_is_kept_at_the_length_that_the_field_takes(browser: Browser) -> None:
    browser.open(LOGIN)

    name, _ = fields(browser.sign_in("x" * 320, "x"))

    assert f' value="{"x" * 320}" maxlength="320"' in name


def test_a_name_that_is_limited_is_kept_too(server: Server, browser: Browser) -> None:
    browser.open(LOGIN)
    for _ in range(10):
        browser.sign_in("ada", "wrong")

    page = browser.sign_in("ada", "wrong")

    assert page.status_code == 429
    assert ' value="ada"' in fields(page)[0]


@pytest.mark.parametrize(("field", "longest"), [("username", 320), ("password", 1024)])
def test_what_is_typed_is_wrong_whatever_its_length(
    browser: Browser, field: str, longest: int
) -> None:
    browser.open(LOGIN)
    form = {**browser.hidden(LOGIN), "username": "user", "password": "w"}

    for length in (longest, longest + 1, 100_000):
        page = browser._send("POST", LOGIN, data={**form, field: "x" * length})
        assert page.status_code == 400
        assert "is wrong" in page.text


def test_one_logs_in_by_e_mail_in_any_letter_case(browser: Browser) -> None:
    browser.open(LOGIN)

    assert "Signed in" in browser.sign_in("USER@example.org").text


def test_the_session_is_new_at_each_login_and_gone_at_logout(browser: Browser) -> None:
    browser.open(LOGIN)
    browser.cookies[COOKIE] = "planted"
    browser.open(LOGIN)
    browser.sign_in()
    first = browser.cookies[COOKIE]
    assert first != "planted"

    browser.submit("/auth/logout")

    assert "Sign in" in browser.page.text
    assert COOKIE not in browser.cookies
    browser.cookies[COOKIE] = first
    assert not is_signed_in(browser)


def test_the_cookie_is_closed_to_scripts_and_other_sites(server: Server, browser: Browser) -> None:
    browser.open(LOGIN)
    answer = browser._send(
        "POST", LOGIN, data={**browser.hidden(LOGIN), "username": "user", "password": "w"}
    )

    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie


def test_over_https_the_cookie_belongs_to_the_origin_alone(serve: Serve) -> None:
    browser = Browser(serve(issuer="https://roster.example"))

    browser.open(LOGIN)

    assert all(name.startswith("__Host-") for name in browser.cookies)
    browser.sign_in()
    assert "__Host-roster_session" in browser.cookies


def test_a_foreign_cookie_that_is_no_text_keeps_nobody_out(
    server: Server, browser: Browser
) -> None:
    browser.open(LOGIN)
    browser.sign_in()
    cookie = f"other=\xff; {COOKIE}={browser.cookies[COOKIE]}; third".encode("latin-1")

    page = ask(server.app, "GET", LOGIN, headers=[(b"cookie", cookie)])

    assert page.status_code == 200
    assert "Signed in" in page.text


def test_cookies_may_come_one_by_one(server: Server, browser: Browser) -> None:
    browser.open(LOGIN)
    browser.sign_in()
    cookies = [f"{name}={value}".encode() for name, value in browser.cookies.items()]
    assert len(cookies) > 1

    page = ask(server.app, "GET", LOGIN, headers=[(b"cookie", each) for each in cookies])

    assert "Signed in" in page.text


def test_a_session_is_stored_by_its_hash(server: Server, browser: Browser) -> None:
    browser.open(LOGIN)
    browser.sign_in()

    with server.app.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM browser_sessions").all()

    assert len(rows) == 1
    assert browser.cookies[COOKIE] not in str(rows)


def test_a_request_survives_the_login_and_a_change_of_account(
    server: Server, browser: Browser
) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    assert "Allow An app?" in browser.page.text

    browser.submit("/auth/logout")
    assert "to continue to" in browser.page.text
    browser.sign_in("internal", "q")

    assert "internal" in browser.page.text
    assert "Allow An app?" in browser.page.text


@pytest.mark.parametrize(
    "authorize", ["https://evil.example/", "client_id=nobody", "//evil.example", "%", "\r\nX: y"]
)
def test_the_login_leads_nowhere_else(browser: Browser, authorize: str) -> None:
    page = browser.open(LOGIN, {"authorize": authorize})

    assert page.status_code == 400
    assert "evil" not in page.text
    assert "location" not in page.headers


def test_sessions_end_with_the_password_the_activity_and_the_account(server: Server) -> None:
    admin = server.bearer("root", "q")
    for number, change in enumerate(
        (replace("/password", "another pass phrase"), replace("/is_active", False), None)
    ):
        name = f"ada{number}"
        user_id = server.user(name)
        browser = Browser(server)
        browser.open(LOGIN)
        browser.sign_in(name, PASSWORD)
        assert is_signed_in(browser)
        path = f"/api/v1/users/{user_id}"
        if change is None:
            assert server.client.delete(path, headers=admin).status_code == 204
        else:
            proof = {**PROOF, "value": "q"}
            answer = server.client.patch(path, json=[proof, change], headers=admin)
            assert answer.status_code == 200

        assert not is_signed_in(browser)


def test_idle_and_old_sessions_end(serve: Serve) -> None:
    for settings in ({"session_idle_seconds": 60}, {"session_total_seconds": 60}):
        server = serve(**settings)
        browser = Browser(server)
        browser.open(LOGIN)
        browser.sign_in()
        assert is_signed_in(browser)
        with server.app.engine.begin() as connection:
            for column in ("seen_at", "expires_at"):
                ago = "datetime({0}, '-2 hours')"
                if server.app.engine.dialect.name == "postgresql":
                    ago = "{0} - interval '2 hours'"
                connection.exec_driver_sql(
                    f"UPDATE browser_sessions SET {column} = {ago.format(column)}"
                )

        assert not is_signed_in(browser)


def test_eleven_wrong_logins_are_too_many_and_the_token_endpoint_counts_along(
    serve: Serve,
) -> None:
    server = serve(limit_window_seconds=901)
    browser = Browser(server)
    browser.open(LOGIN)
    form = {"grant_type": "password", "client_id": "documentation", "username": "user"}
    for number in range(10):
        if number % 2:
            assert browser.sign_in("user", "wrong").status_code == 400
        else:
            answer = server.client.post("/auth/oauth2/token", data={**form, "password": "wrong"})
            assert answer.json()["error"] == "invalid_grant"

    page = browser.sign_in()
    answer = server.client.post("/auth/oauth2/token", data={**form, "password": "w"})

    assert page.status_code == answer.status_code == 429
    assert int(page.headers["retry-after"]) > 0
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"] == "temporarily_unavailable"
    assert "Signed in" in browser.sign_in("internal", "q").text


def test_a_long_request_survives_a_logout_on_a_page(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request(state="s" * 3900))
    browser.sign_in()

    page = browser.submit("/auth/logout")

    assert (page.status_code, page.url.path) == (200, "/auth/logout")
    assert "to continue to" in page.text or 'http-equiv="refresh"' in page.text

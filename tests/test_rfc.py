"""The table of what the RFCs demand is true to the suite; and what no other file shows of it."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.rfc import ROWS, NotShown, Row, Shown
from tests.serving import API, Serve, Server, basic
from tests.signing_in import AUTHORIZE, CALLBACK, LOGIN, Browser, Client, led_to, register

TESTS = Path(__file__).parent
TOKEN = "/auth/oauth2/token"
REVOKE = "/auth/oauth2/revoke"
INTROSPECT = "/auth/oauth2/introspect"
METADATA = "/.well-known/oauth-authorization-server"
RFCS = {6749, 6750, 7009, 7636, 7662, 8252, 8414, 9207, 9700, 9728}


@cache
def names_of(file: str) -> frozenset[str]:
    """Return the names of the tests of a file, those in classes with the class before them."""
    found = set()
    for node in ast.parse((TESTS / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            inner = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
            found |= {f"{node.name}::{name}" for name in inner if name.startswith("test_")}
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
    return frozenset(found)


def test_every_test_that_the_table_names_is_there() -> None:
    shown = [row.evidence for row in ROWS if isinstance(row.evidence, Shown)]

    missing = [each.node_id for each in shown if each.test not in names_of(each.file)]

    assert missing == []


def test_every_row_says_what_and_why() -> None:
    for row in ROWS:
        assert row.section[0].isdigit()
        assert row.requirement
        assert not isinstance(row.evidence, NotShown) or row.evidence.reason


def test_the_table_is_in_order_and_has_every_rfc_and_no_row_twice() -> None:
    def place(row: Row) -> tuple[int, ...]:
        return row.rfc, *(int(part) for part in row.section.split("."))

    places = [place(row) for row in ROWS]

    assert places == sorted(places)
    assert {row.rfc for row in ROWS} == RFCS
    assert max(Counter(row[:3] for row in ROWS).values()) == 1


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def code_for(browser: Browser, client: Client) -> str:
    """Have a user allow a client; return the code that it gets."""
    browser.open(AUTHORIZE, client.request())
    if "Sign in" in browser.page.text:
        browser.sign_in()
    _, answer = led_to(browser.allow("users:read", "teams:read"))
    return answer["code"]


def refused(answer: Any, error: str) -> None:
    """Hold that a token request was refused for this reason."""
    form_only = error != "invalid_client" or "authorization" not in answer.request.headers
    status = 400 if form_only else 401
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_an_unknown_parameter_of_an_authorization_request_is_ignored(
    server: Server, browser: Browser
) -> None:
    client = register(server)
    stray = {"prompt": "none", "user_id": "1", "response_mode": "fragment", "x": "y"}
    browser.open(AUTHORIZE, client.request(**stray))
    browser.sign_in()

    place, answer = led_to(browser.allow("users:read"))

    assert place == CALLBACK
    assert answer.keys() == {"code", "state", "iss"}


def test_an_empty_parameter_of_an_authorization_request_counts_as_omitted(
    server: Server, browser: Browser
) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request(scope="", state="", redirect_uri=""))
    browser.sign_in()

    place, answer = led_to(browser.allow("users:read"))

    assert place == CALLBACK
    assert answer.keys() == {"code", "iss"}


def test_the_query_of_a_redirect_uri_is_retained(server: Server, browser: Browser) -> None:
    client = register(server, redirect_uris=[f"{CALLBACK}?tenant=a%20b&x=1"])
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()

    _, answer = led_to(browser.allow("users:read"))

    assert answer.keys() == {"tenant", "x", "code", "state", "iss"}
    assert (answer["tenant"], answer["x"]) == ("a b", "1")
    browser.open(AUTHORIZE, client.request(scope="emperor"))
    _, answer = led_to(browser.page)
    assert (answer["tenant"], answer["error"]) == ("a b", "invalid_scope")


@pytest.mark.parametrize(
    "state", ["a+b c%20d&e=f#g", "äöü €", "{\"a\": 'b'}", " x ", "s" * 3000, "<script>", "a/b?c\\"]
)
@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_the_state_is_returned_exactly(
    server: Server, browser: Browser, state: str, decision: str
) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request(state=state))
    browser.sign_in()

    form = {"decision": decision, "scope.users:read": "on"}
    _, answer = led_to(browser.submit(AUTHORIZE, **form))

    assert answer["state"] == state


def test_an_answer_with_a_token_is_not_stored(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in()
    _, answer = led_to(browser.allow("users:read"))

    issued = server.client.post(TOKEN, data=client.exchange(answer["code"]))
    form = client.exchange("", grant_type="refresh_token")
    form["refresh_token"] = issued.json()["refresh_token"]
    renewed = server.client.post(TOKEN, data=form)

    for each in (issued, renewed):
        assert each.status_code == 200
        assert each.headers["cache-control"] == "no-store"
        assert each.headers["pragma"] == "no-cache"
        assert each.headers["content-type"].startswith("application/json")
        assert each.json()["token_type"] == "Bearer"


@pytest.mark.parametrize("endpoint", [TOKEN, REVOKE, INTROSPECT])
def test_a_client_that_fails_is_challenged_in_its_scheme(server: Server, endpoint: str) -> None:
    form: dict[str, Any] = {"grant_type": "client_credentials", "token": "x"}

    refused = server.client.post(endpoint, data=form, headers=basic("nobody", "x"))

    assert refused.status_code == 401
    assert refused.json()["error"] == "invalid_client"
    assert refused.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer expired"}])
@pytest.mark.parametrize("endpoint", [TOKEN, REVOKE, INTROSPECT])
def test_a_client_that_fails_in_the_form_is_not_challenged(
    server: Server, endpoint: str, header: dict[str, str]
) -> None:
    form = {"grant_type": "client_credentials", "token": "x", "client_id": "nobody"}

    refused = server.client.post(endpoint, data=form | {"client_secret": "x"}, headers=header)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")
    assert "www-authenticate" not in refused.headers


def test_redirects_turn_a_form_into_a_get(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    fields = {**browser.hidden(LOGIN), "username": "user", "password": "w"}

    signed_in = browser._send("POST", LOGIN, data=fields)
    assert signed_in.status_code == 303
    browser.open(AUTHORIZE, client.request())
    allowed = browser.allow("users:read")
    assert allowed.status_code == 303


def test_an_answer_with_a_secret_is_not_stored(server: Server) -> None:
    owner = server.bearer("user", "w")
    body = {"name": "An app", "redirect_uris": [CALLBACK]}
    clients = f"{API}/auth/oauth2_clients"

    made = server.client.post(clients, json=body, headers=owner)
    place = f"{clients}/{made.json()['client_id']}/secret"
    renewed = server.client.post(place, headers=owner)

    for each in (made, renewed):
        assert each.status_code == 201
        assert each.json()["client_secret"]
        assert each.headers["cache-control"] == "no-store"


def test_no_endpoint_has_a_query_or_a_fragment(server: Server) -> None:
    found = server.client.get(METADATA).json()

    urls = [url for name, url in found.items() if name == "issuer" or name.endswith("_endpoint")]

    assert len(urls) == 5
    assert [url for url in urls if {"?", "#"} & set(url)] == []


def test_a_public_client_names_itself_at_the_exchange(server: Server, browser: Browser) -> None:
    mine, other = (register(server, client_type="public") for _ in range(2))
    code = code_for(browser, mine)

    refused(server.client.post(TOKEN, data=mine.exchange(code, client_id=None)), "invalid_client")
    refused(server.client.post(TOKEN, data=other.exchange(code)), "invalid_grant")
    assert server.client.post(TOKEN, data=mine.exchange(code)).status_code == 200


def test_a_confidential_client_needs_its_secret_for_code_and_refresh(
    server: Server, browser: Browser
) -> None:
    client = register(server)
    form = client.exchange(code_for(browser, client))

    for _ in range(2):
        for secret in ({}, {"client_secret": "wrong"}):
            without = {name: value for name, value in form.items() if name != "client_secret"}
            refused(server.client.post(TOKEN, data=without | secret), "invalid_client")
        answer = server.client.post(TOKEN, data=form)
        assert answer.status_code == 200
        renewal = {"grant_type": "refresh_token", "refresh_token": answer.json()["refresh_token"]}
        form = renewal | {"client_id": client.client_id, "client_secret": str(client.secret)}


@pytest.mark.parametrize("code", [{}, {"code": ""}])
def test_an_exchange_needs_its_code(server: Server, code: dict[str, str]) -> None:
    form = register(server).exchange("x")
    del form["code"]

    refused(server.client.post(TOKEN, data=form | code), "invalid_request")


@pytest.mark.parametrize("path", [TOKEN, "/auth/oauth2/revoke", "/auth/oauth2/introspect"])
def test_guesses_at_a_secret_are_limited_wherever_one_is_taken(server: Server, path: str) -> None:
    client, other = register(server), register(server)
    form = {"token": "x", "grant_type": "client_credentials"}

    def ask(who: Client, secret: str | None) -> Any:
        sent = form | {"client_id": who.client_id, "client_secret": secret or ""}
        return server.client.post(path, data=sent)

    for number in range(10):
        refused(ask(client, f"guess {number}"), "invalid_client")
    limited = ask(client, client.secret)

    assert limited.status_code == 429
    assert limited.json()["error"] == "temporarily_unavailable"
    assert int(limited.headers["retry-after"]) > 0
    assert ask(other, other.secret).status_code != 429


def test_what_a_client_says_of_its_address_helps_no_guess(serve: Serve) -> None:
    form = {"grant_type": "password", "client_id": "documentation", "username": "user"}

    def statuses(server: Server, forwarded: str) -> list[int]:
        headers = [{"X-Forwarded-For": forwarded.format(number)} for number in range(12)]
        wrong = form | {"password": "wrong"}
        answers = [server.client.post(TOKEN, data=wrong, headers=each) for each in headers]
        return [answer.status_code for answer in answers]

    limited = [400] * 10 + [429] * 2
    assert statuses(serve(limit_window_seconds=902), "192.0.2.{}") == limited
    behind_a_proxy = {"limit_window_seconds": 903, "trusted_proxies": 1}
    assert statuses(serve(**behind_a_proxy), "192.0.2.{}, 198.51.100.1") == limited
    # The entry of the trusted proxy is what counts: these are twelve different clients.
    assert statuses(serve(**behind_a_proxy), "192.0.2.1, 198.51.100.{}") == [400] * 12


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"response_type": 'id_token "\\\u00e4'}, "response_type"),
        ({"scope": 'users:read "\\\u00e4'}, ""),
        ({"code_challenge": None}, "code_challenge"),
        ({"code_challenge": '"\\\u00e4'}, "code_challenge"),
        ({"code_challenge_method": None}, "S256"),
        ({"code_challenge_method": "plain"}, "S256"),
        ({"code_challenge_method": '"\\\u00e4'}, "S256"),
    ],
)
def test_a_client_is_told_what_is_wrong_in_certain_characters(
    server: Server, browser: Browser, changes: dict[str, Any], said: str
) -> None:
    browser.open(AUTHORIZE, register(server).request(**changes))

    _, answer = led_to(browser.sign_in())

    assert re.fullmatch(r"[a-z_]+", answer["error"])
    description = answer.get("error_description", "")
    assert said in description
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*", description)


def test_a_page_cannot_be_framed_and_leads_nowhere_else(server: Server, browser: Browser) -> None:
    client = register(server)
    shown = [browser.open(AUTHORIZE, client.request(client_id="nobody"))]
    shown.append(browser.open(AUTHORIZE, client.request()))
    shown.append(browser.sign_in())
    shown.append(browser.open(LOGIN))

    for page, title in zip(shown, ["Bad Request", "Sign in", "Allow", "Signed in"], strict=True):
        assert f"<h1>{title}" in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] == "no-referrer"
        places = re.findall(r'(?:href|src|action)="([^"]*)"', page.text)
        assert places
        assert [place for place in places if not re.match(r"/[a-z]", place)] == []


@pytest.mark.parametrize("path", [AUTHORIZE, LOGIN, "/auth/logout"])
def test_no_origin_may_use_the_pages(serve: Serve, path: str) -> None:
    origin = "https://app.example"
    client = serve(cors_origins=(origin,)).client
    preflight = {"Access-Control-Request-Method": "POST"}

    for method, headers in (("GET", {}), ("POST", {}), ("OPTIONS", preflight)):
        answer = client.request(method, path, headers={"Origin": origin, **headers})
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("settings", "grant_types", "lifetime"),
    [
        ({}, ["authorization_code", "refresh_token"], "90 days"),
        ({}, ["authorization_code"], "1 hour"),
        ({"access_token_seconds": 90}, ["authorization_code"], "2 minutes"),
        ({"access_token_seconds": 30}, ["authorization_code"], "30 seconds"),
    ],
)
def test_the_consent_page_says_for_how_long(
    serve: Serve, settings: dict[str, int], grant_types: list[str], lifetime: str
) -> None:
    server = serve(**settings)
    browser = Browser(server)
    browser.open(AUTHORIZE, register(server, grant_types=grant_types).request())

    assert f"for up to {lifetime}" in browser.sign_in().text


def test_the_definition_tells_how_long_a_thing_that_is_issued_may_be(
    server: Server, browser: Browser
) -> None:
    client = register(server)
    code = code_for(browser, client)
    issued = server.client.post(TOKEN, data=client.exchange(code)).json()

    def longest(path: str, status: str, media_type: str, name: str) -> int:
        answer = server.app.definition.operation(path, "POST").spec["responses"][status]
        return int(answer["content"][media_type]["schema"]["properties"][name]["maxLength"])

    clients = (f"{API}/auth/oauth2_clients", "201", "application/json")
    tokens = (TOKEN, "200", "application/json")
    assert 0 < len(client.client_id) <= longest(*clients, "client_id")
    assert 0 < len(client.secret or "") <= longest(*clients, "client_secret")
    assert 0 < len(issued["access_token"]) <= longest(*tokens, "access_token")
    assert 0 < len(issued["refresh_token"]) <= longest(*tokens, "refresh_token")
    form = server.app.definition.operation(TOKEN, "POST").spec["requestBody"]["content"]
    fields = form["application/x-www-form-urlencoded"]["schema"]["properties"]
    assert 0 < len(code) <= fields["code"]["maxLength"]


def test_the_definition_tells_what_no_scope_means(server: Server) -> None:
    asked = server.app.definition.operation(AUTHORIZE, "GET").parameters
    described = next(each["description"] for each in asked if each["name"] == "scope")

    assert "without it, all that the client may have" in described
    assert all(server.app.definition.scopes.values())

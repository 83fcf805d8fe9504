"""The table of what the RFCs demand is true to the suite; and what no other file shows of it."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.rfc import ROWS, NotShown, Row, Shown
from tests.serving import Server, basic
from tests.signing_in import AUTHORIZE, CALLBACK, LOGIN, Browser, led_to, register

TESTS = Path(__file__).parent
TOKEN = "/auth/oauth2/token"
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
    "state", ["a+b c%20d&e=f#g", "äöü €", "{\"a\": 'b'}", " x ", "s" * 4000, "<script>", "a/b?c\\"]
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
        assert each.headers["content-type"].startswith("application/json")
        assert each.json()["token_type"] == "Bearer"


def test_a_client_that_fails_is_challenged_in_its_scheme(server: Server) -> None:
    form: dict[str, Any] = {"grant_type": "client_credentials"}

    refused = server.client.post(TOKEN, data=form, headers=basic("nobody", "x"))

    assert refused.status_code == 401
    assert refused.json()["error"] == "invalid_client"
    assert refused.headers["www-authenticate"].startswith("Basic ")


def test_redirects_turn_a_form_into_a_get(server: Server, browser: Browser) -> None:
    client = register(server)
    browser.open(AUTHORIZE, client.request())
    fields = {**browser.hidden(LOGIN), "username": "user", "password": "w"}

    signed_in = browser._send("POST", LOGIN, data=fields)
    assert signed_in.status_code == 303
    browser.open(AUTHORIZE, client.request())
    allowed = browser.allow("users:read")
    assert allowed.status_code == 303

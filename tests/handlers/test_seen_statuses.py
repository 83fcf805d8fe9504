"""Statuses that the definition declares, and that no other test is about."""

from urllib.parse import urlencode

import pytest

from tests.serving import Server, basic
from tests.signing_in import LOGIN, Browser, register

GUESSES = 10


@pytest.mark.parametrize("place", ["/auth/oauth2/revoke", "/auth/oauth2/introspect"])
def test_guesses_at_a_secret_are_limited_wherever_it_is_asked_for(
    server: Server, place: str
) -> None:
    wrong = basic("documentation", "wrong")

    answers = [
        server.client.post(place, data={"token": "x"}, headers=wrong) for _ in range(GUESSES + 1)
    ]

    assert [each.status_code for each in answers] == [401] * GUESSES + [429]


def test_guesses_in_the_url_are_limited(server: Server) -> None:
    form = {
        "grant_type": "password",
        "client_id": "documentation",
        "username": "root",
        "password": "wrong",
    }
    address = f"/auth/oauth2/token?{urlencode(form)}"

    statuses = [server.client.get(address).status_code for _ in range(GUESSES + 1)]

    assert statuses == [400] * GUESSES + [429]


def test_a_wrong_secret_beside_parameters_in_the_url_is_challenged(server: Server) -> None:
    address = "/auth/oauth2/token?grant_type=client_credentials"

    refused = server.client.get(address, headers=basic("documentation", "wrong"))

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")


def test_the_login_page_leads_who_is_signed_in_back_to_the_request(server: Server) -> None:
    client = register(server)
    browser = Browser(server)
    browser.open(LOGIN)
    browser.sign_in()
    waiting = urlencode({"authorize": urlencode(client.request())})

    answer = browser._send("GET", f"{LOGIN}?{waiting}")

    assert answer.status_code == 303


def test_a_logout_that_is_no_form_is_refused(server: Server) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = server.client.post("/auth/logout", content=b"csrf=%FF", headers=form)

    assert answer.status_code == 400


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_definition_is_not_sent_again(server: Server, form: str) -> None:
    address = f"/api/v1/openapi.{form}"
    etag = server.client.get(address).headers["ETag"]

    again = server.client.get(address, headers={"If-None-Match": etag})

    assert (again.status_code, again.content) == (304, b"")

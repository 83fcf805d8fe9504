"""What people type, wherever they do: passwords in several spellings, blanks around a username."""

from typing import Any
from unicodedata import normalize

import pytest

from models import User
from tests.serving import PASSWORD, PROOF, CheckedClient, Person, Server, demand, pointers, replace
from tests.signing_in import LOGIN, Browser

TOKEN = "/auth/oauth2/token"
COMPOSED = normalize("NFC", "Fünf-Füße-2026")
DECOMPOSED = normalize("NFD", "Fünf-Füße-2026")
SPELLINGS = [
    (COMPOSED, DECOMPOSED),
    (DECOMPOSED, COMPOSED),
    ("fünf\u00a0Füße", "fünf Füße"),
    ("fünf Füße", "fünf\u3000Füße"),
    (normalize("NFD", "ü" * 128), "ü" * 128),
    ("🐎" * 128, "🐎" * 128),
]


def sign_up(client: CheckedClient, password: str) -> Any:
    body = {"username": "grace", "email": "grace@x.example", "recaptcha_key": "secret_key"}
    return client.post("/api/v1/users", json={**body, "password": password})


def log_in(client: CheckedClient, username: str, password: str) -> Any:
    form = {"grant_type": "password", "client_id": "documentation"}
    return client.post(TOKEN, data={**form, "username": username, "password": password})


@pytest.mark.parametrize(("chosen", "typed"), SPELLINGS)
def test_a_password_is_right_however_it_is_typed(server: Server, chosen: str, typed: str) -> None:
    answer = sign_up(server.client, chosen)
    assert answer.status_code == 201, answer.text
    login = log_in(server.client, "grace", typed)
    assert login.status_code == 200, login.text
    me = Person(server.client, {"Authorization": f"Bearer {login.json()['access_token']}"})
    place = f"/users/{answer.json()['id']}"

    # All of them are the one password, in any spelling; and the new one is chosen in the other.
    tests = [demand("/current_password", each) for each in (typed, chosen, typed)]
    assert me.patch(place, *tests, replace("/first_name", "Grace")).status_code == 200
    new = [demand("/current_password", chosen), replace("/password", typed)]
    assert me.patch(place, *new).status_code == 200
    assert log_in(server.client, "grace", chosen).status_code == 200
    browser = Browser(server)
    browser.open(LOGIN)
    assert "Signed in" in browser.sign_in("grace", chosen).text


@pytest.mark.parametrize(
    "password",
    [
        "tab\there-2026",
        "line\nhere-2026",
        "a\u200bb-2026-x",
        "🧑\u200d🚀-2026-x",
        "\ue000-2026-xyz",
    ],
)
def test_what_no_keyboard_should_type_is_refused_as_a_password_in_a_clear_sentence(
    server: Server, ada: Person, password: str
) -> None:
    refused = sign_up(server.client, password)
    assert (refused.status_code, pointers(refused)) == (400, ["/password"])
    assert "none of them is a control character" in refused.text
    refused = ada.patch(f"/users/{ada.id}", PROOF, replace("/password", password))
    assert (refused.status_code, pointers(refused)) == (400, ["/1/value"])
    assert "none of them is a control character" in refused.text

    # At a login it is no more than wrong.
    assert log_in(server.client, "ada", password).json()["error"] == "invalid_grant"
    wrong = ada.patch(
        f"/users/{ada.id}", demand("/current_password", password), replace("/first_name", "A")
    )
    assert wrong.status_code == 403
    browser = Browser(server)
    browser.open(LOGIN)
    assert "is wrong" in browser.sign_in("ada", password).text


def test_the_length_of_a_password_is_that_of_its_prepared_form(server: Server) -> None:
    for password in (normalize("NFD", "ü" * 7), "ü" * 129, normalize("NFD", "ü" * 129)):
        refused = sign_up(server.client, password)
        assert (refused.status_code, pointers(refused)) == (400, ["/password"])
        assert "8 to 128 characters" in refused.text


def test_the_page_cuts_no_password_off(server: Server) -> None:
    page = server.client.get(LOGIN).text

    field = page.partition('name="password"')[2].partition(">")[0]
    assert "maxlength" not in field


@pytest.mark.parametrize(
    "around", [" ", "\t", "\r\n", "\u00a0", "\u3000", "\ufeff", "\u200b", "\u200e", " \u202c \n "]
)
def test_what_surrounds_a_login_does_not_matter(server: Server, ada: Person, around: str) -> None:
    browser = Browser(server)
    for login in ("ada", "ADA", "ada@example.com"):
        typed = f"{around}{login}{around}"
        assert log_in(server.client, typed, PASSWORD).status_code == 200
        browser.open(LOGIN)
        assert "Signed in" in browser.sign_in(typed, PASSWORD).text
        browser.cookies.clear()


@pytest.mark.parametrize("login", ["a da", "ada@ example.org", " ", "\u200b", "ada;", "a\u200bda"])
def test_what_stands_inside_a_login_matters(server: Server, ada: Person, login: str) -> None:
    assert log_in(server.client, login, PASSWORD).json()["error"] == "invalid_grant"


def test_blanks_around_a_login_give_no_more_guesses(server: Server, ada: Person) -> None:
    for name in ("ada", "nobody"):
        answered = [log_in(server.client, " " * n + name, "wrong").status_code for n in range(11)]
        assert answered == [*[400] * 10, 429]


def test_an_old_address_may_be_tested_though_it_could_not_be_chosen(
    server: Server, ada: Person
) -> None:
    with server.session() as session:
        session.get_one(User, ada.id).email = "jörg@bücher.example"
        session.commit()
    same = demand("/email", "jörg@bücher.example")

    place = f"/users/{ada.id}"
    changed = ada.patch(place, PROOF, same, replace("/first_name", "Jörg"))
    assert (changed.status_code, changed.json()["email"]) == (200, "jörg@bücher.example")
    assert ada.patch(place, PROOF, demand("/email", "no address")).status_code == 409
    assert ada.patch(place, PROOF, replace("/email", "jörg@bücher.example")).status_code == 400

"""Names that people read: whoever they are of, nothing in them is invisible or deceives."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.serving import PASSWORD, PROOF, Person, Server, demand, pointers, replace

INVISIBLE = [
    "   ",
    "\u00a0\u00a0\u00a0",
    "\u3164\u3164\u3164",
    "\u2800\u2800\u2800",
    "\u115f\u1160\u115f",
    "\uffa0\uffa0\uffa0",
    "\u034f\u034f\u034f",
    "\u200c\u200d\u200c",
    "\ufe0f\ufe0f\ufe0f",
    "\u0301\u0301\u0301",
    "a\u00adbc",
    "a\u061cbc",
    "a\u180ebc",
    "a\u200bbc",
    "a\u202ebc",
    "a\u206abc",
    "a\ufeffbc",
    "a\ufff9bc",
    "a\U0001d173bc",
    "a\U000e0062bc",
    "a\U000e0100bc",
    "a\nbc",
    "a\x1b[31m",
    "a\u2028bc",
    "a\ue000bc",
    "a\ufdd0bc",
]
VISIBLE = [
    "Zoe\u0308 van \u00c9",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\U0001f469\u200d\U0001f4bb\u2764\ufe0f",
    "\u5bb6\u8a08\u7c3f",
    "1\ufe0f\u20e3 2",
]


def sign_up(server: Server, key: str, name: str) -> Any:
    body = {
        "username": "grace",
        "email": "grace@example.com",
        "password": PASSWORD,
        "recaptcha_key": "secret_key",
        key: name,
    }
    return server.nobody.post("/users", body)


def change_user(server: Server, key: str, name: str) -> Any:
    return server.admin.patch(
        "/users/1", demand("/current_password", "q"), replace(f"/{key}", name)
    )


def name_team(server: Server, _key: str, name: str) -> Any:
    return server.admin.post("/teams", {"title": name})


def rename_team(server: Server, _key: str, name: str) -> Any:
    team = server.admin.post("/teams", {"title": "Engines"}).json()["id"]
    return server.admin.patch(f"/teams/{team}", replace("/title", name))


def name_client(server: Server, _key: str, name: str) -> Any:
    body = {"name": name, "redirect_uris": ["https://a.example/"]}
    return server.admin.post("/auth/oauth2_clients", body)


def rename_client(server: Server, _key: str, name: str) -> Any:
    return server.admin.patch("/auth/oauth2_clients/documentation", replace("/name", name))


Give = Callable[[Server, str, str], Any]
WAYS: list[tuple[Give, str, str]] = [
    *((sign_up, key, f"/{key}") for key in ("first_name", "middle_name", "last_name")),
    *((change_user, key, "/1/value") for key in ("first_name", "middle_name", "last_name")),
    (name_team, "title", "/title"),
    (rename_team, "title", "/0/value"),
    (name_client, "name", "/name"),
    (rename_client, "name", "/0/value"),
]
every_way = pytest.mark.parametrize(
    ("give", "key", "place"), WAYS, ids=[f"{give.__name__} {key}" for give, key, _ in WAYS]
)


@every_way
def test_a_name_that_nobody_can_see_is_refused(
    server: Server, give: Give, key: str, place: str
) -> None:
    for name in INVISIBLE:
        answer = give(server, key, name)

        assert (answer.status_code, set(pointers(answer))) == (400, {place}), ascii(name)
        assert any("can be seen" in error["detail"] for error in answer.json()["errors"])


@every_way
@pytest.mark.parametrize("name", VISIBLE, ids=map(ascii, VISIBLE))
def test_a_name_in_any_script_is_taken(
    server: Server, give: Give, key: str, place: str, name: str
) -> None:
    answer = give(server, key, name)

    assert answer.is_success
    assert answer.json()[key] == name


def test_the_names_of_a_user_may_be_empty(ada: Person) -> None:
    answer = ada.patch(
        f"/users/{ada.id}",
        PROOF,
        *(replace(f"/{key}", "") for key in ("first_name", "middle_name", "last_name")),
    )

    assert answer.status_code == 200

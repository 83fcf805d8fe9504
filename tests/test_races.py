"""Races: what many requests at once must not do to the data, over HTTP and on both databases."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import httpx2
import pytest

from tests.live import LiveServer

PASSWORD = "correct horse battery staple"
MANY = 20

Request = Callable[[], httpx2.Response]


def at_once(requests: Sequence[Request]) -> list[httpx2.Response]:
    """Send requests from as many threads at the same moment; return the answers in their order."""
    barrier = Barrier(len(requests))

    def send(request: Request) -> httpx2.Response:
        barrier.wait()
        return request()

    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(send, requests))


def statuses(answers: Sequence[httpx2.Response]) -> list[int]:
    """Return the statuses of the answers, in order of their size."""
    return sorted(answer.status_code for answer in answers)


def new_user(live: LiveServer, username: str) -> int:
    """Sign a user up; return its id."""
    answer = sign_up(live, username=username)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def sign_up(live: LiveServer, **fields: str) -> httpx2.Response:
    """Send a sign-up that is right but for what is given."""
    form = {
        "email": f"{fields['username']}@example.com",
        "password": PASSWORD,
        "recaptcha_key": "secret_key",
        **fields,
    }
    return live.client.post("/api/v1/users", json=form)


def change(
    live: LiveServer, path: str, header: dict[str, str], *operations: dict[str, Any]
) -> httpx2.Response:
    """Send a JSON Patch."""
    return live.client.patch(path, json=operations, headers=header)


def change_user(
    live: LiveServer, user_id: int, header: dict[str, str], password: str, **values: Any
) -> httpx2.Response:
    """Send a JSON Patch of a user, with the password of the caller."""
    return change(
        live,
        f"/api/v1/users/{user_id}",
        header,
        {"op": "test", "path": "/current_password", "value": password},
        *({"op": "replace", "path": f"/{name}", "value": value} for name, value in values.items()),
    )


@pytest.mark.parametrize("field", ["username", "email"])
def test_a_name_is_given_to_one_of_many(live: LiveServer, field: str) -> None:
    def request(number: int) -> Request:
        # Letter case makes no difference between names.
        letters = "ada" if number % 2 else "ADA"
        if field == "username":
            form = {"username": letters, "email": f"ada{number}@example.com"}
        else:
            form = {"username": f"ada{number}", "email": f"{letters}@example.com"}
        return lambda: sign_up(live, **form)

    answers = at_once([request(number) for number in range(MANY)])

    assert statuses(answers) == [201] + [409] * (MANY - 1)
    users = live.client.get("/api/v1/users", headers=live.bearer("root", "q")).json()
    assert [user["username"].lower()[:3] for user in users].count("ada") == 1


def test_a_refresh_token_works_once_and_then_ends_its_family(live: LiveServer) -> None:
    first = live.login("root", "q")

    def refresh(token: str) -> httpx2.Response:
        form = {
            "grant_type": "refresh_token",
            "client_id": "documentation",
            "refresh_token": token,
        }
        return live.client.post("/auth/oauth2/token", data=form)

    answers = at_once([lambda: refresh(first["refresh_token"])] * MANY)

    assert statuses(answers) == [200] + [400] * (MANY - 1)
    refused = [answer.json()["error"] for answer in answers if answer.status_code == 400]
    assert set(refused) == {"invalid_grant"}
    second = next(answer.json() for answer in answers if answer.status_code == 200)
    assert refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
    for token in (first["access_token"], second["access_token"]):
        header = {"Authorization": f"Bearer {token}"}
        assert live.client.get("/api/v1/users/me", headers=header).status_code == 401


def two_admins(live: LiveServer) -> list[tuple[int, dict[str, str], str]]:
    """Make a second admin; return id, header and password of both."""
    root = live.bearer("root", "q")
    ada = new_user(live, "ada")
    assert change_user(live, ada, root, "q", is_admin=True).status_code == 200
    return [(1, root, "q"), (ada, live.bearer("ada", PASSWORD), PASSWORD)]


def active_admins(live: LiveServer, admins: list[tuple[int, dict[str, str], str]]) -> list[int]:
    """Tell which of the users are admins, in each one's own words."""
    found = [
        live.client.get(f"/api/v1/users/{id}", headers=header).json() for id, header, _ in admins
    ]
    return [user["id"] for user in found if user["is_admin"]]


def test_one_of_two_admins_who_step_down_remains(live: LiveServer) -> None:
    admins = two_admins(live)

    answers = at_once([partial(change_user, live, *admin, is_admin=False) for admin in admins])

    assert statuses(answers) == [200, 409]
    assert len(active_admins(live, admins)) == 1


def test_one_of_two_admins_who_demote_each_other_remains(live: LiveServer) -> None:
    one, other = two_admins(live)

    answers = at_once(
        [
            lambda: change_user(live, other[0], one[1], one[2], is_admin=False),
            lambda: change_user(live, one[0], other[1], other[2], is_admin=False),
        ]
    )

    # The slower one is refused as the last admin, or, where it comes too late even to be let in,
    # as the plain user that it is by then, who sees no other.
    assert statuses(answers) in ([200, 409], [200, 404])
    assert len(active_admins(live, [one, other])) == 1


def team_of(live: LiveServer, *usernames: str, leaders: int) -> tuple[str, list[dict[str, str]]]:
    """Make new users and a team of them, led by the first ones; return its path and headers."""
    ids = [new_user(live, username) for username in usernames]
    headers = [live.bearer(username, PASSWORD) for username in usernames]
    made = live.client.post("/api/v1/teams", json={"title": "Engine"}, headers=headers[0])
    path = f"/api/v1/teams/{made.json()['id']}"
    for number, id in enumerate(ids[1:], start=1):
        member = {"user_id": id, "is_leader": number < leaders}
        added = live.client.post(f"{path}/members", json=member, headers=headers[0])
        assert added.status_code == 201, added.text
    return path, headers


def leave(live: LiveServer, path: str, header: dict[str, str]) -> httpx2.Response:
    """Leave a team."""
    me = live.client.get("/api/v1/users/me", headers=header).json()["id"]
    return live.client.delete(f"{path}/members/{me}", headers=header)


def test_one_of_two_leaders_who_leave_remains(live: LiveServer) -> None:
    path, (ada, charles, mary) = team_of(live, "ada", "charles", "mary", leaders=2)

    answers = at_once([lambda: leave(live, path, ada), lambda: leave(live, path, charles)])

    assert statuses(answers) == [204, 409]
    members = live.client.get(f"{path}/members", headers=mary).json()
    assert [member["is_leader"] for member in members] == [True, False]


def test_a_team_goes_with_the_last_of_those_who_leave(live: LiveServer) -> None:
    path, (ada, charles) = team_of(live, "ada", "charles", leaders=2)

    answers = at_once([lambda: leave(live, path, ada), lambda: leave(live, path, charles)])

    assert statuses(answers) == [204, 204]
    assert live.client.get(path, headers=live.bearer("root", "q")).status_code == 404


def test_a_user_becomes_a_member_once(live: LiveServer) -> None:
    path, (ada,) = team_of(live, "ada", leaders=1)
    charles = new_user(live, "charles")
    member = {"user_id": charles, "is_leader": True}

    answers = at_once(
        [lambda: live.client.post(f"{path}/members", json=member, headers=ada)] * MANY
    )

    assert statuses(answers) == [201] + [409] * (MANY - 1)
    assert len(live.client.get(path, headers=ada).json()["members"]) == 2


def test_changes_of_different_fields_lose_nothing(live: LiveServer) -> None:
    ada = new_user(live, "ada")
    root = live.bearer("root", "q")
    header = live.bearer("ada", PASSWORD)

    for number in range(3):
        own = {
            "first_name": f"Augusta {number}",
            "middle_name": f"Ada {number}",
            "last_name": f"Lovelace {number}",
            "email": f"ada{number}@example.com",
        }
        others = {"is_admin": not number % 2}
        requests: list[Request] = [
            partial(change_user, live, ada, header, PASSWORD, **{name: value})
            for name, value in own.items()
        ]
        requests += [
            partial(change_user, live, ada, root, "q", **{name: value})
            for name, value in others.items()
        ]

        answers = at_once(requests)

        assert statuses(answers) == [200] * len(requests)
        user = live.client.get("/api/v1/users/me", headers=header).json()
        assert {name: user[name] for name in own | others} == own | others


def test_reading_while_others_write_never_fails(live: LiveServer) -> None:
    path, (ada, charles) = team_of(live, "ada", "charles", leaders=2)
    root = live.bearer("root", "q")

    def repeat(request: Request) -> Callable[[], list[int]]:
        return lambda: [request().status_code for _ in range(MANY)]

    def read(path: str, header: dict[str, str]) -> Request:
        return lambda: live.client.get(path, headers=header)

    title = {"op": "replace", "path": "/title", "value": "Difference Engine"}
    writes = [
        lambda: change(live, path, ada, title),
        lambda: live.client.post("/api/v1/teams", json={"title": "Engine"}, headers=charles),
        lambda: sign_up(live, username="ada"),
        lambda: live.client.post("/auth/oauth2/token", data={"grant_type": "password"}),
    ]
    reads = [
        read(address, header)
        for address, header in (
            ("/api/v1/users/me", ada),
            ("/api/v1/users?limit=1", root),
            ("/api/v1/users?cursor=", root),
            ("/api/v1/users/1", root),
            ("/api/v1/teams", charles),
            (path, charles),
            (f"{path}/members", root),
            ("/readyz", {}),
        )
    ]

    with ThreadPoolExecutor(len(reads) + len(writes)) as threads:
        running = [threads.submit(repeat(request)) for request in reads + writes]
        found = [set(each.result()) for each in running]

    assert found[: len(reads)] == [{200}] * len(reads)
    assert found[len(reads) :] == [{200}, {201}, {409}, {400}]


@pytest.mark.parametrize("other", [False, True])
def test_many_requests_with_one_key_create_one_team(live: LiveServer, *, other: bool) -> None:
    header = {**live.bearer("root", "q"), "Idempotency-Key": "one-of-many"}

    def create(number: int) -> httpx2.Response:
        title = f"Team {number % 2}" if other else "Team"
        return live.client.post("/api/v1/teams", json={"title": title}, headers=header)

    answers = at_once([partial(create, number) for number in range(MANY)])
    answers.append(create(0))

    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    titles = [each["title"] for each in live.client.get("/api/v1/teams", headers=header).json()]
    assert {*statuses(answers)} <= {201, 409, 422}
    assert (len(made), len(titles)) == (1, 1)
    assert (422 in statuses(answers)) is other

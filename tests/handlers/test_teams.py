"""Teams over HTTP: founding, reading, changing and dissolving them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.serving import NO_IDS, Person, Serve, Server, demand, pointers, replace


def base(person: Person) -> dict[str, Any]:
    """Return the base keys of a user."""
    me = person.get("/users/me").json()
    return {key: me[key] for key in ("id", "username", "first_name", "middle_name", "last_name")}


def titles(person: Person) -> list[str]:
    """Return the titles of the teams that somebody is shown."""
    return [team["title"] for team in person.get("/teams").json()]


# Creating


def test_who_creates_a_team_leads_it(ada: Person) -> None:
    answer = ada.post("/teams", {"title": "Engines"})

    assert answer.status_code == 201
    team = answer.json()
    assert team.keys() == {"id", "title", "members", "created", "updated"}
    assert team["title"] == "Engines"
    assert team["members"] == [{"user": base(ada), "is_leader": True}]
    assert team["created"] == team["updated"]
    assert ada.get(f"/teams/{team['id']}").json() == team


def test_a_creation_tells_the_absolute_address(ada: Person) -> None:
    answer = ada.request(
        "POST", "/teams/", json={"title": "Engines"}, headers={"Host": "localhost:4999"}
    )

    assert answer.headers["location"] == (
        f"http://127.0.0.1:5000/api/v1/teams/{answer.json()['id']}"
    )


@pytest.mark.parametrize("title", ["abc", "x" * 50, "é" * 50, "\U0001f600" * 50])
def test_a_title_has_three_to_fifty_characters(ada: Person, title: str) -> None:
    answer = ada.post("/teams", {"title": title})

    assert answer.status_code == 201
    assert answer.json()["title"] == title


@pytest.mark.parametrize("title", ["", "ab", "x" * 51, 123, None, ["abc"]])
def test_what_is_no_title_is_bad(ada: Person, title: Any) -> None:
    answer = ada.post("/teams", {"title": title})

    assert answer.status_code == 400
    assert pointers(answer) == ["/title"]
    assert titles(ada) == []


@pytest.mark.parametrize("body", [{}, {"title": "Engines", "members": []}, [], "Engines", None])
def test_what_is_no_team_is_bad(ada: Person, body: Any) -> None:
    assert ada.request("POST", "/teams", json=body).status_code == 400
    assert titles(ada) == []


def test_teams_may_have_the_same_title(ada: Person, bob: Person) -> None:
    first, second, third = (who.post("/teams", {"title": "Engines"}) for who in (ada, ada, bob))

    assert len({answer.json()["id"] for answer in (first, second, third)}) == 3


# Reading


def test_the_list_shows_id_and_title(ada: Person) -> None:
    team = ada.post("/teams", {"title": "Engines"}).json()

    assert ada.get("/teams").json() == [{"id": team["id"], "title": "Engines"}]


def test_users_are_shown_their_own_teams(
    ada: Person, bob: Person, eve: Person, server: Server
) -> None:
    server.team("Poetry", ada)
    server.team("Engines", bob, ada)
    server.team("Cables", bob)

    assert titles(ada) == ["Poetry", "Engines"]
    assert titles(bob) == ["Engines", "Cables"]
    assert titles(eve) == []
    assert ada.get("/teams").headers["x-total-count"] == "2"


def test_admins_internal_users_and_services_are_shown_all_teams(
    ada: Person, server: Server
) -> None:
    server.team("Poetry", ada)
    server.team("Engines", server.admin, ada)

    for who in (server.admin, server.caller(4), server.caller(None)):
        assert titles(who) == ["Poetry", "Engines"]


def test_a_team_shows_its_members_in_the_order_of_their_ids(
    ada: Person, bob: Person, eve: Person, server: Server
) -> None:
    team = server.team("Engines", eve, bob, ada)

    answer = bob.get(f"/teams/{team}")

    assert answer.status_code == 200
    assert answer.json()["members"] == [
        {"user": base(ada), "is_leader": False},
        {"user": base(bob), "is_leader": False},
        {"user": base(eve), "is_leader": True},
    ]


def test_a_team_that_one_may_not_see_answers_as_an_absent_one(
    ada: Person, eve: Person, server: Server
) -> None:
    team = server.team("Engines", ada)

    unseen, absent = (eve.get(f"/teams/{team_id}").json() for team_id in (team, 4711))

    assert unseen.pop("request_id") != absent.pop("request_id")
    assert unseen == absent
    assert unseen["status"] == 404


@pytest.mark.parametrize("team_id", NO_IDS)
def test_what_is_no_id_is_absent(server: Server, team_id: str) -> None:
    assert server.admin.get(f"/teams/{team_id}").status_code == 404


@pytest.mark.parametrize("path", ["/teams", "/teams/{}"])
def test_a_trailing_slash_changes_nothing(ada: Person, server: Server, path: str) -> None:
    path = path.format(server.team("Engines", ada))

    plain, slashed = (ada.get(each) for each in (path, path + "/"))

    assert plain.status_code == slashed.status_code == 200
    assert plain.json() == slashed.json()


# Changing


def test_a_leader_changes_the_title(ada: Person, server: Server) -> None:
    team = server.team("Engines", ada)
    before = ada.get(f"/teams/{team}").json()

    answer = ada.patch(f"/teams/{team}", replace("/title", "Difference Engines"))

    assert answer.status_code == 200
    after = answer.json()
    assert after == ada.get(f"/teams/{team}").json()
    assert after == {**before, "title": "Difference Engines", "updated": after["updated"]}
    assert after["updated"] > before["updated"]


@pytest.mark.parametrize("media_type", ["application/json-patch+json", "application/json"])
def test_a_patch_comes_as_either_media_type(ada: Person, server: Server, media_type: str) -> None:
    answer = ada.request(
        "PATCH",
        f"/teams/{server.team('Engines', ada)}/",
        json=[replace("/title", "Poetry")],
        headers={"Content-Type": media_type},
    )

    assert answer.status_code == 200
    assert answer.json()["title"] == "Poetry"


def test_operations_see_what_those_before_them_made(ada: Person, server: Server) -> None:
    answer = ada.patch(
        f"/teams/{server.team('Engines', ada)}",
        demand("/title", "Engines"),
        replace("/title", "Poetry"),
        demand("/title", "Poetry"),
    )

    assert answer.status_code == 200
    assert answer.json()["title"] == "Poetry"


def test_a_test_that_fails_undoes_the_patch(ada: Person, server: Server) -> None:
    team = server.team("Engines", ada)
    before = ada.get(f"/teams/{team}").json()

    answer = ada.patch(f"/teams/{team}", replace("/title", "Poetry"), demand("/title", "Cables"))

    assert answer.status_code == 409
    assert pointers(answer) == ["/1/value"]
    assert ada.get(f"/teams/{team}").json() == before


@pytest.mark.parametrize(
    "operation",
    [
        replace("/id", 1),
        replace("/members", []),
        replace("/members/0/is_leader", False),
        replace("", {"title": "Poetry"}),
        {"op": "add", "path": "/title", "value": "Poetry"},
        {"op": "remove", "path": "/title"},
        {"op": "replace", "path": "/title"},
        replace("/title", "ab"),
        replace("/title", "x" * 51),
        replace("/title", None),
    ],
)
def test_what_is_no_operation_on_a_team_is_bad(
    ada: Person, server: Server, operation: dict[str, Any]
) -> None:
    team = server.team("Engines", ada)

    assert ada.patch(f"/teams/{team}", replace("/title", "Poetry"), operation).status_code == 400
    assert ada.get(f"/teams/{team}").json()["title"] == "Engines"


def test_a_patch_has_at_most_twenty_operations(ada: Person, server: Server) -> None:
    url = f"/teams/{server.team('Engines', ada)}"

    assert ada.patch(url, *[replace("/title", "Poetry")] * 20).status_code == 200
    assert ada.patch(url, *[replace("/title", "Cables")] * 21).status_code == 400
    assert ada.patch(url).status_code == 400
    assert titles(ada) == ["Poetry"]


# Deleting


def test_a_deleted_team_is_gone_and_its_members_stay_users(
    ada: Person, bob: Person, server: Server
) -> None:
    team = server.team("Engines", ada, bob)

    assert ada.delete(f"/teams/{team}").status_code == 204

    assert ada.get(f"/teams/{team}").status_code == 404
    assert ada.delete(f"/teams/{team}").status_code == 404
    assert server.admin.get(f"/teams/{team}/members").status_code == 404
    assert titles(bob) == []
    assert bob.get("/users/me").status_code == 200


def test_the_id_of_a_deleted_team_is_never_anothers(ada: Person) -> None:
    team = ada.post("/teams", {"title": "Engines"}).json()["id"]
    assert ada.delete(f"/teams/{team}").status_code == 204

    assert ada.post("/teams", {"title": "Engines"}).json()["id"] > team


def test_nobody_leads_more_teams_than_the_quota_says(serve: Serve) -> None:
    server = serve(quota_teams=2)
    ada, bob = server.person("ada"), server.person("bob")
    teams = [ada.post("/teams", {"title": "Engines"}).json()["id"] for _ in range(2)]

    answer = ada.post("/teams", {"title": "Engines"})

    assert answer.status_code == 409
    assert answer.json()["detail"] == "You lead 2 teams, and no user may lead more."
    assert len(ada.get("/teams").json()) == 2
    # What others lead, or one is only a member of, does not count.
    assert bob.post("/teams", {"title": "Engines"}).status_code == 201
    assert ada.delete(f"/teams/{teams[0]}").status_code == 204
    assert ada.post("/teams", {"title": "Engines"}).status_code == 201


def test_teams_that_are_created_at_once_keep_to_the_quota(serve: Serve) -> None:
    server = serve(quota_teams=3)
    ada = server.person("ada")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: ada.post("/teams", {"title": "Engines"}), range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 5

"""Members over HTTP: adding, promoting and removing them, and leaving."""

from typing import Any

import pytest

from models import User
from tests.serving import NO_IDS, PROOF, Person, Serve, Server, demand, pointers, replace


@pytest.fixture
def team(server: Server, ada: Person, bob: Person) -> int:
    """A team that ada leads, with bob as a plain member."""
    return server.team("Engines", ada, bob)


def base(person: Person) -> dict[str, Any]:
    """Return the base keys of a user."""
    me = person.get("/users/me").json()
    return {key: me[key] for key in ("id", "username", "first_name", "middle_name", "last_name")}


def leadership(server: Server, team: int) -> dict[int, bool]:
    """Return who belongs to a team, and whether it leads."""
    rows = server.admin.get(f"/teams/{team}/members").json()
    return {row["user"]["id"]: row["is_leader"] for row in rows}


# Reading


def test_the_list_shows_the_members_in_the_order_of_their_ids(
    ada: Person, bob: Person, team: int
) -> None:
    answer = bob.get(f"/teams/{team}/members")

    assert answer.status_code == 200
    assert answer.json() == [
        {"team": {"id": team, "title": "Engines"}, "user": base(ada), "is_leader": True},
        {"team": {"id": team, "title": "Engines"}, "user": base(bob), "is_leader": False},
    ]


def test_the_members_of_an_unseen_team_answer_as_those_of_an_absent_one(
    eve: Person, team: int
) -> None:
    unseen, absent = (eve.get(f"/teams/{each}/members").json() for each in (team, 4711))

    assert unseen.pop("request_id") != absent.pop("request_id")
    assert unseen == absent
    assert unseen["status"] == 404


def test_a_trailing_slash_changes_nothing(ada: Person, team: int) -> None:
    plain, slashed = (ada.get(f"/teams/{team}/members{end}") for end in ("", "/"))

    assert plain.status_code == slashed.status_code == 200
    assert plain.json() == slashed.json()


# Adding


@pytest.mark.parametrize(
    ("leads", "is_leader"),
    [({}, False), ({"is_leader": False}, False), ({"is_leader": True}, True)],
)
def test_a_leader_adds_a_member(
    ada: Person, eve: Person, server: Server, team: int, leads: dict[str, bool], is_leader: bool
) -> None:
    answer = ada.post(f"/teams/{team}/members/", {"user_id": eve.id, **leads})

    assert answer.status_code == 201
    assert answer.json() == {
        "team": {"id": team, "title": "Engines"},
        "user": base(eve),
        "is_leader": is_leader,
    }
    assert leadership(server, team)[eve.id] is is_leader
    assert eve.get(f"/teams/{team}").status_code == 200


def test_an_admin_who_is_no_member_adds_one_to_any_team(
    eve: Person, server: Server, team: int
) -> None:
    answer = server.admin.post(f"/teams/{team}/members", {"user_id": eve.id})

    assert answer.status_code == 201
    assert eve.id in leadership(server, team)


def test_absent_and_inactive_users_cannot_be_added(ada: Person, server: Server, team: int) -> None:
    asleep = server.person("asleep", is_active=False)
    answers = [
        ada.post(f"/teams/{team}/members", {"user_id": user_id})
        for user_id in (4711, 2**63 - 1, asleep.id)
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert [pointers(answer) for answer in answers] == [["/user_id"]] * 3
    assert len({answer.json()["errors"][0]["detail"] for answer in answers}) == 1
    assert len(leadership(server, team)) == 2


def test_nobody_is_a_member_twice(ada: Person, bob: Person, server: Server, team: int) -> None:
    answer = ada.post(f"/teams/{team}/members", {"user_id": bob.id, "is_leader": True})

    assert answer.status_code == 409
    assert pointers(answer) == ["/user_id"]
    assert leadership(server, team) == {ada.id: True, bob.id: False}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_id": "1"},
        {"user_id": 1.5},
        {"user_id": True},
        {"user_id": None},
        {"user_id": 0},
        {"user_id": -1},
        {"user_id": 2**63},
        {"user_id": 10**100},
        {"user_id": 1, "is_leader": 1},
        {"user_id": 1, "is_leader": None},
        {"user_id": 1, "team_id": 1},
        [1],
    ],
)
def test_what_is_no_new_member_is_bad(ada: Person, server: Server, team: int, body: Any) -> None:
    assert ada.post(f"/teams/{team}/members", body).status_code == 400
    assert len(leadership(server, team)) == 2


# Changing


def test_a_leader_promotes_a_member(ada: Person, bob: Person, server: Server, team: int) -> None:
    answer = ada.patch(f"/teams/{team}/members/{bob.id}", replace("/is_leader", True))

    assert answer.status_code == 200
    assert answer.json() == {
        "team": {"id": team, "title": "Engines"},
        "user": base(bob),
        "is_leader": True,
    }
    assert leadership(server, team) == {ada.id: True, bob.id: True}
    assert bob.patch(f"/teams/{team}", replace("/title", "Bob's")).status_code == 200


def test_a_leader_who_stepped_down_leads_no_more(ada: Person, bob: Person, team: int) -> None:
    assert ada.patch(f"/teams/{team}/members/{bob.id}", replace("/is_leader", True)).is_success
    assert ada.patch(f"/teams/{team}/members/{ada.id}", replace("/is_leader", False)).is_success

    assert ada.get(f"/teams/{team}").status_code == 200
    assert ada.patch(f"/teams/{team}", replace("/title", "Ada's")).status_code == 403
    assert ada.delete(f"/teams/{team}").status_code == 403


def test_the_last_leader_of_others_cannot_step_down(
    ada: Person, bob: Person, server: Server, team: int
) -> None:
    for who in (ada, server.admin):
        answer = who.patch(f"/teams/{team}/members/{ada.id}", replace("/is_leader", False))
        assert answer.status_code == 409
    assert leadership(server, team) == {ada.id: True, bob.id: False}


def test_the_only_member_may_step_down(eve: Person, server: Server) -> None:
    alone = server.team("Poetry", eve)

    answer = eve.patch(f"/teams/{alone}/members/{eve.id}", replace("/is_leader", False))

    assert answer.status_code == 200
    assert leadership(server, alone) == {eve.id: False}


def test_a_step_down_that_is_taken_back_is_none(ada: Person, team: int) -> None:
    back_and_forth = [replace("/is_leader", False), replace("/is_leader", True)]

    answer = ada.patch(f"/teams/{team}/members/{ada.id}", *back_and_forth)

    assert answer.status_code == 200
    assert answer.json()["is_leader"] is True


@pytest.mark.parametrize("media_type", ["application/json-patch+json", "application/json"])
def test_a_patch_comes_as_either_media_type(
    ada: Person, bob: Person, team: int, media_type: str
) -> None:
    answer = ada.request(
        "PATCH",
        f"/teams/{team}/members/{bob.id}/",
        json=[demand("/is_leader", False), replace("/is_leader", True)],
        headers={"Content-Type": media_type},
    )

    assert answer.status_code == 200
    assert answer.json()["is_leader"] is True


def test_a_test_that_fails_undoes_the_patch(
    ada: Person, bob: Person, server: Server, team: int
) -> None:
    answer = ada.patch(
        f"/teams/{team}/members/{bob.id}",
        replace("/is_leader", True),
        demand("/is_leader", False),
    )

    assert answer.status_code == 409
    assert pointers(answer) == ["/1/value"]
    assert leadership(server, team) == {ada.id: True, bob.id: False}


@pytest.mark.parametrize(
    "operation",
    [
        replace("/user", {}),
        replace("/user_id", 1),
        replace("/team/title", "Poetry"),
        replace("/is_leader", 1),
        replace("/is_leader", None),
        {"op": "replace", "path": "/is_leader"},
        {"op": "remove", "path": "/is_leader"},
        {"op": "add", "path": "/is_leader", "value": True},
    ],
)
def test_what_is_no_operation_on_a_member_is_bad(
    ada: Person, bob: Person, server: Server, team: int, operation: dict[str, Any]
) -> None:
    url = f"/teams/{team}/members/{bob.id}"

    assert ada.patch(url, replace("/is_leader", True), operation).status_code == 400
    assert leadership(server, team) == {ada.id: True, bob.id: False}


def test_a_patch_has_at_most_twenty_operations(ada: Person, bob: Person, team: int) -> None:
    url = f"/teams/{team}/members/{bob.id}"

    assert ada.patch(url, *[demand("/is_leader", False)] * 20).status_code == 200
    assert ada.patch(url, *[demand("/is_leader", False)] * 21).status_code == 400
    assert ada.patch(url).status_code == 400


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_who_is_no_member_is_absent(
    ada: Person, eve: Person, server: Server, team: int, method: str
) -> None:
    body = {"json": [replace("/is_leader", True)]} if method == "PATCH" else {}

    for who in (ada, server.admin):
        for user_id in (eve.id, 4711):
            answer = who.request(method, f"/teams/{team}/members/{user_id}", **body)
            assert answer.status_code == 404


@pytest.mark.parametrize("no_id", NO_IDS)
def test_what_is_no_id_is_absent(ada: Person, team: int, no_id: str) -> None:
    for path in (f"/teams/{team}/members/{no_id}", f"/teams/{no_id}/members/{ada.id}"):
        assert ada.delete(path).status_code == 404
        assert ada.patch(path, replace("/is_leader", True)).status_code == 404
    assert ada.get(f"/teams/{no_id}/members").status_code == 404


# Removing and leaving


def test_a_leader_removes_a_member(ada: Person, bob: Person, server: Server, team: int) -> None:
    assert ada.delete(f"/teams/{team}/members/{bob.id}").status_code == 204

    assert leadership(server, team) == {ada.id: True}
    assert bob.get(f"/teams/{team}").status_code == 404
    assert ada.delete(f"/teams/{team}/members/{bob.id}").status_code == 404


def test_a_member_removed_can_be_added_again(ada: Person, bob: Person, team: int) -> None:
    assert ada.delete(f"/teams/{team}/members/{bob.id}").status_code == 204

    assert ada.post(f"/teams/{team}/members", {"user_id": bob.id}).status_code == 201


def test_a_member_leaves(ada: Person, bob: Person, server: Server, team: int) -> None:
    assert bob.delete(f"/teams/{team}/members/{bob.id}/").status_code == 204

    assert leadership(server, team) == {ada.id: True}
    assert bob.get(f"/teams/{team}").status_code == 404
    assert bob.delete(f"/teams/{team}/members/{bob.id}").status_code == 404


def test_a_member_who_may_not_write_leaves_all_the_same(
    ada: Person, bob: Person, admin: Person, server: Server, team: int
) -> None:
    reader = replace("/is_regular_user", False)
    assert admin.patch(f"/users/{bob.id}", PROOF, reader).status_code == 200

    assert bob.delete(f"/teams/{team}/members/{bob.id}").status_code == 204
    assert leadership(server, team) == {ada.id: True}


def test_a_plain_member_removes_nobody_else(
    ada: Person, bob: Person, eve: Person, server: Server
) -> None:
    team = server.team("Engines", ada, bob, eve)

    assert bob.delete(f"/teams/{team}/members/{eve.id}").status_code == 403
    assert bob.delete(f"/teams/{team}/members/{ada.id}").status_code == 403
    assert len(leadership(server, team)) == 3


def test_the_last_leader_of_others_cannot_leave(
    ada: Person, bob: Person, server: Server, team: int
) -> None:
    for who in (ada, server.admin):
        assert who.delete(f"/teams/{team}/members/{ada.id}").status_code == 409
    assert leadership(server, team) == {ada.id: True, bob.id: False}


def test_a_leader_leaves_another_behind(
    ada: Person, bob: Person, server: Server, team: int
) -> None:
    assert ada.patch(f"/teams/{team}/members/{bob.id}", replace("/is_leader", True)).is_success

    assert ada.delete(f"/teams/{team}/members/{ada.id}").status_code == 204
    assert leadership(server, team) == {bob.id: True}


@pytest.mark.parametrize("is_leader", [True, False])
def test_a_team_goes_with_its_last_member(eve: Person, server: Server, is_leader: bool) -> None:
    alone = server.team("Poetry", eve)
    leads = replace("/is_leader", is_leader)
    assert eve.patch(f"/teams/{alone}/members/{eve.id}", leads).status_code == 200

    assert eve.delete(f"/teams/{alone}/members/{eve.id}").status_code == 204

    assert server.admin.get(f"/teams/{alone}").status_code == 404
    assert server.admin.get("/teams").json() == []


def test_a_last_leader_who_may_not_write_leaves_and_the_longest_writer_follows(
    server: Server,
) -> None:
    leader = server.person("leader")
    others = [server.person(name) for name in ("eve", "bob")]
    team = server.team("Engines", leader, server.person("reader", is_regular_user=False))
    for other in reversed(others):  # so that the longest is not the one with the lowest id
        assert leader.post(f"/teams/{team}/members", {"user_id": other.id}).status_code == 201
    with server.session() as session:
        session.get_one(User, leader.id).is_regular_user = False
        session.commit()

    assert leader.delete(f"/teams/{team}/members/{leader.id}").status_code == 204

    members = server.admin.get(f"/teams/{team}/members").json()
    assert [each["user"]["id"] for each in members if each["is_leader"]] == [others[1].id]


def test_an_admin_takes_the_leadership_from_a_last_leader_who_may_not_write(
    server: Server,
) -> None:
    leader, bob = server.person("leader"), server.person("bob")
    team = server.team("Engines", leader, bob)
    with server.session() as session:
        session.get_one(User, leader.id).is_active = False
        session.commit()
    path = f"/teams/{team}/members/{leader.id}"

    assert server.admin.patch(path, replace("/is_leader", False)).status_code == 200

    members = server.admin.get(f"/teams/{team}/members").json()
    assert [each["user"]["id"] for each in members if each["is_leader"]] == [bob.id]


def test_a_full_team_takes_nobody(serve: Serve) -> None:
    server = serve(quota_members=2)
    ada, bob, eve = (server.person(name) for name in ("ada", "bob", "eve"))
    team = server.team("Engines", ada, bob)

    answer = ada.post(f"/teams/{team}/members", {"user_id": eve.id})

    assert answer.status_code == 409
    assert answer.json()["detail"] == "The team has 2 members, and no team may have more."
    assert ada.delete(f"/teams/{team}/members/{bob.id}").status_code == 204
    assert ada.post(f"/teams/{team}/members", {"user_id": eve.id}).status_code == 201


def test_adding_is_counted_by_user_whatever_becomes_of_it(serve: Serve) -> None:
    server = serve(limit_members_added=5)
    ada, bob = server.person("ada"), server.person("bob")
    others = [server.user(f"other{number}") for number in range(3)]
    teams = [server.team(f"Team {number}", ada) for number in range(2)]
    bobs = server.team("Bob's team", bob)

    tried = [*others, others[0], 10**9, others[1]]
    statuses = [
        ada.post(f"/teams/{teams[number % 2]}/members", {"user_id": user_id}).status_code
        for number, user_id in enumerate(tried[:3])
    ]
    statuses += [
        ada.post(f"/teams/{teams[0]}/members", {"user_id": user_id}).status_code
        for user_id in tried[3:]
    ]

    assert statuses == [201, 201, 201, 409, 422, 429]
    refused = ada.post(f"/teams/{teams[0]}/members", {"user_id": others[1]})
    assert 1 <= int(refused.headers["retry-after"]) <= 3600
    assert refused.json()["detail"] == "You have done this too often of late. Try again later."
    # Nothing else of hers is stopped, and nobody else.
    assert ada.get(f"/teams/{teams[0]}/members").status_code == 200
    assert ada.post("/teams", {"title": "Another"}).status_code == 201
    assert bob.post(f"/teams/{bobs}/members", {"user_id": others[0]}).status_code == 201


def test_what_is_refused_before_it_is_tried_does_not_count(serve: Serve) -> None:
    server = serve(limit_members_added=1)
    ada, eve = server.person("ada"), server.person("eve")
    team = server.team("Analysts", ada, eve)
    path, body = f"/teams/{team}/members", {"user_id": server.user("bob")}

    refused = [
        eve.post(path, body).status_code,
        eve.post("/teams/999999/members", body).status_code,
        ada.post(path, {"user_id": "bob"}).status_code,
        server.caller(ada.id, "teams:read").post(path, body).status_code,
        ada.request("OPTIONS", path).status_code,
    ]

    assert refused == [403, 404, 400, 403, 204]
    assert ada.post(path, body).status_code == 201
    assert ada.post(path, body).status_code == 429

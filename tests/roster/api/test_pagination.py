"""Paging: windows on lists, and links from one page to the next."""

import re
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest

from models import Team, User
from roster import settings
from roster.api.pagination import next_page, window
from roster.http.context import RequestContext
from tests.serving import PASSWORD, PRODUCTION, Person, Serve, Server, pointers

ORIGIN = "http://127.0.0.1:5000"


def add_users(server: Server, count: int) -> None:
    """Create users quickly; the development data has four."""
    with server.session() as session:
        session.add_all(
            User(username=f"u{number}", email=f"u{number}@example.com", password_hash="x")
            for number in range(count)
        )
        session.commit()


def add_teams(server: Server, leader: Person, count: int) -> None:
    with server.session() as session:
        user = session.get_one(User, leader.id)
        for number in range(count):
            Team.create(session.connection(), f"Team {number}", user)
        session.commit()


def next_of(answer: Any) -> str:
    """Return the path and query that an answer's Link header leads to."""
    found = re.fullmatch(r'<(.+)>; rel="next"', answer.headers["link"])
    assert found
    assert found[1].startswith(f"{ORIGIN}/api/v1/")
    return found[1].removeprefix(f"{ORIGIN}/api/v1")


def cursor_of(answer: Any) -> str:
    return parse_qs(urlsplit(next_of(answer)).query)["cursor"][0]


def walk(person: Person, path: str) -> list[Any]:
    """Follow the links from a page to the last; return all rows."""
    answer = person.get(path)
    rows = answer.json()
    while "link" in answer.headers:
        answer = person.get(next_of(answer))
        assert answer.status_code == 200
        assert answer.json(), "A link leads to an empty page."
        rows += answer.json()
    return list(rows)


def test_a_list_begins_with_twenty_and_tells_the_total(server: Server) -> None:
    add_users(server, 21)

    answer = server.admin.get("/users")

    assert [user["id"] for user in answer.json()] == list(range(1, 21))
    assert answer.headers["x-total-count"] == "25"


def test_an_offset_jumps(server: Server) -> None:
    add_users(server, 6)

    answer = server.admin.get("/users?limit=3&offset=5")

    assert [user["id"] for user in answer.json()] == [6, 7, 8]
    assert answer.headers["x-total-count"] == "10"


def test_an_offset_behind_the_end_is_an_empty_page(server: Server) -> None:
    answer = server.admin.get(f"/users?offset={2**63 - 1}")

    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["x-total-count"] == "4"
    assert "link" not in answer.headers


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize("mode", ["", "&cursor=", "&offset=0"])
def test_the_links_lead_through_all_rows_once(server: Server, limit: int, mode: str) -> None:
    rows = walk(server.admin, f"/users?limit={limit}{mode}")

    assert [row["id"] for row in rows] == [1, 2, 3, 4]


def test_the_last_page_has_no_link(server: Server) -> None:
    assert "link" in server.admin.get("/users?limit=3").headers
    assert "x-next-cursor" not in server.admin.get("/users?limit=4").headers
    assert "link" not in server.admin.get("/users?limit=4").headers
    assert "link" not in server.admin.get("/users?limit=3&offset=1").headers


def test_a_cursor_counts_nothing(server: Server) -> None:
    first = server.admin.get("/users?cursor=&limit=1")
    second = server.admin.get(next_of(first))

    for answer in (first, second):
        assert answer.status_code == 200
        assert "x-total-count" not in answer.headers


def test_a_link_keeps_the_limit_and_has_a_cursor_for_the_offset(server: Server) -> None:
    answer = server.admin.get("/users?offset=1&limit=2")

    parameters = parse_qs(urlsplit(next_of(answer)).query)

    assert parameters.keys() == {"limit", "cursor"}
    assert parameters["limit"] == ["2"]
    assert [user["id"] for user in server.admin.get(next_of(answer)).json()] == [4]


def test_a_slash_in_the_request_does_not_matter_to_the_link(server: Server) -> None:
    answer = server.admin.get("/users/?limit=1")

    assert next_of(answer).startswith("/users?")
    assert server.admin.get(next_of(answer)).status_code == 200


def test_a_cursor_skips_and_repeats_nothing_when_rows_come_and_go(server: Server) -> None:
    add_users(server, 4)
    first = server.admin.get("/users?cursor=&limit=6")
    with server.session() as session:
        for user_id in (5, 6):  # the last of the page, on which the cursor stands, too
            session.delete(session.get_one(User, user_id))
        session.commit()
    add_user = server.admin.post(
        "/users", {"username": "new", "email": "new@example.com", "password": PASSWORD}
    )

    second = server.admin.get(next_of(first))

    assert [user["id"] for user in second.json()] == [7, 8, add_user.json()["id"]]


def test_offset_and_cursor_exclude_each_other(server: Server) -> None:
    for query in ("offset=0&cursor=", "offset=1&cursor=x"):
        answer = server.admin.get(f"/users?{query}")

        assert (answer.status_code, pointers(answer)) == (400, ["/offset"])


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "4",
        "4.",
        ".",
        "..",
        ".x.y",
        "NA",
        "NA.x",
        "null",
        "%00",
        "-",
        "'; DROP TABLE users; --",
        "x" * 200,
        "x" * 201,
        "😀",
    ],
)
def test_a_forged_cursor_is_refused(server: Server, cursor: str) -> None:
    answer = server.admin.request("GET", "/users", params={"cursor": cursor})

    assert (answer.status_code, pointers(answer)) == (400, ["/cursor"])


def test_a_cursor_of_which_a_letter_was_changed_is_refused(server: Server) -> None:
    cursor = cursor_of(server.admin.get("/users?limit=1"))

    # The last letter of the signature carries bits that mean nothing.
    for index in range(len(cursor) - 1):
        letter = "A" if cursor[index] != "A" else "B"
        forged = cursor[:index] + letter + cursor[index + 1 :]
        assert server.admin.get(f"/users?cursor={forged}").status_code == 400


def test_a_link_keeps_the_other_parameters_as_they_were_sent() -> None:
    app_settings = settings.load()
    others = "archived=false&tag=a,b%2Cc&tag=d+e&since=2026-01-31T12%3A00%3A00Z"
    context = RequestContext(
        cast(Any, None),
        cast(Any, None),
        None,
        "/api/v1/projects",
        {},
        query_string=f"limit=2&{others}&off%73et=4&cursor=".encode(),
        query={"archived": False, "tag": ["a", "b,c"], "limit": 2, "offset": None, "cursor": None},
    )

    link, cursor = next_page(context, 7, app_settings)

    query = link.removesuffix('>; rel="next"').partition("?")[2]
    assert query.endswith(f"&{others}")
    fields = parse_qs(query)
    assert fields.keys() == {"limit", "cursor", "archived", "tag", "since"}
    assert fields["cursor"] == [cursor]
    context.query["cursor"] = cursor
    assert window(context, app_settings).after == 7


def test_a_cursor_of_another_list_is_refused(server: Server) -> None:
    ada = server.person("ada")
    add_teams(server, ada, 2)
    of_users = cursor_of(server.admin.get("/users?limit=1"))
    of_teams = cursor_of(server.admin.get("/teams?limit=1"))

    assert server.admin.get(f"/teams?cursor={of_users}").status_code == 400
    assert server.admin.get(f"/users?cursor={of_teams}").status_code == 400


def test_a_cursor_of_another_teams_members_is_refused(server: Server) -> None:
    ada, bob = server.person("ada"), server.person("bob")
    one, other = server.team("One", ada, bob), server.team("Other", ada, bob)
    cursor = cursor_of(ada.get(f"/teams/{one}/members?limit=1"))

    assert ada.get(f"/teams/{one}/members?cursor={cursor}").status_code == 200
    assert ada.get(f"/teams/{other}/members?cursor={cursor}").status_code == 400


def test_a_cursor_of_another_server_is_refused(serve: Serve) -> None:
    cursor = cursor_of(serve().admin.get("/users?limit=1"))
    other = serve(**PRODUCTION)

    assert other.admin.get(f"/users?cursor={cursor}").status_code == 400


def test_a_cursor_gives_no_right(server: Server) -> None:
    ada, bob = server.person("ada"), server.person("bob")
    add_teams(server, ada, 3)
    add_teams(server, bob, 1)
    cursor = cursor_of(ada.get("/teams?limit=1"))

    assert [team["id"] for team in bob.get(f"/teams?cursor={cursor}").json()] == [4]
    users = cursor_of(server.admin.get("/users?limit=1"))
    assert ada.get(f"/users?cursor={users}").status_code == 403


def test_a_cursor_fits_whatever_the_limit(server: Server) -> None:
    cursor = cursor_of(server.admin.get("/users?limit=1"))

    answer = server.admin.get(f"/users?cursor={cursor}&limit=2")

    assert [user["id"] for user in answer.json()] == [2, 3]


def test_members_are_listed_by_the_users_id(server: Server) -> None:
    people = [server.person(name) for name in ("ada", "bob", "eve")]
    team = server.team("Analysts", people[2], people[0], people[1])

    rows = walk(people[0], f"/teams/{team}/members?limit=1&cursor=")

    assert [row["user"]["id"] for row in rows] == [person.id for person in people]


def test_teams_are_counted_by_what_the_caller_sees(server: Server) -> None:
    ada, bob = server.person("ada"), server.person("bob")
    add_teams(server, ada, 2)
    add_teams(server, bob, 3)

    counts = [
        person.get("/teams?limit=1").headers["x-total-count"]
        for person in (ada, bob, server.admin, server.caller(None))
    ]

    assert counts == ["2", "3", "5", "5"]

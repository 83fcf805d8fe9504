"""Lists over HTTP: how users, teams and members are cut into pages."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from models import Member, Team, User
from tests.serving import API, Person, Server, pointers
from tests.statements import recorded

ISSUER = "http://127.0.0.1:5000"
LENGTH = 23


@dataclass(frozen=True)
class Listing:
    """A list of 23 rows: where it is, who reads it, and its keys in order."""

    path: str
    reader: Person
    keys: list[int]
    key_of: Callable[[Any], int]

    def get(self, query: str = "", **options: Any) -> Any:
        """Ask for a page; the query is without the question mark."""
        return self.reader.get(f"{self.path}?{query}", **options)

    def shown(self, answer: Any) -> list[int]:
        """Return the keys of the rows of a page."""
        assert answer.status_code == 200, answer.text
        return [self.key_of(row) for row in answer.json()]

    def walk(self, query: str) -> list[list[int]]:
        """Return the keys of every page, from one on, as the links lead."""
        answer = self.get(query)
        pages = [self.shown(answer)]
        while target := next_page(answer):
            answer = self.reader.get(target)
            pages.append(self.shown(answer))
        return pages


def next_page(answer: Any) -> str | None:
    """Return where the Link header leads, without the API's prefix."""
    link = answer.headers.get("link")
    if link is None:
        assert "x-next-cursor" not in answer.headers
        return None
    found = re.fullmatch(rf'<{ISSUER}{API}(/[!-~]+)>; rel="next"', link)
    assert found, link
    return found[1]


def cursor_of(answer: Any) -> str:
    """Return the cursor in the Link header."""
    found = re.search(r"[?&]cursor=([^&]+)", next_page(answer) or "")
    assert found
    assert answer.headers["x-next-cursor"] == found[1]
    return found[1]


def add_users(server: Server, count: int, word: str = "user") -> list[int]:
    """Store users who have no password; return their ids."""
    with server.session() as session:
        users = [
            User(username=f"{word}{number}", email=f"{word}{number}@x.example", password_hash="")
            for number in range(count)
        ]
        session.add_all(users)
        session.commit()
        return sorted(user.id for user in users)


def add_teams(server: Server, leader: int, count: int) -> list[int]:
    """Store teams of one member; return their ids."""
    with server.session() as session:
        made = [
            Team(title=f"Team {number}", members=[Member(user_id=leader, is_leader=True)])
            for number in range(count)
        ]
        session.add_all(made)
        session.commit()
        return sorted(team.id for team in made)


def add_team_of(server: Server, members: list[int]) -> int:
    """Store a team that the first of its members leads; return its id."""
    with server.session() as session:
        # Not in the order of their ids, so that the order of the list is its own doing.
        rows = [Member(user_id=each, is_leader=each == members[0]) for each in reversed(members)]
        team = Team(title="Team", members=rows)
        session.add(team)
        session.commit()
        return team.id


def users_of(server: Server) -> Listing:
    """Make the list of all users, for an admin."""
    keys = [1, 2, 3, 4, *add_users(server, LENGTH - 4)]
    return Listing("/users", server.admin, keys, lambda row: int(row["id"]))


def teams_of(server: Server) -> Listing:
    """Make the list of a plain user's teams, among teams of others."""
    add_teams(server, 1, 2)
    mine = add_teams(server, 3, LENGTH)
    add_teams(server, 1, 2)
    return Listing("/teams", server.caller(3), mine, lambda row: int(row["id"]))


def members_of(server: Server) -> Listing:
    """Make the list of a team's members, for one of them."""
    members = [3, *add_users(server, LENGTH - 1, "member")]
    path = f"/teams/{add_team_of(server, members)}/members"
    return Listing(path, server.caller(3), members, lambda row: int(row["user"]["id"]))


@pytest.fixture(params=[users_of, teams_of, members_of], ids=["users", "teams", "members"])
def listing(request: pytest.FixtureRequest, server: Server) -> Listing:
    """Each list in turn."""
    made: Listing = request.param(server)
    return made


# By offset


def test_a_page_has_twenty_rows_unless_told_otherwise(listing: Listing) -> None:
    answer = listing.get()

    assert listing.shown(answer) == listing.keys[:20]
    assert answer.headers["x-total-count"] == str(LENGTH)
    assert next_page(answer)


@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (5, 0), (5, 3), (100, 0), (100, 22)])
def test_limit_and_offset_cut_out_a_part(listing: Listing, limit: int, offset: int) -> None:
    answer = listing.get(f"limit={limit}&offset={offset}")

    assert listing.shown(answer) == listing.keys[offset : offset + limit]
    assert answer.headers["x-total-count"] == str(LENGTH)


@pytest.mark.parametrize("offset", [LENGTH, LENGTH + 1, 2**63 - 1])
def test_behind_the_end_there_is_nothing(listing: Listing, offset: int) -> None:
    answer = listing.get(f"offset={offset}")

    assert listing.shown(answer) == []
    assert answer.headers["x-total-count"] == str(LENGTH)
    assert next_page(answer) is None


@pytest.mark.parametrize("query", [f"limit={LENGTH}", f"limit={LENGTH}&cursor=", "offset=20"])
def test_the_last_page_has_no_link(listing: Listing, query: str) -> None:
    assert next_page(listing.get(query)) is None


@pytest.mark.parametrize("value", ["0", "101", "-1", "x", "", "1.0", "1_0", "+5", "\uff15", "05"])
def test_a_limit_goes_from_one_to_a_hundred(listing: Listing, value: str) -> None:
    answer = listing.reader.get(listing.path, params={"limit": value})

    assert answer.status_code == 400
    assert "/limit" in pointers(answer)


@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "1_0", str(2**63), "9" * 5000])
def test_an_offset_is_no_other_than_a_row_count(listing: Listing, value: str) -> None:
    answer = listing.reader.get(listing.path, params={"offset": value})

    assert answer.status_code == 400
    assert "/offset" in pointers(answer)


# By cursor


def test_the_empty_cursor_is_the_first_page_without_a_total(listing: Listing) -> None:
    answer = listing.get("cursor=&limit=5")

    assert listing.shown(answer) == listing.keys[:5]
    assert "x-total-count" not in answer.headers


@pytest.mark.parametrize("limit", [1, 4, 22])
def test_links_lead_to_every_row_once(listing: Listing, limit: int) -> None:
    pages = listing.walk(f"cursor=&limit={limit}")

    assert [key for page in pages for key in page] == listing.keys
    assert {len(page) for page in pages[:-1]} == {limit}


def test_links_lead_on_from_an_offset_by_cursor(listing: Listing) -> None:
    first = listing.get("offset=3&limit=4")
    second = listing.reader.get(next_page(first) or "")

    assert "x-total-count" in first.headers
    assert "x-total-count" not in second.headers
    pages = listing.walk("offset=3&limit=4")
    assert [key for page in pages for key in page] == listing.keys[3:]


def test_a_cursor_page_counts_nothing(listing: Listing, server: Server) -> None:
    with recorded(server.app.engine) as statements:
        listing.walk("cursor=&limit=10")
    assert statements
    assert not any("count(" in sql for sql, _ in statements)
    with recorded(server.app.engine) as statements:
        listing.get("limit=10")
    assert any("count(" in sql for sql, _ in statements)


def test_a_cursor_works_with_another_limit(listing: Listing) -> None:
    cursor = cursor_of(listing.get("cursor=&limit=5"))

    assert listing.shown(listing.get(f"limit=3&cursor={cursor}")) == listing.keys[5:8]
    assert listing.shown(listing.get(f"cursor={cursor}")) == listing.keys[5:]


def test_offset_and_cursor_exclude_each_other(listing: Listing) -> None:
    cursor = cursor_of(listing.get("cursor=&limit=5"))

    for query in ("cursor=&offset=0", f"offset=5&cursor={cursor}"):
        answer = listing.get(query)
        assert answer.status_code == 400
        assert pointers(answer) == ["/offset"]


def test_a_forged_cursor_is_refused(listing: Listing) -> None:
    cursor = cursor_of(listing.get("cursor=&limit=5"))
    position, signature = cursor.split(".")
    forged = ["5", "x", f"{position}.", f".{signature}", f"{position}0.{signature}", cursor[::-1]]

    for each in [*forged, cursor + "A", "é", "x" * 201]:
        answer = listing.reader.get(listing.path, params={"cursor": each})
        assert answer.status_code == 400
        assert pointers(answer) == ["/cursor"]


def test_a_cursor_of_another_list_is_refused(server: Server) -> None:
    listings = [users_of(server), teams_of(server), members_of(server)]
    cursors = [cursor_of(listing.get("cursor=&limit=5")) for listing in listings]

    answers = [
        [each.get(f"cursor={cursor}").status_code for cursor in cursors] for each in listings
    ]

    assert answers == [[200, 400, 400], [400, 200, 400], [400, 400, 200]]


def test_a_cursor_of_another_teams_members_is_refused(server: Server) -> None:
    members = [3, *add_users(server, 5)]
    one, other = (add_team_of(server, members) for _ in range(2))
    admin = server.admin
    cursor = cursor_of(admin.get(f"/teams/{one}/members?cursor=&limit=2"))

    assert admin.get(f"/teams/{one}/members?cursor={cursor}").status_code == 200
    answer = admin.get(f"/teams/{other}/members?cursor={cursor}")
    assert answer.status_code == 400
    assert pointers(answer) == ["/cursor"]


def test_a_cursor_carries_no_right(server: Server, eve: Person) -> None:
    listings = [users_of(server), teams_of(server)]
    add_teams(server, eve.id, 1)
    cursors = [cursor_of(server.admin.get(f"{each.path}?limit=5")) for each in listings]

    assert eve.get(f"/users?cursor={cursors[0]}").status_code == 403
    mine = eve.get("/teams").json()
    assert eve.get(f"/teams?cursor={cursors[1]}").json() == mine


def test_a_walk_repeats_and_skips_nothing_while_rows_come_and_go(server: Server) -> None:
    listing = users_of(server)
    first = listing.get("cursor=&limit=10")

    for gone in listing.keys[5:12]:
        assert listing.reader.delete(f"/users/{gone}").status_code == 204
    late = add_users(server, 2, "late")

    rest = listing.walk((next_page(first) or "").partition("?")[2])
    assert [key for page in rest for key in page] == [*listing.keys[12:], *late]


# The address of the next page


def test_the_link_keeps_the_limit_and_drops_the_offset(listing: Listing) -> None:
    target = next_page(listing.get("offset=2&limit=7")) or ""

    path, _, query = target.partition("?")
    assert path == listing.path
    assert {pair.partition("=")[0] for pair in query.split("&")} == {"limit", "cursor"}
    assert "limit=7" in query


def test_the_link_has_the_issuer_whatever_the_host(listing: Listing) -> None:
    answer = listing.get("limit=5", headers={"Host": "localhost:4999"})

    assert next_page(answer)
    assert "4999" not in str(answer.headers)


def test_a_trailing_slash_changes_nothing(listing: Listing) -> None:
    plain, slashed = (listing.reader.get(f"{listing.path}{end}?limit=5") for end in ("", "/"))

    assert plain.json() == slashed.json()
    assert next_page(plain) == next_page(slashed)
    cursor = cursor_of(plain)
    answer = listing.reader.get(f"{listing.path}/?cursor={cursor}")
    assert listing.shown(answer) == listing.keys[5:]


def test_head_tells_the_headers_alone(listing: Listing) -> None:
    full = listing.get("limit=5")

    answer = listing.reader.request("HEAD", f"{listing.path}?limit=5")

    assert answer.status_code == 200
    assert answer.content == b""
    for name in ("link", "x-total-count", "content-type", "content-length"):
        assert answer.headers[name] == full.headers[name]

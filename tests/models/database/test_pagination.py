import pytest
from sqlalchemy import Engine, bindparam, select
from sqlalchemy.orm import Session

from models import User
from models.database.base import MAX_ID
from models.database.pagination import Listing, Page, Window
from tests.models.factories import acting, make_admin, make_team, make_user
from tests.statements import recorded


@pytest.fixture
def users(session: Session) -> list[User]:
    return [make_user(session, f"user{number}") for number in range(5)]


def test_a_counted_window_goes_by_offset(session: Session, users: list[User]) -> None:
    page = Window(limit=2, offset=1).of(session.connection(), User.everyone())
    assert [row.id for row in page.rows] == [users[1].id, users[2].id]
    assert (page.total, page.next_after) == (5, users[2].id)


@pytest.mark.parametrize(("offset", "found"), [(None, 5), (3, 2), (5, 0), (99, 0), (MAX_ID, 0)])
def test_the_last_page_has_no_next(
    session: Session, users: list[User], offset: int | None, found: int
) -> None:
    page = Window(limit=5, offset=offset).of(session.connection(), User.everyone())
    assert (len(page.rows), page.total, page.next_after) == (found, len(users), None)


def test_a_walk_by_key_sees_every_row_once_and_counts_none(
    engine: Engine, session: Session, users: list[User]
) -> None:
    seen: list[int] = []
    window: Window | None = Window(limit=2, counted=False)
    with recorded(engine) as statements:
        while window:
            page = window.of(session.connection(), User.everyone())
            seen += [row.id for row in page.rows]
            assert page.total is None
            window = Window(limit=2, after=page.next_after) if page.next_after else None
    assert seen == [user.id for user in users]
    assert len(statements) == 3
    assert not any("count" in sql.lower() for sql, _ in statements)


def test_a_key_that_no_row_can_have_is_behind_all(session: Session, users: list[User]) -> None:
    assert Window(limit=2, after=10**30).of(session.connection(), User.everyone()).rows == []


def test_a_limit_that_just_fits_has_no_next(session: Session, users: list[User]) -> None:
    window = Window(limit=2, after=users[2].id)
    assert window.of(session.connection(), User.everyone()).next_after is None


def test_a_list_is_ordered_by_its_key_whatever_the_select_says(
    session: Session, users: list[User]
) -> None:
    listing = Listing.of(select(User.email).order_by(User.email.desc()), User.id)
    page = Window(limit=1, offset=1).of(session.connection(), listing)
    assert [row.email for row in page.rows] == [users[1].email]
    assert page.next_after == users[1].id


def test_a_list_with_parameters_is_given_their_values(session: Session, users: list[User]) -> None:
    listing = Listing.of(select(User.id).where(User.username == bindparam("name")), User.id)
    for user in users[:2]:
        page = Window(limit=5).of(session.connection(), listing.given(name=user.username))
        assert ([row.id for row in page.rows], page.total) == ([user.id], 1)


def test_a_select_of_several_tables_counts_its_own_rows(session: Session) -> None:
    admin, anna = make_admin(session), make_user(session)
    team = make_team(session, anna)
    make_team(session, admin)
    page = Window(limit=5).of(session.connection(), type(team).visible_to(acting(anna)))
    assert ([row.id for row in page.rows], page.total) == ([team.id], 1)


def test_map_changes_the_rows_alone() -> None:
    page = Page([1, 2, 3], 7, 3)
    assert page.map(sum) == Page(6, 7, 3)

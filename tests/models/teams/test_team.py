from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from models import NAMED_OBJECTS, Caller, Client, Member, Team, TeamView, User, accounts
from models.database.base import MAX_ID
from models.database.pagination import Window
from models.errors import Conflict, Forbidden, NotFound, Unprocessable
from tests.models.factories import (
    acting,
    checking,
    count,
    make_admin,
    make_team,
    make_user,
    race,
    replacing,
)


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def berta(session: Session) -> User:
    return make_user(session, "berta")


def test_a_path_can_name_users_teams_members_and_clients() -> None:
    mapped: dict[str, Any] = {name: kind.mapped for name, kind in NAMED_OBJECTS.items()}
    known = {"user": User, "team": Team, "member": Member, "client": Client}

    assert known.items() <= mapped.items()


def test_teams_and_members_have_no_standing_of_their_own(session: Session, anna: User) -> None:
    team = make_team(session, anna)
    assert team.own_roles == team.members[0].own_roles == frozenset()


def test_who_creates_a_team_leads_it(session: Session, anna: User) -> None:
    team = Team.create(session.connection(), "The team", anna)
    session.commit()
    session.expunge_all()
    [member] = session.get_one(Team, team.id).members
    assert (member.user_id, member.is_leader, member.team.title) == (anna.id, True, "The team")


def test_nobody_leads_who_was_deleted(
    session: Session, sessions: sessionmaker[Session], anna: User
) -> None:
    with sessions.begin() as other:
        other.delete(other.get_one(User, anna.id))
    with pytest.raises(Forbidden):
        Team.create(session.connection(), "The team", anna)
    session.rollback()
    assert session.query(Team).count() == 0


def test_load_finds_a_team_by_its_id(session: Session, anna: User) -> None:
    team = make_team(session, anna)
    assert Team.load(session, team_id=team.id) is team
    assert Team.load(session, team_id=team.id + 1) is None
    assert Team.load(session, team_id=MAX_ID + 1) is None
    assert TeamView.load(session.connection(), team_id=team.id) == TeamView.of(team)
    assert TeamView.load(session.connection(), team_id=team.id + 1) is None


def test_the_members_come_in_the_order_of_users(session: Session) -> None:
    users = [make_user(session, name) for name in ("zoe", "anna", "max")]
    team = make_team(session, users[2], users[0], users[1])
    session.expire_all()
    assert [member.user_id for member in team.members] == [user.id for user in users]


def test_roles_are_those_of_a_member(session: Session, anna: User, berta: User) -> None:
    team = make_team(session, anna, berta)
    admin = make_admin(session)
    for each in (team, TeamView.of(team)):
        assert each.roles_of(acting(anna)) == {"member", "leader"}
        assert each.roles_of(acting(berta)) == {"member"}
        assert each.roles_of(acting(admin)) == frozenset()
        assert each.roles_of(Caller(client=1)) == frozenset()
        assert each.roles_of(Caller.anonymous()) == frozenset()


def test_everybody_sees_the_own_teams_and_some_see_all(
    session: Session, anna: User, berta: User
) -> None:
    one = make_team(session, anna, title="One")
    both = make_team(session, anna, berta, title="Both")
    admin, internal = make_admin(session), make_user(session, "internal", is_internal=True)

    def seen(caller: Caller) -> list[tuple[int, str]]:
        page = Window(limit=9).of(session.connection(), Team.visible_to(caller))
        return [(row.id, row.title) for row in page.rows]

    everything = [(one.id, "One"), (both.id, "Both")]
    assert seen(acting(anna)) == everything
    assert seen(acting(berta)) == [(both.id, "Both")]
    assert seen(acting(admin)) == seen(acting(internal)) == seen(Caller(client=1)) == everything
    with pytest.raises(Forbidden):
        seen(Caller.anonymous())


def test_the_rows_of_members_are_shaped_like_their_answer(
    session: Session, anna: User, berta: User
) -> None:
    make_team(session, berta)
    team = make_team(session, anna, berta)
    shown = TeamView.load(session.connection(), team_id=team.id)
    assert shown is not None
    assert shown == TeamView.of(team)
    page = Window(limit=9).of(session.connection(), shown.member_rows()).map(shown.member_views)
    for members in (page.rows, shown.members):
        assert [member.team for member in members] == [shown, shown]
        assert [member.user.id for member in members] == [anna.id, berta.id]
        assert [member.is_leader for member in members] == [True, False]
        assert members[1].user.username == "berta"


def test_a_new_team_is_shown_with_its_leader(session: Session, anna: User) -> None:
    connection = session.connection()
    row = Team.create(connection, "The team", anna)
    made = TeamView.of_new(connection, row, anna)
    team = session.get_one(Team, made.id)
    assert (made.title, made.created, made.updated) == (team.title, team.created, team.updated)
    assert made.created == made.updated
    [shown], [read] = made.members, TeamView.of(team).members
    assert (shown.user.id, shown.is_leader) == (read.user.id, read.is_leader) == (anna.id, True)


def test_a_team_of_no_session_cannot_tell_its_members() -> None:
    with pytest.raises(ValueError, match="no session"):
        TeamView.of(Team(title="The team"))


class TestChange:
    def test_a_new_title(self, session: Session, anna: User) -> None:
        team = make_team(session, anna)
        team.change(session, [checking("/title", "The team"), replacing("/title", "New")])
        session.commit()
        session.refresh(team)
        assert team.title == "New"
        assert team.updated > team.created

    def test_a_failed_test_undoes_all(self, session: Session, anna: User) -> None:
        team = make_team(session, anna)
        with pytest.raises(Conflict):
            team.change(session, [replacing("/title", "New"), checking("/title", "Old")])
        assert team.title == "The team"

    def test_a_test_sees_what_others_changed(
        self, session: Session, sessions: sessionmaker[Session], anna: User
    ) -> None:
        team = make_team(session, anna)
        with sessions.begin() as other:
            other.get_one(Team, team.id).title = "Other"
        with pytest.raises(Conflict):
            team.change(session, [checking("/title", "The team"), replacing("/title", "New")])


class TestDelete:
    def test_a_team_goes_with_its_memberships(
        self, session: Session, anna: User, berta: User
    ) -> None:
        team = make_team(session, anna, berta)
        assert len(team.members) == 2
        team.delete(session)
        session.commit()
        session.expunge_all()
        assert session.query(Team).count() == session.query(Member).count() == 0
        assert session.query(User).count() == 2


@pytest.mark.parametrize(
    "action",
    [
        lambda team, session, user_id: team.add(session, user_id),
        lambda team, session, _: team.change(session, [replacing("/title", "New")]),
        lambda team, session, _: team.delete(session),
    ],
    ids=["add", "change", "delete"],
)
def test_a_team_that_is_gone_is_not_found(
    session: Session,
    sessions: sessionmaker[Session],
    anna: User,
    berta: User,
    action: Callable[[Team, Session, int], object],
) -> None:
    team = make_team(session, anna)
    with sessions.begin() as other:
        other.get_one(Team, team.id).delete(other)
    with pytest.raises(NotFound):
        action(team, session, berta.id)


class TestAdd:
    @pytest.mark.parametrize("is_leader", [False, True])
    def test_a_new_member(self, session: Session, anna: User, berta: User, is_leader: bool) -> None:
        team = make_team(session, anna)
        member = team.add(session, berta.id, is_leader)
        session.commit()
        assert (member.team, member.user, member.is_leader) == (team, berta, is_leader)
        session.expire_all()
        assert [member.user for member in team.members] == [anna, berta]

    @pytest.mark.parametrize("user_id", [-1, 0, 999, MAX_ID, MAX_ID + 1])
    def test_nobody_who_does_not_exist(self, session: Session, anna: User, user_id: int) -> None:
        team = make_team(session, anna)
        with pytest.raises(Unprocessable) as raised:
            team.add(session, user_id)
        assert [pointer for pointer, _ in raised.value.errors] == ["/user_id"]

    def test_nobody_inactive(self, session: Session, anna: User) -> None:
        team = make_team(session, anna)
        with pytest.raises(Unprocessable):
            team.add(session, make_user(session, "berta", is_active=False).id)

    def test_nobody_twice(self, session: Session, anna: User) -> None:
        team = make_team(session, anna)
        with pytest.raises(Conflict) as raised:
            team.add(session, anna.id)
        assert [pointer for pointer, _ in raised.value.errors] == ["/user_id"]

    def test_at_once_one_gets_in_once(
        self, engine: Engine, session: Session, anna: User, berta: User
    ) -> None:
        team_id, user_id = make_team(session, anna).id, berta.id

        def add(session: Session) -> Any:
            return session.get_one(Team, team_id).add(session, user_id)

        outcomes = race(engine, [add] * 10)
        assert (count(outcomes, Member), count(outcomes, Conflict)) == (1, 9)

    def test_who_is_added_and_deleted_at_once_is_no_member(
        self, engine: Engine, session: Session, anna: User, berta: User
    ) -> None:
        team_ids = [make_team(session, anna).id for _ in range(6)]
        user_id = berta.id

        def add(team_id: int, session: Session) -> Any:
            return session.get_one(Team, team_id).add(session, user_id)

        def delete(session: Session) -> None:
            accounts.delete_account(session, session.get_one(User, user_id))

        adding = [partial(add, id) for id in team_ids]
        outcomes = race(engine, [*adding[:3], delete, *adding[3:]])
        assert outcomes[3] is None
        added, refused = count(outcomes, Member), count(outcomes, Unprocessable)
        assert added + refused == len(team_ids)
        assert session.query(Member).where(Member.user_id == user_id).count() == 0

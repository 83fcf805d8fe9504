from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from models import Caller, Member, Team, User, accounts
from models.database.base import MAX_ID
from models.errors import Conflict, NotFound
from models.teams.leaving import leave_all
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

STEP_DOWN = [replacing("/is_leader", False)]
STEP_UP = [replacing("/is_leader", True)]


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def berta(session: Session) -> User:
    return make_user(session, "berta")


def member(session: Session, team: Team, user: User) -> Member:
    found = Member.load(session, team_id=team.id, user_id=user.id)
    assert found is not None
    return found


def test_load_finds_a_member_with_team_and_user(session: Session, anna: User, berta: User) -> None:
    team = make_team(session, anna, berta)
    found = member(session, team, berta)
    assert (found.team, found.user, found.is_leader) == (team, berta, False)
    assert member(session, team, anna).is_leader


@pytest.mark.parametrize("id", [-1, 0, 999, MAX_ID, MAX_ID + 1])
def test_load_finds_nobody_else(session: Session, anna: User, id: int) -> None:
    team = make_team(session, anna)
    assert Member.load(session, team_id=id, user_id=anna.id) is None
    assert Member.load(session, team_id=team.id, user_id=id) is None


def test_roles_are_those_in_the_team_and_oneself(session: Session, anna: User, berta: User) -> None:
    team = make_team(session, anna, berta)
    found = member(session, team, berta)
    assert found.roles_of(acting(berta)) == {"member", "self"}
    assert found.roles_of(acting(anna)) == {"member", "leader"}
    assert found.roles_of(acting(make_admin(session))) == frozenset()
    assert found.roles_of(Caller(client=1)) == frozenset()


class TestChange:
    def test_a_member_becomes_leader_and_steps_down(
        self, session: Session, anna: User, berta: User
    ) -> None:
        found = member(session, make_team(session, anna, berta), berta)
        found.change(session, STEP_UP)
        session.commit()
        session.refresh(found)
        assert found.is_leader
        found.change(session, [checking("/is_leader", True), *STEP_DOWN])
        assert not found.is_leader

    def test_a_failed_test_is_a_conflict(self, session: Session, anna: User) -> None:
        found = member(session, make_team(session, anna), anna)
        with pytest.raises(Conflict) as raised:
            found.change(session, [checking("/is_leader", False)])
        assert raised.value.errors[0][0] == "/0/value"

    def test_the_last_leader_of_others_stays(
        self, session: Session, anna: User, berta: User
    ) -> None:
        found = member(session, make_team(session, anna, berta), anna)
        with pytest.raises(Conflict):
            found.change(session, STEP_DOWN)
        session.rollback()
        assert found.is_leader

    def test_who_is_alone_may_step_down(self, session: Session, anna: User) -> None:
        found = member(session, make_team(session, anna), anna)
        found.change(session, STEP_DOWN)
        assert not found.is_leader

    def test_staying_a_leader_is_no_stepping_down(
        self, session: Session, anna: User, berta: User
    ) -> None:
        member(session, make_team(session, anna, berta), anna).change(
            session, [*STEP_DOWN, *STEP_UP]
        )


class TestRemove:
    def test_a_member_leaves(self, session: Session, anna: User, berta: User) -> None:
        team = make_team(session, anna, berta)
        member(session, team, berta).remove(session)
        session.commit()
        session.refresh(team)
        assert [left.user for left in team.members] == [anna]

    def test_the_last_leader_of_others_stays(
        self, session: Session, anna: User, berta: User
    ) -> None:
        team = make_team(session, anna, berta)
        with pytest.raises(Conflict):
            member(session, team, anna).remove(session)

    def test_one_of_two_leaders_leaves(self, session: Session, anna: User, berta: User) -> None:
        team = make_team(session, anna, berta)
        member(session, team, berta).change(session, STEP_UP)
        member(session, team, anna).remove(session)
        session.commit()
        assert session.query(Member).one().user_id == berta.id

    def test_the_team_goes_with_its_last_member(self, session: Session, anna: User) -> None:
        team = make_team(session, anna)
        found = member(session, team, anna)
        found.change(session, STEP_DOWN)
        found.remove(session)
        session.commit()
        session.expunge_all()
        assert session.query(Team).count() == session.query(Member).count() == 0


@pytest.mark.parametrize(
    "action",
    [
        lambda member, session: member.change(session, STEP_UP),
        lambda member, session: member.remove(session),
    ],
    ids=["change", "remove"],
)
def test_who_has_left_is_not_found(
    session: Session,
    sessions: sessionmaker[Session],
    anna: User,
    berta: User,
    action: Callable[[Member, Session], None],
) -> None:
    team = make_team(session, anna, berta)
    found = member(session, team, berta)
    with sessions.begin() as other:
        member(other, team, berta).remove(other)
    with pytest.raises(NotFound):
        action(found, session)


class TestSuccession:
    """What becomes the leader where the last one goes."""

    def heirs(self, session: Session, *users: User) -> set[int]:
        leader = make_user(session, "leader", is_regular_user=False)
        team = make_team(session, leader, *users)
        for user in users:
            user.is_active = user.username != "inactive"
        member(session, team, leader).remove(session)
        session.commit()
        session.expire_all()
        return {each.user_id for each in team.members if each.is_leader}

    @pytest.mark.parametrize("flag", ["is_regular_user", "is_admin", "is_internal"])
    def test_it_is_the_longest_member_who_may_write(self, session: Session, flag: str) -> None:
        last = make_user(session, "last")
        flags = {"is_regular_user": False, flag: True}
        reader = make_user(session, "reader", is_regular_user=False)
        inactive = make_user(session, "inactive", is_admin=True)
        first = make_user(session, "first", **flags)
        assert self.heirs(session, reader, inactive, first, last) == {first.id}

    def test_where_nobody_may_write_there_is_none(self, session: Session) -> None:
        assert self.heirs(session, make_user(session, "reader", is_regular_user=False)) == set()

    @pytest.mark.parametrize("is_active", [True, False])
    @pytest.mark.parametrize("flag", ["is_regular_user", "is_admin", "is_internal", None])
    def test_who_may_write_is_the_same_in_sql_as_by_role(
        self, session: Session, is_active: bool, flag: str | None
    ) -> None:
        flags = {"is_regular_user": False, **({flag: True} if flag else {})}
        user = make_user(session, "anna", is_active=is_active, **flags)
        found = session.query(User).where(User.may_write()).all()
        assert (user in found) is Caller(user).has("writer")

    def test_members_of_other_teams_stay_what_they_are(
        self, session: Session, anna: User, berta: User
    ) -> None:
        other = make_team(session, anna, berta)
        leader = make_user(session, "leader")
        make_team(session, leader, berta)
        leave_all(session, leader, may_refuse=False)
        session.commit()
        session.expire_all()
        assert [each.is_leader for each in other.members] == [True, False]


class TestRaces:
    def leaders(self, session: Session, number: int, *others: User) -> tuple[int, list[int]]:
        users = [make_user(session, f"leader{index}") for index in range(number)]
        team = make_team(session, *users, *others)
        for user in users[1:]:
            member(session, team, user).change(session, STEP_UP)
        session.commit()
        return team.id, [user.id for user in users]

    @pytest.mark.parametrize("way", ["leave", "step down", "delete account"])
    def test_of_the_last_leaders_of_others_one_stays(
        self, engine: Engine, session: Session, berta: User, way: str
    ) -> None:
        team_id, user_ids = self.leaders(session, 4, berta)

        def go(user_id: int, session: Session) -> None:
            found = session.get_one(Member, (team_id, user_id))
            if way == "leave":
                found.remove(session)
            elif way == "step down":
                found.change(session, STEP_DOWN)
            else:
                accounts.delete_account(session, found.user, acting(found.user))

        outcomes = race(engine, [partial(go, id) for id in user_ids])
        assert (outcomes.count(None), count(outcomes, Conflict)) == (3, 1)
        assert session.query(Member).where(Member.is_leader).count() == 1

    def test_all_who_leave_at_once_leave_no_team(self, engine: Engine, session: Session) -> None:
        team_id, user_ids = self.leaders(session, 5)

        def leave(user_id: int, session: Session) -> None:
            session.get_one(Member, (team_id, user_id)).remove(session)

        outcomes = race(engine, [partial(leave, id) for id in user_ids])
        assert outcomes == [None] * 5
        assert session.query(Team).count() == session.query(Member).count() == 0

    def test_a_member_that_is_removed_twice_goes_once(
        self, engine: Engine, session: Session, anna: User, berta: User
    ) -> None:
        key = make_team(session, anna, berta).id, berta.id

        def remove(session: Session) -> Any:
            found = Member.load(session, *key)
            if found is None:
                raise NotFound("Gone.")
            found.remove(session)

        outcomes = race(engine, [remove] * 5)
        assert (outcomes.count(None), count(outcomes, NotFound)) == (1, 4)

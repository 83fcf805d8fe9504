import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from models import Member, Team, User
from models.errors import Conflict
from models.teams.leaving import leave_all
from tests.models.factories import (
    make_team,
    make_user,
)
from tests.statements import recorded


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def berta(session: Session) -> User:
    return make_user(session, "berta")


def test_every_team_is_left(session: Session, anna: User, berta: User) -> None:
    make_team(session, anna)
    kept = make_team(session, berta, anna)
    leave_all(session, anna, may_refuse=True)
    session.commit()
    session.expunge_all()
    assert session.query(Team).one().id == kept.id
    assert session.query(Member).one().user_id == berta.id


def test_a_team_that_needs_its_leader_keeps_it(session: Session, anna: User, berta: User) -> None:
    make_team(session, anna, berta)
    with pytest.raises(Conflict):
        leave_all(session, anna, may_refuse=True)


def test_the_statements_are_as_many_for_one_team_as_for_many(
    engine: Engine, session: Session
) -> None:
    executed = []
    for number in (1, 40):
        leader = make_user(session, f"leader{number}")
        others = [make_user(session, f"other{number}-{each}") for each in range(3)]
        for _ in range(number):
            make_team(session, leader)
            make_team(session, leader, *others)
            make_team(session, others[0], leader)
        session.expire_all()
        user = session.get_one(User, leader.id)
        with recorded(engine) as statements:
            leave_all(session, user, may_refuse=False)
        executed.append(len(statements))
        session.commit()
        led = session.query(Member).where(Member.user_id == others[0].id, Member.is_leader)
        assert led.count() == 2 * number
    assert executed[0] == executed[1] < 10

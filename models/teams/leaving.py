"""Leaving: a user leaves all its teams, before the account is deleted."""

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from models.caller import Caller
from models.errors import Conflict
from models.teams.member import (
    IS_LAST_LEADER,
    LEADER_NEEDED,
    UNSYNCHRONIZED,
    Member,
    appoint_successors,
    has_others,
)
from models.teams.team import Team
from models.users.user import User


def id_at_position(session: Session, user: User, number: int) -> int | None:
    """Return the id of the team at position `number` of a user's; None where no more follow."""
    teams = select(Member.team_id).where(Member.user_id == user.id).order_by(Member.team_id)
    found = session.scalars(teams.offset(number - 1).limit(2)).all()
    return found[0] if len(found) > 1 else None


def leave_all(
    session: Session, user: User, *, may_refuse: bool, through: int | None = None
) -> None:
    """Remove a user from its teams, or those with ids `through` an id.

    A team where the user is alone is deleted. Where it is the last leader, the longest member who
    may write becomes a leader. With `may_refuse`, raise Conflict there instead, if the user may
    write, and so can name a successor.
    """
    mine = [Member.user_id == user.id, *([] if through is None else [Member.team_id <= through])]
    teams = select(Team.id).where(Team.id.in_(select(Member.team_id).where(*mine)))
    session.execute(teams.order_by(Team.id).with_for_update()).all()
    if may_refuse:
        check_led(session, user)
    appoint_successors(session, *mine, *IS_LAST_LEADER)
    alone = select(Member.team_id).where(*mine, ~has_others())
    session.execute(delete(Team).where(Team.id.in_(alone)), execution_options=UNSYNCHRONIZED)
    session.execute(delete(Member).where(*mine), execution_options=UNSYNCHRONIZED)


def check_led(session: Session, user: User) -> None:
    """Raise Conflict where a user may write and is the last leader of a team of several members."""
    led = exists().where(Member.user_id == user.id, *IS_LAST_LEADER)
    if Caller(user).has("writer") and session.scalar(led.select()):
        raise Conflict(LEADER_NEEDED)

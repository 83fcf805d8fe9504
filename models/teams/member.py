"""Who belongs to a team, and who leads it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import (
    ColumnExpressionArgument,
    Exists,
    ForeignKey,
    Index,
    and_,
    delete,
    exists,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import (
    Mapped,
    Session,
    mapped_column,
    object_session,
    relationship,
)

from models import patch
from models.caller import Caller
from models.database.base import MAX_ID, Addressed, Base, Id, now
from models.errors import Conflict, NotFound

if TYPE_CHECKING:
    from models.teams.team import Team
    from models.users.user import User


class Member(Addressed, Base):
    """A user as a member of a team, since `created`.

    A team with several members has a leader among them, where one of them may write. Whoever
    changes its members locks the team's row first.
    """

    __tablename__ = "members"
    __table_args__ = (Index(None, "user_id", "team_id"),)

    team_id: Mapped[int] = mapped_column(
        Id, ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(
        Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    is_leader: Mapped[bool] = mapped_column(default=False)
    created: Mapped[datetime] = mapped_column(default=now)

    team: Mapped[Team] = relationship(back_populates="members")
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)

    @classmethod
    def load(
        cls, session: Session, team_id: int, user_id: int, *, anew: bool = False
    ) -> Self | None:
        """Return the member of a team; None if there is no such team or member."""
        if max(team_id, user_id) > MAX_ID:
            return None
        return session.get(cls, (team_id, user_id), populate_existing=anew)

    @classmethod
    def lock_named(cls, session: Session, **ids: Any) -> None:
        """Lock the team, as all do who change its members."""
        cls.team.property.mapper.class_.lock(session, ids["team_id"])

    @classmethod
    def many(cls, session: Session, user: User, most: int) -> int | None:
        """Return the last of the `most` first teams of a user; None where it has no more."""
        teams = select(cls.team_id).where(cls.user_id == user.id).order_by(cls.team_id)
        found = session.scalars(teams.offset(most - 1).limit(2)).all()
        return found[0] if len(found) > 1 else None

    @classmethod
    def leave_all(
        cls, session: Session, user: User, *, may_refuse: bool, through: int | None = None
    ) -> None:
        """Take a user out of its teams, or those `through` an id; teams where it is alone go.

        Where it is the last leader, the leadership passes on. Raise Conflict instead where this
        may be refused and the user can hand it over.
        """
        mine = [cls.user_id == user.id, *([] if through is None else [cls.team_id <= through])]
        team = cls.team.property.mapper.class_
        teams = select(team.id).where(team.id.in_(select(cls.team_id).where(*mine)))
        session.execute(teams.order_by(team.id).with_for_update()).all()
        if may_refuse:
            cls.check_led(session, user)
        _pass_on(session, *mine, *_LAST_LEADER)
        alone = select(cls.team_id).where(*mine, ~_others())
        session.execute(delete(team).where(team.id.in_(alone)), execution_options=_UNSEEN)
        session.execute(delete(cls).where(*mine), execution_options=_UNSEEN)

    @classmethod
    def check_led(cls, session: Session, user: User) -> None:
        """Raise Conflict where a team needs a user as its leader, who can hand it over."""
        led = exists().where(cls.user_id == user.id, *_LAST_LEADER)
        if Caller(user).has("writer") and session.scalar(led.select()):
            raise Conflict(_LEADER_NEEDED)

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles in the team, and whether it is this member."""
        if caller.user is None:
            return frozenset()
        own = select(Member.is_leader).where(
            Member.team_id == self.team_id, Member.user_id == caller.user.id
        )
        session = object_session(self)
        is_leader = session and session.scalar(own)
        roles = {"self"} if caller.user.id == self.user_id else set()
        roles |= set() if is_leader is None else {"member"}
        return frozenset(roles | {"leader"} if is_leader else roles)

    def change(self, session: Session, operations: Sequence[patch.Operation]) -> None:
        """Apply a JSON Patch to `/is_leader`; a last leader's role passes on, as by `remove`.

        Raise Conflict where a test fails, or the last leader of others, who may write, would step
        down.
        """
        self._lock(session)
        is_leader = patch.apply({"is_leader": self.is_leader}, operations)["is_leader"]
        if self.is_leader and not is_leader:
            self._hand_over(session)
        self.is_leader = is_leader
        session.flush()

    def remove(self, session: Session) -> None:
        """End the membership; the team goes with its last member.

        A last leader who may not write, and so cannot hand over, is followed by the longest member
        who may. Raise Conflict where one who may write would leave others behind.
        """
        self._lock(session)
        if not session.scalar(self._among_others().select()):
            self.team.delete(session)
            return
        if self.is_leader:
            self._hand_over(session)
        session.delete(self)
        session.flush()

    def _lock(self, session: Session) -> None:
        self.team.lock(session, self.team_id)
        if Member.load(session, self.team_id, self.user_id, anew=True) is None:
            raise NotFound("The team has no such member.")

    def _hand_over(self, session: Session) -> None:
        if not session.scalar(self._among_others().select()):
            return
        if session.scalar(self._among_others(Member.is_leader).select()):
            return
        if Caller(self.user).has("writer"):
            raise Conflict(_LEADER_NEEDED)
        _pass_on(session, Member.team_id == self.team_id, Member.user_id == self.user_id)

    def _among_others(self, *conditions: ColumnExpressionArgument[bool]) -> Exists:
        others = (Member.team_id == self.team_id, Member.user_id != self.user_id)
        return exists().where(*others, *conditions)


# What a user leads, to be counted.
Index(
    "ix_members_led",
    Member.user_id,
    sqlite_where=and_(Member.is_leader),
    postgresql_where=and_(Member.is_leader),
)

# Loaded objects are not looked through: there may be thousands.
_UNSEEN: dict[str, Any] = {"synchronize_session": False}
_LEADER_NEEDED = "A team with other members needs a leader."
_other = Member.__table__.alias("other").c
_heir = Member.__table__.alias("heir").c


def _others(*conditions: ColumnExpressionArgument[bool]) -> Exists:
    """Return the condition that a membership's team has other members, for whom these hold."""
    of_team = (_other.team_id == Member.team_id, _other.user_id != Member.user_id)
    return select(_other.team_id).where(*of_team, *conditions).correlate(Member).exists()


_LAST_LEADER = (Member.is_leader, _others(), ~_others(_other.is_leader))


def _pass_on(session: Session, *which: ColumnExpressionArgument[bool]) -> None:
    """Make the longest member who may write the leader, beside each of these memberships."""
    user = Member.user.property.mapper.class_
    place = func.row_number().over(
        partition_by=_heir.team_id, order_by=(_heir.created, _heir.user_id)
    )
    candidates = (
        select(_heir.team_id, _heir.user_id, place.label("place"))
        .where(_heir.team_id == Member.team_id, _heir.user_id != Member.user_id)
        .where(user.id == _heir.user_id, user.may_write(), *which)
        .subquery()
    )
    first = select(candidates.c.team_id, candidates.c.user_id).where(candidates.c.place == 1)
    heirs = update(Member).where(tuple_(Member.team_id, Member.user_id).in_(first))
    session.execute(heirs.values(is_leader=True), execution_options=_UNSEEN)

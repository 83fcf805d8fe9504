"""Members: the users of a team, and which of them lead it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol, Self

from sqlalchemy import (
    ColumnExpressionArgument,
    Connection,
    Exists,
    ForeignKey,
    Index,
    and_,
    bindparam,
    exists,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session, relationship

from models import patch
from models.caller import Caller
from models.database.base import MAX_ID, Base, Id, now
from models.database.prepared import Prepared
from models.errors import Conflict, NotFound
from models.named_objects import NamedDefaults
from models.users.user import User

LEADER_NEEDED = "A team with other members needs a leader."


class TeamOfMember(Protocol):
    """What a member needs of its team, which is a `Team`: that class is built on this one."""

    id: int
    title: str

    @classmethod
    def lock(cls, session: Session, *ids: int) -> Sequence[Any]:
        """Lock the rows of teams, as `Identified.lock` does."""

    def delete(self, session: Session) -> None:
        """Delete the team and its memberships."""


class Member(NamedDefaults, Base):
    """A user as a member of a team, since `created`.

    A team with several members has a leader among them, where one of them may write. The team's row
    is locked before its members change.
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

    team: Mapped[TeamOfMember] = relationship("Team", back_populates="members")
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
        """Lock the team's row, which every change of its members locks first."""
        team: type[TeamOfMember] = cls.team.property.mapper.class_
        team.lock(session, ids["team_id"])

    @staticmethod
    def roles_in(connection: Connection, team_id: int, caller: Caller) -> frozenset[str]:
        """Return a caller's roles in a team: `member`, `leader`."""
        if caller.user is None:
            return frozenset()
        member = _MEMBER.first(connection, team_id=team_id, user_id=caller.user.id)
        if member is None:
            return frozenset()
        return frozenset({"member", "leader"} if member.is_leader else {"member"})

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles in the team, and whether it is this member."""
        session = object_session(self)
        if caller.user is None or session is None:
            return frozenset()
        roles = self.roles_in(session.connection(), self.team_id, caller)
        return roles | {"self"} if caller.user.id == self.user_id else roles

    def change(self, session: Session, operations: Sequence[patch.Operation]) -> None:
        """Apply a JSON Patch to `/is_leader`; a last leader has a successor, as by `remove`.

        Raise Conflict where a test fails, or where the last leader steps down, may write, and the
        team has other members.
        """
        self._lock(session)
        is_leader = patch.apply({"is_leader": self.is_leader}, operations)["is_leader"]
        if self.is_leader and not is_leader:
            self._hand_over(session)
        self.is_leader = is_leader
        session.flush()

    def remove(self, session: Session) -> None:
        """End the membership; the team is deleted with its last member.

        The successor of a last leader who may not write is the longest member who may. Raise
        Conflict where the last leader may write and the team has other members.
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
            raise Conflict(LEADER_NEEDED)
        appoint_successors(session, Member.team_id == self.team_id, Member.user_id == self.user_id)

    def _among_others(self, *conditions: ColumnExpressionArgument[bool]) -> Exists:
        others = (Member.team_id == self.team_id, Member.user_id != self.user_id)
        return exists().where(*others, *conditions)


# The teams that a user leads, to be counted.
Index(
    "ix_members_led",
    Member.user_id,
    sqlite_where=and_(Member.is_leader),
    postgresql_where=and_(Member.is_leader),
)

_MEMBER = Prepared(
    select(Member.is_leader).where(
        Member.team_id == bindparam("team_id"), Member.user_id == bindparam("user_id")
    )
)
# Objects in the session are not updated along with the rows: there may be thousands.
UNSYNCHRONIZED: dict[str, Any] = {"synchronize_session": False}
_other = Member.__table__.alias("other").c
_heir = Member.__table__.alias("heir").c


def has_others(*conditions: ColumnExpressionArgument[bool]) -> Exists:
    """Return the condition that a membership's team has other members, for whom these hold."""
    of_team = (_other.team_id == Member.team_id, _other.user_id != Member.user_id)
    return select(_other.team_id).where(*of_team, *conditions).correlate(Member).exists()


# The condition that a membership is that of the only leader of other members.
IS_LAST_LEADER = (Member.is_leader, has_others(), ~has_others(_other.is_leader))


def appoint_successors(session: Session, *which: ColumnExpressionArgument[bool]) -> None:
    """Make the longest member who may write a leader, in the team of each of these memberships."""
    place = func.row_number().over(
        partition_by=_heir.team_id, order_by=(_heir.created, _heir.user_id)
    )
    candidates = (
        select(_heir.team_id, _heir.user_id, place.label("place"))
        .where(_heir.team_id == Member.team_id, _heir.user_id != Member.user_id)
        .where(User.id == _heir.user_id, User.may_write(), *which)
        .subquery()
    )
    first = select(candidates.c.team_id, candidates.c.user_id).where(candidates.c.place == 1)
    heirs = update(Member).where(tuple_(Member.team_id, Member.user_id).in_(first))
    session.execute(heirs.values(is_leader=True), execution_options=UNSYNCHRONIZED)

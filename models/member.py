"""Who belongs to a team, and who leads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from sqlalchemy import ForeignKey, Index, exists, func, select
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column, relationship

from models import patch
from models.base import MAX_ID, Addressed, Base, Id
from models.errors import Conflict, NotFound

if TYPE_CHECKING:
    from models.caller import Caller
    from models.team import Team
    from models.user import User


class Member(Addressed, Base):
    """A user as a member of a team.

    A team with several members has a leader among them. Whoever changes its members locks
    the team's row first.
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

    team: Mapped[Team] = relationship(back_populates="members")
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)

    @classmethod
    def load(cls, session: Session, team_id: int, user_id: int) -> Self | None:
        """Return the member of a team; None if there is no such team or member."""
        if max(team_id, user_id) > MAX_ID:
            return None
        return session.get(cls, (team_id, user_id))

    @classmethod
    def leave_all(cls, session: Session, user_id: int) -> None:
        """Take a user out of all its teams; Conflict where one would be left without leader."""
        memberships = select(cls).where(cls.user_id == user_id).order_by(cls.team_id)
        for member in session.scalars(memberships).all():
            member.remove(session)

    @classmethod
    def check_leaving(cls, session: Session, user_id: int) -> None:
        """Raise Conflict where a user could not leave all its teams, as they are."""
        other, leader = aliased(cls), aliased(cls)
        others = exists().where(other.team_id == cls.team_id, other.user_id != user_id)
        leaders = exists().where(
            leader.team_id == cls.team_id, leader.user_id != user_id, leader.is_leader
        )
        last = select(cls.team_id).where(cls.user_id == user_id, cls.is_leader, others, ~leaders)
        if session.scalar(last.limit(1)) is not None:
            raise Conflict("A team with other members needs a leader.")

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles in the team, and whether it is this member."""
        roles = self.team.roles_of(caller)
        is_self = caller.user is not None and caller.user.id == self.user_id
        return roles | {"self"} if is_self else roles

    def change(self, session: Session, operations: Sequence[patch.Operation]) -> None:
        """Apply a JSON Patch to `/is_leader`.

        Raise Conflict where a test fails, or the last leader of others would step down.
        """
        self._lock(session)
        is_leader = patch.apply({"is_leader": self.is_leader}, operations)["is_leader"]
        if self.is_leader and not is_leader:
            self._check_leader_remains(session)
        self.is_leader = is_leader
        session.flush()

    def remove(self, session: Session) -> None:
        """End the membership; the team goes with its last member.

        Raise Conflict where the last leader would leave others behind.
        """
        self._lock(session)
        if self._count_others(session) == (0, 0):
            self.team.delete(session)
            return
        if self.is_leader:
            self._check_leader_remains(session)
        session.delete(self)
        session.flush()

    def _lock(self, session: Session) -> None:
        self.team.lock(session, self.team_id)
        key = (self.team_id, self.user_id)
        if session.get(Member, key, populate_existing=True) is None:
            raise NotFound("The team has no such member.")

    def _check_leader_remains(self, session: Session) -> None:
        others, leaders = self._count_others(session)
        if others and not leaders:
            raise Conflict("A team with other members needs a leader.")

    def _count_others(self, session: Session) -> tuple[int, int]:
        others = select(func.count(), func.count().filter(Member.is_leader)).where(
            Member.team_id == self.team_id, Member.user_id != self.user_id
        )
        count, leaders = session.execute(others).one()
        return count, leaders

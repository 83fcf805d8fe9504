"""Teams of users."""

from collections.abc import Sequence
from typing import Any, Self

from sqlalchemy import Select, String, false, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Bundle, Mapped, Session, mapped_column, object_session, relationship

from models import patch
from models.base import Addressed, Base, Identified, Timestamps
from models.caller import Caller
from models.errors import Conflict, Forbidden, NotFound, Unprocessable
from models.member import Member
from models.user import User


class Team(Identified, Timestamps, Addressed, Base):
    """A team: a title and at least one member; with several, at least one of them leads it."""

    __tablename__ = "teams"

    title: Mapped[str] = mapped_column(String(50))

    members: Mapped[list[Member]] = relationship(
        back_populates="team", order_by=Member.user_id, passive_deletes="all"
    )

    @classmethod
    def create(cls, session: Session, title: str, leader: User) -> Self:
        """Create a team with its first member, who leads it."""
        team = cls(title=title, members=[Member(user=leader, is_leader=True)])
        session.add(team)
        try:
            session.flush()
        except IntegrityError:
            raise Forbidden("The user's account no longer exists.") from None
        return team

    @classmethod
    def load(cls, session: Session, team_id: int) -> Self | None:
        """Return the team with that id."""
        return cls.by_id(session, team_id)

    @classmethod
    def visible_to(cls, caller: Caller) -> Select[int, str]:
        """Select the id and title of the teams that a caller may know about."""
        teams = select(cls.id, cls.title)
        if caller.has("admin", "internal", "service"):
            return teams
        if caller.user is None:
            return teams.where(false())
        return teams.join(Member).where(Member.user_id == caller.user.id)

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles in this team: `member`, `leader`."""
        session = object_session(self)
        if caller.user is None or session is None:
            return frozenset()
        member = session.get(Member, (self.id, caller.user.id))
        if member is None:
            return frozenset()
        return frozenset({"member", "leader"} if member.is_leader else {"member"})

    def member_rows(self) -> Select[*tuple[Any, ...]]:
        """Select the members as rows of `team` (id, title), `user` (base fields), `is_leader`.

        The key, `user_id`, is in the rows too.
        """
        return (
            select(
                Bundle("team", Team.id, Team.title),
                Bundle("user", *User.base_columns()),
                Member.user_id,
                Member.is_leader,
            )
            .select_from(Member)
            .join(Member.team)
            .join(Member.user)
            .where(Member.team_id == self.id)
        )

    def change(self, session: Session, operations: Sequence[patch.Operation]) -> None:
        """Apply a JSON Patch to `/title`; raise Conflict where a test fails."""
        self._lock(session)
        self.title = patch.apply({"title": self.title}, operations)["title"]
        session.flush()

    def delete(self, session: Session) -> None:
        """Delete the team and its memberships."""
        self._lock(session)
        session.delete(self)
        session.flush()

    def add(self, session: Session, user_id: int, is_leader: bool = False) -> Member:
        """Make a user a member.

        Raise Unprocessable where no active user has that id, Conflict where it is a member.
        """
        user = User.hold(session, user_id)
        if user is None or not user.is_active:
            raise Unprocessable(
                "The user cannot be added.", [("/user_id", "No active user has this id.")]
            )
        self._lock(session)
        if session.get(Member, (self.id, user_id), populate_existing=True) is not None:
            raise Conflict(
                "The user cannot be added.",
                [("/user_id", "The user is a member of the team already.")],
            )
        member = Member(team=self, user=user, is_leader=is_leader)
        session.add(member)
        session.flush()
        return member

    def _lock(self, session: Session) -> None:
        if not self.lock(session, self.id):
            raise NotFound("There is no such team.")

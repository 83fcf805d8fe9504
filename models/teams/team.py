"""Teams: creating, changing and deleting them, and adding members."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, Self

from sqlalchemy import (
    Connection,
    Select,
    String,
    bindparam,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session, relationship

from models import patch
from models.caller import Account, Caller
from models.database.base import Base, Identified, Timestamps, now
from models.database.pagination import Listing
from models.database.prepared import Prepared
from models.errors import Conflict, Forbidden, NotFound, Unprocessable
from models.named_objects import NamedDefaults
from models.quotas import AT_ONCE, UNLIMITED, Quotas, serialize
from models.teams.member import Member
from models.users.user import User


class TeamRow(NamedTuple):
    """The columns of a team."""

    id: int
    title: str
    created: datetime
    updated: datetime


class Team(Identified, Timestamps, NamedDefaults, Base):
    """A team with a title and at least one member; of several members at least one is a leader."""

    __tablename__ = "teams"

    title: Mapped[str] = mapped_column(String(50))

    members: Mapped[list[Member]] = relationship(
        back_populates="team", order_by=Member.user_id, passive_deletes="all"
    )

    @classmethod
    def create(
        cls, connection: Connection, title: str, leader: Account, quotas: Quotas = UNLIMITED
    ) -> TeamRow:
        """Create a team with its first member, who leads it.

        Raise Conflict if that user leads as many teams as the quota allows, Forbidden if its
        account was deleted.
        """
        moment = now()
        few = quotas.teams - AT_ONCE
        [row] = _INSERT_TEAM.all(
            connection, new_title=title, moment=moment, leader=leader.id, few=max(few, 0)
        )
        if few < 0 or row.leads_many:
            serialize(connection, leader.id)
            [counted] = _LED.all(connection, leader=leader.id, most=quotas.teams)
            if counted.led >= quotas.teams:
                raise Conflict(f"You lead {quotas.teams} teams, and no user may lead more.")
        try:
            _INSERT_LEADER.all(connection, new_team=row.id, leader=leader.id, moment=moment)
        except IntegrityError:
            raise Forbidden("The user's account no longer exists.") from None
        return TeamRow(row.id, title, moment, moment)

    @classmethod
    def load(cls, session: Session, team_id: int) -> Self | None:
        """Return the team with that id."""
        return cls.by_id(session, team_id)

    @classmethod
    def visible_to(cls, caller: Caller) -> Listing:
        """List the id and title of the teams that a caller may see."""
        if caller.has("admin", "internal", "service"):
            return _all_teams()
        return _teams_of_one().given(user_id=caller.account.id)

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles in this team: `member`, `leader`."""
        session = object_session(self)
        if session is None:
            raise ValueError("The team belongs to no session.")
        return Member.roles_in(session.connection(), self.id, caller)

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

    def add(
        self,
        session: Session,
        user_id: int,
        is_leader: bool = False,
        quotas: Quotas = UNLIMITED,
    ) -> Member:
        """Make a user a member.

        Raise Unprocessable if no active user has that id, Conflict if it is a member already or the
        team has as many members as the quota allows.
        """
        # The team before the user: the deletion of an account locks the user before its teams, but
        # this is not one of them.
        self._lock(session)
        if Member.load(session, self.id, user_id, anew=True) is not None:
            raise Conflict(
                "The user cannot be added.",
                [("/user_id", "The user is a member of the team already.")],
            )
        user = User.lock_shared(session, user_id)
        if user is None or not user.is_active:
            raise Unprocessable(
                "The user cannot be added.", [("/user_id", "No active user has this id.")]
            )
        members = select(Member.user_id).where(Member.team_id == self.id).limit(quotas.members)
        if len(session.scalars(members).all()) >= quotas.members:
            raise Conflict(f"The team has {quotas.members} members, and no team may have more.")
        member = Member(team=self, user=user, is_leader=is_leader)
        session.add(member)
        session.flush()
        return member

    def _lock(self, session: Session) -> None:
        if not self.lock(session, self.id):
            raise NotFound("There is no such team.")


_LEADERSHIPS: Select[*tuple[Any, ...]] = select(literal_column("1")).where(
    Member.user_id == bindparam("leader"), Member.is_leader
)
_INSERT_TEAM = Prepared(
    insert(Team)
    .values(title=bindparam("new_title"), created=bindparam("moment"), updated=bindparam("moment"))
    .returning(
        Team.id,
        _LEADERSHIPS.offset(bindparam("few")).limit(1).scalar_subquery().label("leads_many"),
    )
)
# No more are counted than the quota.
_LED = Prepared(
    select(func.count().label("led")).select_from(_LEADERSHIPS.limit(bindparam("most")).subquery())
)
_INSERT_LEADER = Prepared(
    insert(Member).values(
        team_id=bindparam("new_team"),
        user_id=bindparam("leader"),
        is_leader=True,
        created=bindparam("moment"),
    )
)


@cache
def _all_teams() -> Listing:
    return Listing.of(select(Team.id, Team.title), Team.id)


@cache
def _teams_of_one() -> Listing:
    # No join: an index has the memberships in the order of this list.
    title = select(Team.title).where(Team.id == Member.team_id).scalar_subquery()
    mine = select(Member.team_id.label("id"), title.label("title"))
    return Listing.of(mine.where(Member.user_id == bindparam("user_id")), Member.team_id)

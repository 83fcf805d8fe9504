"""Teams of users."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
from models.database.base import Addressed, Base, Identified, Timestamps, now
from models.database.pagination import Listing
from models.database.prepared import Prepared
from models.errors import Conflict, Forbidden, NotFound, Unprocessable
from models.quotas import AT_ONCE, UNLIMITED, Quotas, serialize
from models.teams.member import Member
from models.users.user import User


class ShownMember(NamedTuple):
    """A member as its team shows it: `team` has an id and a title, `user` the base columns."""

    team: Any
    user: Any
    is_leader: bool


@dataclass(frozen=True)
class ShownTeam(Addressed):
    """A team where it is only read: columns, without the object that could change it.

    `leader` is who has just created the team, and is alone in it.
    """

    connection: Connection
    id: int
    title: str
    created: datetime
    updated: datetime
    leader: Account | None = None

    @classmethod
    def load(cls, connection: Connection, team_id: int) -> Self | None:
        """Return the team with that id."""
        row = _TEAM.first(connection, team_id=team_id)
        return None if row is None else cls(connection, *row)

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles in this team: `member`, `leader`."""
        if caller.user is None:
            return frozenset()
        ids = {"team_id": self.id, "user_id": caller.user.id}
        member = _MEMBER.first(self.connection, **ids)
        if member is None:
            return frozenset()
        return frozenset({"member", "leader"} if member.is_leader else {"member"})

    @property
    def members(self) -> list[ShownMember]:
        """The members, in the order of their users."""
        if self.leader is not None:
            return [ShownMember(self, self.leader, is_leader=True)]
        return self.show(_MEMBER_ROWS.all(self.connection, team_id=self.id))

    def member_rows(self) -> Listing:
        """List the members, as rows for `show`."""
        return _member_rows().given(team_id=self.id)

    def show(self, rows: Iterable[Any]) -> list[ShownMember]:
        """Return members as the team shows them; each row has a user's base columns and role."""
        return [ShownMember(self, row, row.is_leader) for row in rows]


class Team(Identified, Timestamps, Addressed, Base):
    """A team: a title and at least one member; with several, at least one of them leads it."""

    __tablename__ = "teams"

    title: Mapped[str] = mapped_column(String(50))

    members: Mapped[list[Member]] = relationship(
        back_populates="team", order_by=Member.user_id, passive_deletes="all"
    )

    @classmethod
    def create(
        cls, connection: Connection, title: str, leader: Account, quotas: Quotas = UNLIMITED
    ) -> ShownTeam:
        """Create a team with its first member, who leads it.

        Raise Conflict where that user leads as many teams as it may, Forbidden where its account
        is gone.
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
        team = ShownTeam(connection, row.id, title, moment, moment, leader)
        try:
            _INSERT_LEADER.all(connection, new_team=team.id, leader=leader.id, moment=moment)
        except IntegrityError:
            raise Forbidden("The user's account no longer exists.") from None
        return team

    @classmethod
    def load(cls, session: Session, team_id: int) -> Self | None:
        """Return the team with that id."""
        return cls.by_id(session, team_id)

    @classmethod
    def visible_to(cls, caller: Caller) -> Listing:
        """List the id and title of the teams that a caller may know about."""
        if caller.has("admin", "internal", "service"):
            return _all_teams()
        return _teams_of_one().given(user_id=caller.account.id)

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles in this team: `member`, `leader`."""
        return self.shown.roles_of(caller)

    @property
    def shown(self) -> ShownTeam:
        """The team as it is shown, once what was changed is written."""
        session = object_session(self)
        if session is None:
            raise ValueError("The team belongs to no session.")
        return ShownTeam(session.connection(), self.id, self.title, self.created, self.updated)

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

        Raise Unprocessable where no active user has that id, Conflict where it is a member, or
        where the team has as many as it may.
        """
        # Only then the user: what deletes a user locks it before its teams, and this is none of
        # them.
        self._lock(session)
        if Member.load(session, self.id, user_id, anew=True) is not None:
            raise Conflict(
                "The user cannot be added.",
                [("/user_id", "The user is a member of the team already.")],
            )
        user = User.hold(session, user_id)
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


_COLUMNS = (Team.id, Team.title, Team.created, Team.updated)
_TEAM = Prepared(select(*_COLUMNS).where(Team.id == bindparam("team_id")))
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
# No more are counted than matter.
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
_OF_TEAM = Member.team_id == bindparam("team_id")
_MEMBER = Prepared(select(Member.is_leader).where(_OF_TEAM, Member.user_id == bindparam("user_id")))
_SELECT_MEMBERS: Select[*tuple[Any, ...]] = (
    select(*User.base_columns(), Member.is_leader)
    .join(Member, Member.user_id == User.id)
    .where(_OF_TEAM)
)
_MEMBER_ROWS = Prepared(_SELECT_MEMBERS.order_by(Member.user_id))


@cache
def _all_teams() -> Listing:
    return Listing.of(select(Team.id, Team.title), Team.id)


@cache
def _teams_of_one() -> Listing:
    # No join: the memberships alone, which an index has in this order, make the list.
    title = select(Team.title).where(Team.id == Member.team_id).scalar_subquery()
    mine = select(Member.team_id.label("id"), title.label("title"))
    return Listing.of(mine.where(Member.user_id == bindparam("user_id")), Member.team_id)


@cache
def _member_rows() -> Listing:
    return Listing.of(_SELECT_MEMBERS, Member.user_id)

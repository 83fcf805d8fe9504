"""The read model of a team: its columns, for answers, without the object that could change it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, Select, bindparam, select
from sqlalchemy.orm import object_session

from models.caller import Account, Caller
from models.database.pagination import Listing
from models.database.prepared import Prepared
from models.teams.member import Member
from models.teams.team import Team, TeamRow
from models.users.user import User


class MemberView(NamedTuple):
    """A member in an answer: `team` has an id and a title, `user` the base columns."""

    team: Any
    user: Any
    is_leader: bool


@dataclass(frozen=True)
class TeamView:
    """A team in an answer; its members are read when they are asked for.

    `leader` is the only member of a team that was just created.
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

    @classmethod
    def of_new(cls, connection: Connection, row: TeamRow, leader: Account) -> Self:
        """Return the view of a team that `Team.create` has just created for its leader."""
        return cls(connection, *row, leader)

    @classmethod
    def of(cls, team: Team) -> Self:
        """Return the view of a loaded team whose changes are flushed."""
        session = object_session(team)
        if session is None:
            raise ValueError("The team belongs to no session.")
        return cls(session.connection(), team.id, team.title, team.created, team.updated)

    @property
    def own_roles(self) -> frozenset[str]:
        """The roles that the team itself has: none."""
        return frozenset()

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles in this team: `member`, `leader`."""
        return Member.roles_in(self.connection, self.id, caller)

    @property
    def members(self) -> list[MemberView]:
        """The members, in the order of their users' ids."""
        if self.leader is not None:
            return [MemberView(self, self.leader, is_leader=True)]
        return self.member_views(_MEMBER_ROWS.all(self.connection, team_id=self.id))

    def member_rows(self) -> Listing:
        """List the members, as rows for `member_views`."""
        return _member_rows().given(team_id=self.id)

    def member_views(self, rows: Iterable[Any]) -> list[MemberView]:
        """Return the views of members from rows of `member_rows`."""
        return [MemberView(self, row, row.is_leader) for row in rows]


_COLUMNS = (Team.id, Team.title, Team.created, Team.updated)
_TEAM = Prepared(select(*_COLUMNS).where(Team.id == bindparam("team_id")))
_SELECT_MEMBERS: Select[*tuple[Any, ...]] = (
    select(*User.base_columns(), Member.is_leader)
    .join(Member, Member.user_id == User.id)
    .where(Member.team_id == bindparam("team_id"))
)
_MEMBER_ROWS = Prepared(_SELECT_MEMBERS.order_by(Member.user_id))


@cache
def _member_rows() -> Listing:
    return Listing.of(_SELECT_MEMBERS, Member.user_id)

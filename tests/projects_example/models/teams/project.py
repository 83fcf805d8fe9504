"""Projects: what a team works on."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Self

from sqlalchemy import ForeignKey, Index, String, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session

from models import patch
from models.caller import Caller
from models.database.base import Base, Id, Identified, Timestamps
from models.database.pagination import Listing
from models.errors import NotFound
from models.named_objects import NamedDefaults
from models.teams.member import Member
from models.teams.team import Team


class Project(Identified, Timestamps, NamedDefaults, Base):
    """A project of a team."""

    __tablename__ = "projects"
    __table_args__ = (
        Index(None, "team_id", "id"),
        Index(None, "team_id", "archived", "id"),
        {"sqlite_autoincrement": True},
    )

    team_id: Mapped[int] = mapped_column(Id, ForeignKey("teams.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))
    archived: Mapped[bool] = mapped_column(default=False)

    @classmethod
    def create(cls, session: Session, team_id: int, name: str) -> Self:
        """Create a project of a team; raise NotFound where that was deleted meanwhile."""
        if not Team.lock(session, team_id):
            raise NotFound("There is no such team.")
        created = cls(team_id=team_id, name=name, archived=False)
        session.add(created)
        session.flush()
        return created

    @classmethod
    def load(cls, session: Session, team_id: int, project_id: int) -> Self | None:
        """Return the project of a team; None where there is none."""
        found = cls.by_id(session, project_id)
        return found if found is not None and found.team_id == team_id else None

    @classmethod
    def of_team(cls, team_id: int, archived: bool | None = None) -> Listing:
        """List the projects of a team; with `archived`, only those that are, or are not."""
        if archived is None:
            return _of_team().given(team_id=team_id)
        return _of_team_archived().given(team_id=team_id, is_archived=archived)

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles in the team: `member`, `leader`."""
        session = object_session(self)
        if session is None:
            return frozenset()
        return Member.roles_in(session.connection(), self.team_id, caller)

    @classmethod
    def lock_named(cls, session: Session, **ids: Any) -> None:
        """Lock the team, as all do who change its members."""
        Team.lock(session, ids["team_id"])

    def change(self, session: Session, operations: Sequence[patch.Operation]) -> None:
        """Apply a JSON Patch to `/name` and `/archived`; raise Conflict where a test fails."""
        self._lock(session)
        document = {"name": self.name, "archived": self.archived}
        changed = patch.apply(document, operations)
        self.name, self.archived = changed["name"], changed["archived"]
        session.flush()

    def delete(self, session: Session) -> None:
        """Delete the project."""
        self._lock(session)
        session.delete(self)
        session.flush()

    def _lock(self, session: Session) -> None:
        if not self.lock(session, self.id):
            raise NotFound("There is no such project.")


_COLUMNS = (
    Project.id,
    Project.team_id,
    Project.name,
    Project.archived,
    Project.created,
    Project.updated,
)
_OF_TEAM = Project.team_id == bindparam("team_id")


@cache
def _of_team() -> Listing:
    return Listing.of(select(*_COLUMNS).where(_OF_TEAM), Project.id)


@cache
def _of_team_archived() -> Listing:
    archived = Project.archived == bindparam("is_archived")
    return Listing.of(select(*_COLUMNS).where(_OF_TEAM, archived), Project.id)

"""Members: listing, adding, changing and removing the members of a team."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from handlers.schemas.teams import member as member_schema
from handlers.schemas.teams import members as members_schema
from models import Member, Team, TeamView
from models.database.pagination import Page, Window
from models.patch import Operation
from models.quotas import Quotas


def list_members(connection: Connection, team: TeamView, window: Window) -> Page:
    """List the members of a team."""
    page = window.of(connection, team.member_rows()).map(team.member_views)
    return page.map(members_schema.dump)


def add_member(session: Session, team: Team, quotas: Quotas, body: dict[str, Any]) -> Any:
    """Add a user to a team."""
    return member_schema.dump(team.add(session, quotas=quotas, **body))


def change_member(session: Session, member: Member, body: list[Operation]) -> Any:
    """Change a member by a JSON Patch."""
    member.change(session, body)
    return member_schema.dump(member)


def remove_member(session: Session, member: Member) -> None:
    """Remove a member from a team."""
    member.remove(session)

"""Teams: listing, creating, reading, changing and deleting them."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from handlers.schemas.teams import base_teams
from handlers.schemas.teams import team as team_schema
from models import Caller, Team, TeamView
from models.database.pagination import Page, Window
from models.patch import Operation
from models.quotas import Quotas


def list_teams(connection: Connection, caller: Caller, window: Window) -> Page:
    """List the teams that the caller may see."""
    return window.of(connection, Team.visible_to(caller)).map(base_teams.dump)


def create_team(
    connection: Connection, caller: Caller, quotas: Quotas, body: dict[str, Any]
) -> Any:
    """Create a team with the caller as its leader."""
    created = Team.create(connection, leader=caller.account, quotas=quotas, **body)
    return team_schema.dump(TeamView.of_new(connection, created, caller.account))


def read_team(team: TeamView) -> Any:
    """Show a team."""
    return team_schema.dump(team)


def change_team(session: Session, team: Team, body: list[Operation]) -> Any:
    """Change a team by a JSON Patch."""
    team.change(session, body)
    return team_schema.dump(TeamView.of(team))


def delete_team(session: Session, team: Team) -> None:
    """Delete a team."""
    team.delete(session)

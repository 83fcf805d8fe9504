"""Projects: listing, creating, reading, changing and deleting those of a team."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from handlers.schemas.projects import project as project_schema
from handlers.schemas.projects import projects as projects_schema
from models import Project, Team, TeamView
from models.database.pagination import Page, Window
from models.patch import Operation


def list_projects(
    connection: Connection, team: TeamView, window: Window, archived: bool | None
) -> Page:
    """List the projects of a team."""
    return window.of(connection, Project.of_team(team.id, archived)).map(projects_schema.dump)


def create_project(session: Session, team: Team, body: dict[str, Any]) -> Any:
    """Create a project in a team."""
    return project_schema.dump(Project.create(session, team.id, **body))


def read_project(project: Project) -> Any:
    """Show a project."""
    return project_schema.dump(project)


def change_project(session: Session, project: Project, body: list[Operation]) -> Any:
    """Change a project by a JSON Patch."""
    project.change(session, body)
    return project_schema.dump(project)


def delete_project(session: Session, project: Project) -> None:
    """Delete a project."""
    project.delete(session)

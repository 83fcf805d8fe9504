"""Projects: what locks and which index serve their rules."""

from functools import partial

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from models import Project, Team
from models.database.pagination import Window
from models.errors import NotFound
from tests.models.factories import count, make_team, make_user, race, replacing


def make_project(session: Session, team: Team, name: str = "first") -> Project:
    """Insert and commit a project."""
    project = Project.create(session, team.id, name)
    session.commit()
    return project


def test_changes_at_once_are_all_kept(session: Session, engine: Engine) -> None:
    project = make_project(session, make_team(session, make_user(session)))
    team_id, id = project.team_id, project.id

    def change(path: str, value: object, session: Session) -> None:
        found = Project.load(session, team_id, id)
        assert found is not None
        found.change(session, [replacing(path, value)])

    race(engine, [partial(change, "/name", "second"), partial(change, "/archived", True)])

    session.expire_all()
    assert (project.name, project.archived) == ("second", True)


def test_a_project_is_deleted_once(session: Session, engine: Engine) -> None:
    project = make_project(session, make_team(session, make_user(session)))
    team_id, id = project.team_id, project.id

    def delete(session: Session) -> str:
        found = Project.load(session, team_id, id)
        if found is None:
            return "gone before"
        found.delete(session)
        return "deleted"

    outcomes = race(engine, [delete] * 2)

    assert outcomes.count("deleted") == 1
    assert outcomes.count("gone before") + count(outcomes, NotFound) == 1


def test_projects_go_with_their_team(session: Session) -> None:
    team = make_team(session, make_user(session))
    make_project(session, team)

    team.delete(session)

    assert session.scalars(select(Project)).all() == []


def test_a_list_shows_the_projects_of_one_team(session: Session) -> None:
    user = make_user(session)
    team, other = (make_team(session, user, title=title) for title in ("The team", "Another"))
    project = make_project(session, team)
    make_project(session, other, "second")

    page = Window(limit=10).of(session.connection(), Project.of_team(team.id, archived=False))

    assert [row.id for row in page.rows] == [project.id]

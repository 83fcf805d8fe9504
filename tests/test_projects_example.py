"""The example of a resource, the projects of a team: added to a copy of the project, it works."""

import shutil
from pathlib import Path

import pytest

from tests.copies import ROSTER, copy_of_the_project, insert, passes

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parent / "projects_example"
IMPORT = "from models.teams.project import Project\n"
# What is added to files that are there, behind the line that begins like the first text.
LINES = [
    (
        "openapi/openapi.yaml",
        "  /api/v1/teams/{team_id}/members/{user_id}:",
        """\
  /api/v1/teams/{team_id}/projects: {$ref: 'paths/api@v1@teams@{team_id}@projects.yaml'}
  /api/v1/teams/{team_id}/projects/{project_id}:
    $ref: paths/api@v1@teams@{team_id}@projects@{project_id}.yaml
""",
    ),
    (
        "openapi/openapi.yaml",
        "tags:",
        """\
  - name: projects
    description: What a team works on.
""",
    ),
    (
        "openapi/components/securitySchemes/oauth2.yaml",
        "      teams:write:",
        """\
      projects:read: See the projects of the teams that you may see
      projects:write: Create, change and delete projects in the teams that you manage
""",
    ),
    ("models/registry.py", "from models.teams.member", IMPORT),
    ("models/registry.py", '    "team":', '    "project": Kind(Project),\n'),
    ("models/__init__.py", "from models.teams.member", IMPORT),
    ("models/__init__.py", '    "Member",', '    "Project",\n'),
    (
        "tests/handlers/test_roles.py",
        '    "remove_member":',
        """\
    "list_projects":          "!!  ..  ++  ++  ++  +++  ++  +++  +",
    "create_project":         "!!  ..  --  --  +-  ++-  ++  +++  +",
    "read_project":           "!!  ..  ++  ++  ++  +++  ++  +++  +",
    "change_project":         "!!  ..  --  --  +-  ++-  ++  +++  +",
    "delete_project":         "!!  ..  --  --  +-  ++-  ++  +++  +",
""",
    ),
    (
        "tests/writers.py",
        "ACTS:",
        """\
    "create_project": {
        "by a leader": api("lead", "POST", f"{ENGINES}/projects", name="Music"),
        "by an admin": api("boss", "POST", f"{ENGINES}/projects", name="Opera"),
    },
    "change_project": {
        "by a leader": api("lead", "PATCH", f"{ENGINES}/projects/{FIRST}", replace("/name", "Six")),
    },
    "delete_project": {
        "by a leader": api("lead", "DELETE", f"{ENGINES}/projects/{FIRST}"),
    },
""",
    ),
]
CHECKS = (
    ("-m", "ruff", "format", "--check", "."),
    ("-m", "ruff", "check", "."),
    (*ROSTER, "check"),
    (
        *("-m", "pytest", "-q", "-k", "sqlite and project or table_has or scans and sqlite"),
        *("tests/handlers/test_projects.py", "tests/models/teams/test_project.py"),
        *("tests/handlers/test_roles.py", "tests/test_query_plans.py"),
    ),
)
QUICK = "not live and not slow and not field and not cluster and not clients"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the project with the example, and its migration."""
    copy = copy_of_the_project(tmp_path)
    shutil.copytree(EXAMPLE, copy, dirs_exist_ok=True)
    shutil.rmtree(copy / "tests/projects_example")
    for file, after, lines in LINES:
        insert(copy / file, after, lines)
    revision = ("-m", "alembic", "revision", "--autogenerate", "--message", "add projects")
    url = f"sqlite:///{copy}/build.db"
    passes(copy, (*ROSTER, "db", "upgrade"), revision, DATABASE_URL=url)
    return copy


def test_the_example_is_files_of_its_own_and_a_few_lines(copy: Path) -> None:
    passes(copy, *CHECKS)


def test_the_whole_suite_passes_beside_it_and_a_resource_by_command(copy: Path) -> None:
    pytest.importorskip("ruff")
    passes(
        copy,
        (*ROSTER, "new", "bird_houses", "--in", "team"),
        ("-m", "pytest", "-q", "--numprocesses", "2", "-m", QUICK, "--prove"),
    )

"""The resources of `roster new`: in a copy of the project they pass lint and tests as they come."""

import subprocess
from pathlib import Path

import pytest

from tests import lint_definition
from tests.copies import ROSTER, copy_of_the_project, passes, run

pytestmark = pytest.mark.slow

TESTS = (
    *("tests/handlers/test_projects.py", "tests/models/teams/test_project.py"),
    *("tests/handlers/test_time_entries.py", "tests/models/time_entries/test_time_entry.py"),
    *("tests/handlers/test_roles.py", "tests/test_query_plans.py", "tests/test_definition.py"),
    *("tests/roster/test_head.py", "tests/handlers/test_bad_input.py", "tests/test_rows.py"),
    "tests/test_schemathesis.py",
)
# The plans are not watched here: to delete an entry deletes all its notes with it.
TESTS_OF_NOTES = (
    *("tests/handlers/test_notes.py", "tests/models/time_entries/test_note.py"),
    *("tests/handlers/test_roles.py", "tests/test_definition.py"),
)
LINT = (
    ("-m", "ruff", "format", "--check", "."),
    ("-m", "ruff", "check", "."),
    ("-m", "mypy", "--cache-dir", "build/mypy"),
    (*ROSTER, "check"),
    (*ROSTER, "changes"),
)


def files(copy: Path) -> dict[str, bytes]:
    """Return every file of a copy, but for what Python and the tools keep."""
    return {
        path.relative_to(copy).as_posix(): path.read_bytes()
        for path in copy.rglob("*")
        if path.is_file() and not {"__pycache__", ".ruff_cache", "build"} & {*path.parts}
    }


def new(copy: Path, *arguments: str) -> str:
    """Write a resource; return what is printed."""
    done = run(copy, *ROSTER, "new", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_clean_to_the_linters(copy: Path) -> None:
    """Lint the definition of a copy, with the linters for Node that this project has."""
    passes(copy, ("-m", "tests.lint_definition"))
    for document in (copy / "build").glob("openapi-*.yaml"):
        for command in lint_definition.commands(document)[0]:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_resources_of_every_form_pass_lint_and_tests_as_they_come(tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    copy = copy_of_the_project(tmp_path)
    before = files(copy)
    new(copy, "projects", "--singular", "project", "--in", "team", "--dry-run")
    assert files(copy) == before

    printed = new(copy, "projects", "--singular", "project", "--in", "team")
    added = files(copy).keys() - before.keys()
    assert added == {line[2:] for line in printed.splitlines() if line.startswith("+ ")}
    new(copy, "time_entries")
    words = "project or time_entr or table_has or scans or example or document"
    passes(copy, *LINT, ("-m", "pytest", "-q", "-k", f"({words}) and not postgresql", *TESTS))

    # PostgreSQL fills and plans by itself.
    passes(copy, ("-m", "pytest", "-q", "-k", "scans and postgresql", "tests/test_query_plans.py"))
    is_clean_to_the_linters(copy)

    new(copy, "notes", "--in", "time_entry")
    written = files(copy)
    for arguments in (("projects", "--in", "team"), ("remarks", "--in", "note")):
        refused = run(copy, *ROSTER, "new", *arguments)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert files(copy) == written
    passes(copy, *LINT, ("-m", "pytest", "-q", "-k", "note and not postgresql", *TESTS_OF_NOTES))
    is_clean_to_the_linters(copy)


@pytest.mark.parametrize(
    ("file", "old", "new_text", "told"),
    [
        ("openapi/{item}", "read_project\n", "read_projct\n", "read_projct"),
        ("openapi/{item}", "schemas/projects/Project.yaml", "schemas/Projct.yaml", "Projct.yaml"),
        ("openapi/{item}", "object: project", "object: projct", "projct"),
        ("openapi/{item}", "sees: [member", "sees: [membr", "membr"),
        ("openapi/{item}", "projects:read", "projects:raed", "projects:raed"),
        (
            "openapi/openapi.yaml",
            "  {path}: {{",
            "  # {path}: {{",
            "{project_id}.yaml: nothing refers",
        ),
        ("openapi/{list}", "        example: {{name: An example}}\n", "", "there is no example"),
    ],
)
def test_a_mistake_in_a_new_resource_is_told_in_one_line_each(
    written: Path, file: str, old: str, new_text: str, told: str
) -> None:
    names = {
        "item": "paths/api@v1@teams@{team_id}@projects@{project_id}.yaml",
        "list": "paths/api@v1@teams@{team_id}@projects.yaml",
        "path": "/api/v1/teams/{team_id}/projects/{project_id}",
    }
    target = written / file.format_map(names)
    text = target.read_text(encoding="utf-8")
    assert old.format_map(names) in text
    target.write_text(text.replace(old.format_map(names), new_text.format_map(names), 1), "utf-8")
    try:
        done = run(written, *ROSTER, "check")
    finally:
        target.write_text(text, encoding="utf-8")

    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert all(line.startswith("roster: openapi/") for line in lines), lines
    assert told in "\n".join(lines)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with the projects of a team."""
    pytest.importorskip("ruff")
    copy = copy_of_the_project(tmp_path_factory.mktemp("written"))
    new(copy, "projects", "--in", "team")
    return copy

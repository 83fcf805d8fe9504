"""The examples of the documents: applied to a copy of the project, they do what they say."""

import re
from pathlib import Path

import pytest

from tests.copies import ROOT, copy_of_the_project, insert, run

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:yaml|python)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
OF_THE_EXAMPLE = (
    "tests/handlers/test_roles.py",
    "tests/test_definition.py",
    "tests/test_query_plans.py",
    "tests/roster/test_head.py",
    "tests/handlers/test_bad_input.py",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the files of the project that git knows."""
    return copy_of_the_project(tmp_path)


def test_the_endpoint_of_the_readme_is_a_line_a_file_a_function_and_a_row(copy: Path) -> None:
    line, path_file, function, row = BLOCKS
    insert(copy / "openapi/openapi.yaml", "  /api/v1/teams/{team_id}:", line)
    name = path_file.partition("\n")[0].removeprefix("# ")
    (copy / name).write_text(path_file, encoding="utf-8")
    module, _, code = function.partition("\n")
    with (copy / module.removeprefix("# ")).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{code}")

    failed = run(
        copy, "-m", "pytest", "-q", "tests/handlers/test_roles.py", "-k", "read_team or table_has"
    )
    assert "1 failed" in failed.stdout, failed.stdout
    assert "Add rows to TABLE in tests/handlers/test_roles.py" in failed.stdout
    assert row.strip() in failed.stdout

    insert(copy / "tests/handlers/test_roles.py", '    "read_team":', row)
    for command in (
        ("-m", "ruff", "format", "--check", "."),
        ("-m", "ruff", "check", "."),
        ("-c", "from roster.cli.main import main; main()", "check"),
        ("-m", "pytest", "-q", *OF_THE_EXAMPLE, "-k", "read_team or table or document or scans"),
    ):
        done = run(copy, *command)
        assert done.returncode == 0, done.stdout + done.stderr

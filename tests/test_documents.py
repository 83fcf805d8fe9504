"""The examples of the documents: applied to a copy of the project, they do what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
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
    if not (ROOT / ".git").exists():
        pytest.skip("no repository")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return tmp_path


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in the copy."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        capture_output=True,
        check=False,
        text=True,
    )


def insert(path: Path, after: str, text: str) -> None:
    """Insert a text into a file, behind the line that begins in a certain way."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    [place] = [number for number, line in enumerate(lines) if line.startswith(after)]
    path.write_text("".join([*lines[: place + 1], text, *lines[place + 1 :]]), encoding="utf-8")


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

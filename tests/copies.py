"""A copy of the project, to which tests add what the documents tell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Python's options that run the project's own command.
ROSTER = ("-c", "from roster.cli.main import main; main()")


def copy_of_the_project(folder: Path) -> Path:
    """Copy the files of the project that git knows; return the folder."""
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
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return folder


def run(copy: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in the copy."""
    own = {"PYTHONPATH": str(copy), "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env={**os.environ, **own, **variables},
        capture_output=True,
        check=False,
        text=True,
    )


def passes(copy: Path, *commands: tuple[str, ...], **variables: str) -> None:
    """Run modules of Python in the copy, each of which must succeed."""
    for command in commands:
        done = run(copy, *command, **variables)
        assert done.returncode == 0, done.stdout + done.stderr


def insert(path: Path, after: str, text: str) -> None:
    """Insert a text into a file, behind the line that begins in a certain way."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    [place] = [number for number, line in enumerate(lines) if line.startswith(after)]
    path.write_text("".join([*lines[: place + 1], text, *lines[place + 1 :]]), encoding="utf-8")

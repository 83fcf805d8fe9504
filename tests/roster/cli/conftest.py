"""What the tests of the commands share: a database, and a way to run them."""

import io
import sys

import pytest

from models import User
from roster.cli.main import main
from tests.commands import PASSWORD, Migrated, Outcome, Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command by `main()`, with text or bytes on standard input."""

    def run(*arguments: str, stdin: str | bytes = "") -> Outcome:
        raw = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "argv", ["roster", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
        capsys.readouterr()
        status, last = 0, ""
        try:
            main()
        except SystemExit as end:
            if isinstance(end.code, str):
                status, last = 1, end.code
            else:
                status = end.code or 0
        printed = capsys.readouterr()
        return Outcome(status, printed.out, printed.err + last)

    return run


@pytest.fixture
def empty(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the commands work on an empty database; return its URL."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return database_url


@pytest.fixture
def migrated(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Migrated:
    """Have the commands work on a migrated database."""
    monkeypatch.setenv("DATABASE_URL", migrated_url)
    return Migrated(migrated_url)


@pytest.fixture
def ada(migrated: Migrated, run: Run) -> User:
    """Create an admin by the command."""
    created = run("users", "create", "ada", "--email", "ada@example.com", "--admin", stdin=PASSWORD)
    assert created.status == 0
    return migrated.user("ada")

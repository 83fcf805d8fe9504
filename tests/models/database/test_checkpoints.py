"""Checkpoints: the log of a SQLite database stays short, and no writer copies it."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from models.database import checkpoints, connections, sqlite
from models.database.checkpoints import Checkpoints
from roster import settings
from roster.application import create_app

PATIENCE_SECONDS = 30
PAGE = 4096


@pytest.fixture(name="engine")
def _engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connections.connect(f"sqlite:///{tmp_path}/x.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE blobs (id INTEGER PRIMARY KEY, blob BLOB)"))
    engine.dispose()
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_COMMITS", 5)
    monkeypatch.setattr(checkpoints, "_MOST_PAGES", 40)


@pytest.fixture(name="running")
def _running(engine: Engine) -> Iterator[Checkpoints]:
    running = Checkpoints(engine)
    running.start()
    yield running
    running.close()


def write(engine: Engine, rows: int) -> None:
    """Insert rows of a page each, in a transaction each."""
    with engine.connect() as connection:
        for _ in range(rows):
            connection.execute(text("INSERT INTO blobs (blob) VALUES (zeroblob(4000))"))
            connection.commit()


def log_of(engine: Engine) -> Path:
    return Path(f"{engine.url.database}-wal")


def eventually(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


def rows_of(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM blobs")) or 0)


def pragma(engine: Engine, name: str) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text(f"PRAGMA {name}")) or 0)


@pytest.mark.usefixtures("running")
def test_the_log_is_copied_and_begins_anew(engine: Engine) -> None:
    for _ in range(20):
        write(engine, 50)
        eventually(lambda: Path(str(engine.url.database)).stat().st_size > 40 * PAGE)

    # A thousand rows would be some three thousand pages.
    assert log_of(engine).stat().st_size < 1500 * PAGE
    eventually(lambda: Path(str(engine.url.database)).stat().st_size > 900 * PAGE)
    assert rows_of(engine) == 1000


def test_a_few_large_commits_are_not_forgotten(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_SECONDS", 0.05)
    monkeypatch.setattr(checkpoints, "_COMMITS", 1000)
    running = Checkpoints(engine)
    running.start()
    with engine.connect() as connection:
        for _ in range(3):
            connection.execute(text("INSERT INTO blobs (blob) VALUES (zeroblob(4000000))"))
            connection.commit()
    eventually(lambda: Path(str(engine.url.database)).stat().st_size > 12_000_000)
    running.close()


def test_it_can_be_started_again(engine: Engine) -> None:
    running = Checkpoints(engine)
    for number in (1, 2):
        running.start()
        write(engine, 50)
        wanted = 40 * number * PAGE
        eventually(lambda: Path(str(engine.url.database)).stat().st_size > wanted)  # noqa: B023
        running.close()


@pytest.mark.usefixtures("running")
def test_a_log_that_a_reader_kept_becomes_short_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorter = "PRAGMA journal_size_limit = 409600"
    monkeypatch.setattr(sqlite, "WATCHED", (*checkpoints.WATCHED, shorter))
    reader = sqlite3.connect(str(engine.url.database), isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM blobs").fetchone()
    write(engine, 400)
    assert log_of(engine).stat().st_size > 400 * PAGE
    reader.close()

    ends = time.monotonic() + PATIENCE_SECONDS
    while log_of(engine).stat().st_size > 200 * PAGE:
        assert time.monotonic() < ends
        write(engine, 10)


@pytest.mark.usefixtures("running")
def test_writers_leave_the_log_alone(engine: Engine) -> None:
    assert pragma(engine, "wal_autocheckpoint") == 2000
    assert pragma(engine, "journal_size_limit") == 8_192_000


def test_the_log_stays_short_where_the_thread_is_too_slow(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()
    monkeypatch.setattr(Checkpoints, "make", lambda _self: may_end.wait(PATIENCE_SECONDS))
    running = Checkpoints(engine)
    running.start()
    write(engine, 2000)
    may_end.set()
    running.close()

    # Each row is some three pages.
    assert log_of(engine).stat().st_size < 2500 * PAGE


def test_without_the_thread_sqlite_does_it_itself(engine: Engine) -> None:
    assert pragma(engine, "wal_autocheckpoint") == 1000
    running = Checkpoints(engine)
    running.start()
    running.close()
    engine.dispose()

    assert pragma(engine, "wal_autocheckpoint") == 1000


def test_threads_may_write_and_read_meanwhile(engine: Engine, running: Checkpoints) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                write(engine, 5)
                rows_of(engine)
        except BaseException as error:  # noqa: BLE001 (told below)
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        running.make()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    assert failures == []
    assert rows_of(engine) == 400


@pytest.mark.usefixtures("running")
def test_a_reader_keeps_what_it_reads(engine: Engine) -> None:
    write(engine, 5)
    reader = sqlite3.connect(str(engine.url.database), isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM blobs").fetchone() == (5,)
    write(engine, 100)

    assert reader.execute("SELECT count(*) FROM blobs").fetchone() == (5,)
    reader.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM blobs").fetchone() == (105,)
    reader.close()


def test_a_failing_disk_is_told_once_and_tried_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[None] = []
    make = Checkpoints.make

    def fail(self: Checkpoints) -> None:
        tried.append(None)
        if len(tried) in {1, 2, 4}:
            raise sqlite3.OperationalError("disk I/O error")
        make(self)

    monkeypatch.setattr(Checkpoints, "make", fail)
    running = Checkpoints(engine)
    running.start()
    with caplog.at_level(logging.WARNING):
        for number in range(1, 5):
            write(engine, 5)
            eventually(lambda number=number: len(tried) == number)  # type: ignore[misc]
    running.close()

    told = [each.getMessage() for each in caplog.records if "log of the database" in each.message]
    assert told == ["The log of the database cannot be copied: disk I/O error"] * 2


def test_a_database_that_is_gone_ends_no_thread(engine: Engine) -> None:
    running = Checkpoints(engine)
    running.start()
    write(engine, 4)
    Path(str(engine.url.database)).unlink()
    log: Any = running._log
    for _ in range(5):
        log.committed()
    eventually(lambda: running._has_failed)

    assert running._thread
    assert running._thread.is_alive()
    running.close()


def test_it_runs_as_long_as_a_server_and_on_sqlite_alone(migrated_url: str) -> None:
    def count() -> int:
        return [each.name for each in threading.enumerate()].count("roster-checkpoints")

    others = count()  # of other tests' servers
    app = create_app(settings.load(database_url=migrated_url))
    for _ in range(2):
        with TestClient(app):
            assert count() - others == migrated_url.startswith("sqlite")
        assert count() == others

"""Checkpoints are made beside the writers, of the file that is there, and end with the engine."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from models.database import Connections, connect, session_on

PATIENCE_SECONDS = 30


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "roster.db"


@pytest.fixture
def engine(file: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER PRIMARY KEY, thing BLOB)"))
    yield engine
    engine.dispose()


def write(connections: Connections, pages: int = 1) -> None:
    connection = connections.take()
    with session_on(connection) as session:
        session.execute(text(f"INSERT INTO things (thing) VALUES (randomblob({4000 * pages}))"))
        session.commit()
    connections.give_back(connection)


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "roster-checkpoints"]


def test_no_commit_makes_a_checkpoint_and_soon_the_file_holds_all(
    engine: Engine, file: Path
) -> None:
    connections = Connections(engine)
    before = file.stat().st_size
    write(connections, pages=2000)  # of which SQLite itself would make one
    assert file.stat().st_size == before
    wait_until(lambda: file.stat().st_size > 2000 * 4000)
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA wal_autocheckpoint")) == 0


def test_the_log_does_not_grow_without_end(
    engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.checkpoints._INTERVAL", 0.01)
    monkeypatch.setattr("models.checkpoints._MOST_PAGES", 100)
    connections, log = Connections(engine), file.with_name("roster.db-wal")
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.is_set():
            write(connections, pages=10)

    writers = [threading.Thread(target=go_on) for _ in range(4)]
    for each in writers:
        each.start()
    try:
        wait_until(lambda: file.stat().st_size > 4 * log.stat().st_size)
    finally:
        is_over.set()
        for each in writers:
            each.join()


def test_what_is_written_to_a_file_in_the_place_of_another_stays(
    engine: Engine, file: Path, tmp_path: Path
) -> None:
    connections = Connections(engine)
    write(connections)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(tmp_path / "b")) as copy:
        source.backup(copy)
    for each in tmp_path.glob("roster.db*"):
        each.unlink()
    (tmp_path / "b").rename(file)
    write(connections)
    wait_until(lambda: not threads())  # those of the old file
    write(connections)
    engine.dispose()
    with closing(sqlite3.connect(file)) as found:
        assert found.execute("SELECT count(*) FROM things").fetchone() == (3,)


def test_disposing_ends_the_thread_and_leaves_the_file_alone(
    engine: Engine, file: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        write(Connections(engine))
        assert threads()
        engine.dispose()
        assert not threads()
        assert [each.name for each in tmp_path.iterdir()] == [file.name]

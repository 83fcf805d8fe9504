"""A disk that is full or fails, and a file that goes away: nothing is lost, and all heals."""

import os
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select, text
from sqlalchemy.exc import InvalidRequestError, OperationalError
from sqlalchemy.orm import Session

from models import Team
from models.database.base import now
from models.database.connections import Connections, begin, connect, session_on
from tests.live import serving

pytestmark = pytest.mark.live


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder on a file system of 16 MiB."""
    at = tmp_path / "disk"
    at.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(at)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("Nobody but root may mount a file system, where even that is possible.")
    yield at
    subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill(folder: Path, leave: int = 0) -> None:
    """Take all room in a folder but for some bytes."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with (folder / "ballast").open("ab") as file:
        file.write(b"\0" * max(free - leave, 0))


@pytest.mark.parametrize("rounds", [2, pytest.param(10, marks=pytest.mark.field)])
def test_who_meets_a_full_disk_waits_for_nobody_and_writes_again_when_there_is_room(
    small_disk: Path, tmp_path: Path, rounds: int
) -> None:
    url = f"sqlite:///{small_disk / 'roster.db'}"
    roomy = {"ROSTER_QUOTA_TEAMS": "100000"}
    with serving(tmp_path, DATABASE_URL=url, **roomy) as server, ThreadPoolExecutor(8) as pool:
        headers = server.bearer("root", "q")

        def create(number: int) -> Any:
            title = {"title": f"Team {number}"}
            return server.client.post("/api/v1/teams", json=title, headers=headers)

        kept = [create(0)]
        for turn in range(rounds):
            # The log cannot grow at all, or some of it can; what room it has holds some hundreds.
            fill(small_disk, leave=turn % 2 * 64 * 1024)
            answers = list(pool.map(create, range(800)))
            refused = [each for each in answers if each.status_code != 201]
            assert refused
            assert {each.status_code for each in refused} == {503}
            assert all(each.headers["Retry-After"] for each in refused)
            assert server.client.get("/api/v1/users/me", headers=headers).status_code == 200
            (small_disk / "ballast").unlink()
            healed = list(pool.map(create, range(200)))
            assert {each.status_code for each in healed} == {201}
            kept += [each for each in answers + healed if each.status_code == 201]
    with Session(connect(url)) as session:
        assert {*session.scalars(select(Team.id))} == {each.json()["id"] for each in kept}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'roster.db'}")
    Team.metadata.create_all(engine)
    yield engine
    engine.dispose()


@contextmanager
def no_more_pages(session: Session) -> Iterator[None]:
    """Let the database not grow: SQLITE_FULL, as a statement is executed."""
    used = session.scalar(text("PRAGMA page_count"))
    session.execute(text(f"PRAGMA max_page_count = {used}"))
    yield
    session.execute(text("PRAGMA max_page_count = 1000000"))


@contextmanager
def no_longer_files(session: Session) -> Iterator[None]:
    """Let no file grow: SQLITE_IOERR, as the transaction is committed."""
    files = Path(str(session.get_bind().engine.url.database)).parent.glob("roster.db-wal")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(f.stat().st_size for f in files), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def write(session: Session, teams: int) -> None:
    session.execute(
        insert(Team),
        [{"title": "t" * 50, "created": now(), "updated": now()} for _ in range(teams)],
    )


def write_much(session: Session) -> None:
    for _ in range(100):
        write(session, 100)
    session.commit()


@pytest.mark.parametrize("failing", [no_more_pages, no_longer_files])
def test_a_write_that_fails_gives_the_turn_back_and_nothing_of_it_is_kept(
    engine: Engine, failing: Callable[[Session], AbstractContextManager[None]]
) -> None:
    connections = Connections(engine)
    connection = connections.take()
    with session_on(connection) as session:
        write(session, 1)
        session.commit()
        with failing(session):
            with pytest.raises(OperationalError):
                write_much(session)
            # Even who goes on as if nothing had happened must not write the second half alone.
            with suppress(OperationalError, InvalidRequestError):
                write(session, 1)
                session.commit()
    connections.give_back(connection)
    with Session(engine) as other:  # would wait for the turn, and give up
        write(other, 1)
        other.commit()
        assert other.scalar(select(func.count()).select_from(Team)) == 2


def test_what_sqlite_itself_rolled_back_is_not_written_by_halves(engine: Engine) -> None:
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        begin(connection)
        driver.execute("ROLLBACK")  # as SQLite does where the disk fails
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="rolled back"):
                driver.begin()
        with pytest.raises(sqlite3.OperationalError, match="rolled back"):
            driver.commit()
        driver.begin()
        driver.commit()


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_database_file_that_goes_away_is_noticed(tmp_path: Path, how: str) -> None:
    """Nothing is acknowledged that is written into a file without a name."""
    with serving(tmp_path) as server:
        headers = server.bearer("root", "q")

        def create() -> Any:
            body = {"title": "Kept"}
            return server.client.post("/api/v1/teams", json=body, headers=headers)

        assert create().status_code == 201
        file, backup = tmp_path / "roster.db", tmp_path / "backup.db"
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(backup)) as copy:
            source.backup(copy)
        for each in tmp_path.glob("roster.db*"):
            each.unlink()
        if how == "deleted":
            for _ in range(20):
                assert create().status_code == 503
            assert server.client.get("/readyz").status_code == 503
            assert not file.exists(), "An empty database is none."
        backup.rename(file)
        assert create().status_code == 201
        assert server.client.get("/readyz").status_code == 200
    with closing(sqlite3.connect(file)) as found:
        assert found.execute("SELECT count(*) FROM teams").fetchone() == (2,)

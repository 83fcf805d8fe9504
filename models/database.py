"""How the databases are reached, and when their transactions begin.

The drivers run in autocommit, so reading needs no transaction and holds no lock. A write
transaction begins by itself before the first statement that writes, or that locks rows by
`with_for_update()`, and ends with the session's commit or rollback: the same on both databases.
"""

import sqlite3
from collections.abc import Sequence
from itertools import count
from threading import Lock
from time import monotonic, sleep
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.selectable import GenerativeSelect

BUSY_TIMEOUT = 10.0  # seconds
_EXCLUSIVE = 0x526F73746572  # any number, the same in all processes: "Roster"


def connect(url: str | URL, pool_size: int = 5) -> Engine:
    """Return an engine for a SQLite file or a PostgreSQL database; ValueError for another."""
    url = make_url(url)
    backend = url.get_backend_name()
    if backend == "sqlite":
        engine = _connect_sqlite(url, pool_size)
    elif backend in ("postgresql", "postgres"):
        engine = _connect_postgresql(url, pool_size)
    else:
        raise ValueError("The database must be SQLite or PostgreSQL.")
    event.listen(engine, "before_cursor_execute", _begin_before_write)
    return engine


def session_factory(engine: Engine) -> sessionmaker[Session]:
    """Return the factory of sessions; objects stay readable after a commit."""
    return sessionmaker(engine, expire_on_commit=False)


def session_on(connection: Connection) -> Session:
    """Return a session on a connection, which may have read before; its commit commits all."""
    return Session(connection, join_transaction_mode="control_fully", expire_on_commit=False)


def begin(connection: Connection) -> None:
    """Begin the write transaction now, unless it has begun."""
    if not connection.in_transaction():
        connection.begin()
    driver: Any = connection.connection.driver_connection
    driver.begin()


def begin_alone(connection: Connection) -> None:
    """Begin a write transaction that no other one of this kind runs beside, in any process."""
    begin(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_EXCLUSIVE)))


class SQLiteConnection(sqlite3.Connection):
    """A SQLite connection that waits for its turn to write.

    SQLite lets one connection write at a time, and the others try again at growing intervals.
    A lock shared by the connections of one engine lets the threads wait in line instead.
    """

    turn: Lock
    has_turn = False

    def begin(self) -> None:
        """Begin a write transaction, unless one has begun."""
        if self.in_transaction:
            return
        if not self.turn.acquire(timeout=BUSY_TIMEOUT):
            raise sqlite3.OperationalError("database is locked")
        self.has_turn = True
        try:
            self.execute("BEGIN IMMEDIATE")
        finally:
            self._pass_turn()

    def commit(self) -> None:
        """Commit, and let the next one write."""
        if self.in_transaction:
            super().commit()
        self._pass_turn()

    def rollback(self) -> None:
        """Roll back, and let the next one write."""
        if self.in_transaction:
            super().rollback()
        self._pass_turn()

    def close(self) -> None:
        """Close, which rolls back, and let the next one write."""
        super().close()
        self._pass_turn(closed=True)

    def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Execute a select and return its rows; the parameters in its text are `?`."""
        return self.execute(sql, values).fetchall()

    def _pass_turn(self, closed: bool = False) -> None:
        if self.has_turn and (closed or not self.in_transaction):
            self.has_turn = False
            self.turn.release()


class PostgreSQLConnection(psycopg.Connection[Any]):
    """A PostgreSQL connection that asks the server nothing where nothing has begun."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._transformer: Any = Transformer(self)
        self._names: dict[str, bytes] = {}
        self._numbers = count()

    def begin(self) -> None:
        """Begin a transaction, unless one has begun."""
        if self._is_idle:
            self.execute("BEGIN")

    def commit(self) -> None:
        """Commit, where something has begun."""
        if not self._is_idle:
            super().commit()

    def rollback(self) -> None:
        """Roll back, where something has begun."""
        if not self._is_idle:
            super().rollback()
            # psycopg may have had the server forget all that was prepared, or not.
            self.pgconn.exec_(b"DEALLOCATE ALL")
            self._names.clear()

    def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Execute a select and return its rows; the parameters in its text are `$1`, `$2`.

        The server prepares it once; psycopg's cursors, which can do much more, take twice as long.
        """
        name = self._names.get(sql)
        if name is None:
            name = f"roster_{next(self._numbers)}".encode()
            prepared = self.pgconn.prepare(name, sql.encode())
            if prepared.status != ExecStatus.COMMAND_OK:
                raise error_from_result(prepared)
            self._names[sql] = name
        transformer = self._transformer
        parameters = transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))
        result = self.pgconn.exec_prepared(name, parameters)
        if result.status != ExecStatus.TUPLES_OK:
            error = error_from_result(result)
            if isinstance(error, psycopg.errors.InvalidSqlStatementName):
                self._names.clear()
            raise error
        transformer.set_pgresult(result)
        rows: list[Any] = transformer.load_rows(0, result.ntuples, tuple)
        return rows

    @property
    def _is_idle(self) -> bool:
        return self.pgconn.transaction_status == TransactionStatus.IDLE

    def is_alive(self) -> bool:
        """Tell whether the server is still there, without asking it.

        One that ends a connection says so, and hangs up: the first look reads the one, the second
        sees the other. Neither waits.
        """
        try:
            self.pgconn.consume_input()
            self.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return not self.closed


def _connect_sqlite(url: URL, pool_size: int) -> Engine:
    turn = Lock()
    engine = create_engine(
        url,
        pool_size=pool_size,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={
            "factory": SQLiteConnection,
            "isolation_level": None,
            "timeout": BUSY_TIMEOUT,
        },
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: SQLiteConnection, _record: object) -> None:
        connection.turn = turn
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for others here, who may just be opening the same new file.
    ends = monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if monotonic() > ends:
                raise
            sleep(0.01)
        else:
            return


def _connect_postgresql(url: URL, pool_size: int) -> Engine:
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.host and "%" in url.host:  # a Unix socket's folder, as libpq writes it in a host
        url = url.set(host=unquote(url.host))
    engine = create_engine(
        url,
        pool_size=pool_size,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={"autocommit": True},
    )

    @event.listens_for(engine, "do_connect")
    def open_connection(_: object, __: object, arguments: Any, options: Any) -> Any:
        return PostgreSQLConnection.connect(*arguments, **options)

    # SQLAlchemy's own check (`pool_pre_ping`) asks the server each time, which doubles the round
    # trips of a request that reads once.
    @event.listens_for(engine, "checkout")
    def check_alive(connection: PostgreSQLConnection, _: object, __: object) -> None:
        if not connection.is_alive():
            raise InvalidatePoolError

    return engine


def _begin_before_write(
    connection: Connection,
    _cursor: object,
    sql: str,
    _parameters: object,
    context: Any,
    _executemany: bool,
) -> None:
    if _writes(sql, context):
        begin(connection)


def _writes(sql: str, context: Any) -> bool:
    statement = context.compiled.statement if context.compiled else None
    if isinstance(statement, GenerativeSelect):
        return statement._for_update_arg is not None  # noqa: SLF001 (nothing public tells)
    return not sql.lstrip().upper().startswith(("SELECT", "PRAGMA", "SHOW"))

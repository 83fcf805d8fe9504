"""Connections to the databases, and the begin of their transactions.

The drivers run in autocommit, so a read needs no transaction and no lock. A write transaction
begins by itself before the first statement that writes, or that locks rows by `with_for_update()`,
and ends with the session's commit or rollback. This is the same on both databases.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, ExceptionContext, event, func, select
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.selectable import GenerativeSelect

from models.database import failures
from models.database.sqlite import connect_sqlite
from models.database.urls import SQLITE, check_url

# Locks of PostgreSQL; any numbers, the same in all processes: "Roster", and the one after it.
_EXCLUSIVE = 0x526F73746572
PURGE_LOCK = _EXCLUSIVE + 1


@dataclass(frozen=True)
class TimeLimits:
    """Timeouts of a PostgreSQL database in seconds; None is no timeout.

    `lock` is for one lock, `statement` for one statement with its locks.
    """

    connect: int = 5
    lock: int | None = None
    statement: int | None = None


def connect(
    url: str | URL,
    pool_size: int = 5,
    limits: TimeLimits = TimeLimits(),
    prepares: bool | None = None,
) -> Engine:
    """Return an engine for a SQLite file or a PostgreSQL database; ValueError for another.

    The limits are PostgreSQL's; SQLite waits for its one lock, for BUSY_TIMEOUT. `prepares` tells
    whether PostgreSQL prepares statements, as it cannot behind a pooler; with None it is detected.
    """
    url = check_url(url)
    options: dict[str, Any] = {
        "pool_size": pool_size,
        "max_overflow": -1,  # there are never more than threads
        "pool_use_lifo": True,
        "hide_parameters": True,
    }
    if url.drivername == SQLITE:
        engine = connect_sqlite(url, **options)
    else:
        # A server on SQLite does without its driver (9 MiB).
        from models.database.postgresql import connect_postgresql  # noqa: PLC0415

        named = {"lock_timeout": limits.lock, "statement_timeout": limits.statement}
        engine = connect_postgresql(url, limits.connect, named, prepares, **options)
    event.listen(engine, "before_cursor_execute", _begin_before_write)
    event.listen(engine, "checkout", _check_alive)
    event.listen(engine, "handle_error", _drop_connection)
    return engine


class Connections:
    """Connections of an engine that requests reuse, the last one that was used first.

    The engine's own pool, from which they come, resets and wraps a connection at each use; that
    takes a tenth of the time of a request for `users/me`. As many are kept as the pool would keep.
    `observe` is told for how many seconds a connection was used, and how many of them were a wait
    for the server (None where there is none).
    """

    def __init__(
        self, engine: Engine, observe: Callable[[float, float | None], None] | None = None
    ) -> None:
        self._engine = engine
        self._observe = observe
        self._most = engine.pool.size()  # type: ignore[attr-defined]
        # A list's `append` and `pop` need no lock.
        self._idle: list[Connection] = []
        # When one connection is lost, older ones may lead to a server that no longer exists.
        self._losses = 0
        event.listen(engine, "engine_disposed", self._close)

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return len(self._idle)

    def take(self) -> Connection:
        """Return a connection without a transaction."""
        connection = self._take()
        connection.__dict__["roster_taken"] = perf_counter()
        return connection

    def _take(self) -> Connection:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                losses = self._losses
                connection = self._engine.connect()
                connection.__dict__["roster_losses"] = losses
                return connection
            if _driver(connection).was_alive():
                return connection
            connection.invalidate()
            connection.close()

    def give_back(self, connection: Connection) -> None:
        """Roll back what was not committed, and keep the connection for the next request."""
        is_clean = False
        if self._observe is not None:
            held = perf_counter() - connection.__dict__["roster_taken"]
            self._observe(held, None if connection.invalidated else _waited(connection))
        if connection.invalidated:
            self._losses += 1
            self._close(self._engine)
        check_at_begin(connection, None)
        try:
            connection.rollback()
            is_clean = not connection.invalidated and not _driver(connection).in_transaction
        finally:
            if is_clean and self._is_worth_keeping(connection) and len(self._idle) < self._most:
                self._idle.append(connection)
            else:
                _end(connection)

    def _is_worth_keeping(self, connection: Connection) -> bool:
        # Another server may have taken the place of one that is read-only, and have newer data. A
        # file has no such state.
        if connection.__dict__["roster_losses"] != self._losses:
            return False
        return not getattr(_driver(connection), "only_reads", False)

    def _close(self, _engine: Engine) -> None:
        while self._idle:
            _end(self._idle.pop())


def _waited(connection: Connection) -> float | None:
    """Return for how long the server was waited for since this was last asked."""
    driver = _driver(connection)
    waited: float | None = getattr(driver, "waited", None)
    if waited is not None:
        driver.waited = 0.0
    return waited


def _end(connection: Connection) -> None:
    """Close a connection without returning it to the pool, which may be disposed."""
    if not connection.invalidated:
        connection.detach()
    connection.close()


def session_factory(engine: Engine) -> sessionmaker[Session]:
    """Return the factory of sessions; objects stay readable after a commit."""
    return sessionmaker(engine, expire_on_commit=False)


def session_on(connection: Connection) -> Session:
    """Return a session on a connection, whose transaction the session's commit commits."""
    return Session(connection, join_transaction_mode="control_fully", expire_on_commit=False)


def reader_on(connection: Connection) -> Session:
    """Return a session that only reads on a connection, and does not end its transaction."""
    return Session(connection, join_transaction_mode="rollback_only", autoflush=False)


# A select for PostgreSQL, and its values; the parameters in its text are `$1`, `$2`.
Question = tuple[str, Sequence[Any]]


class Check(Protocol):
    """A check at the begin of each write transaction on a connection."""

    def selects(self) -> Sequence[Question]:
        """Return selects that lock rows, to be executed when the transaction begins.

        The rows of the last one are passed to `passed`.
        """

    def passed(self, rows: list[Any] | None) -> None:
        """Raise an error if the transaction must not write.

        `rows` are those of the last select; None if it was not executed, as on SQLite.
        """


def check_at_begin(connection: Connection, check: Check | None) -> None:
    """Set the check at the begin of each write transaction on a connection; None removes it."""
    connection.__dict__["roster_check"] = check


def begin(connection: Connection, locks: Sequence[Question] = ()) -> list[Any] | None:
    """Begin the write transaction now, unless it has begun, and execute selects that lock rows.

    They are for PostgreSQL alone: SQLite has one writer at a time. The driver's rows of the last
    one are returned; None on SQLite. Errors of the driver are raised as SQLAlchemy's.
    """
    if not connection.in_transaction():
        connection.begin()
    driver = _driver(connection)
    if driver.in_transaction:
        return _begin(connection, driver, locks) if locks else None
    check: Check | None = connection.__dict__.get("roster_check")
    if check is None:
        return _begin(connection, driver, locks)
    # SQLite has one writer at a time: there is nothing to lock.
    asked = check.selects() if driver.locks_rows else ()
    rows = _begin(connection, driver, [*asked, *locks])
    try:
        check.passed(None if locks else rows)
    except BaseException:
        # Later statements must not be written without the check.
        _with_sqlalchemy_errors(connection, "ROLLBACK", driver.rollback)
        raise
    return rows


def write_now(connection: Connection) -> None:
    """Execute what was to be written later, so that its errors are raised here."""
    _with_sqlalchemy_errors(connection, "", _driver(connection).write_now)


def _begin(connection: Connection, driver: Any, selects: Sequence[Question]) -> list[Any] | None:
    found: list[Any] | None = _with_sqlalchemy_errors(connection, "BEGIN", driver.begin, *selects)
    return found


def _with_sqlalchemy_errors(
    connection: Connection, sql: str, do: Callable[..., Any], *arguments: Any
) -> Any:
    """Call the driver; raise its errors as SQLAlchemy's, which also handles lost connections."""
    try:
        return do(*arguments)
    except connection.dialect.loaded_dbapi.Error as error:
        connection._handle_dbapi_exception(error, sql, None, None, None)  # noqa: SLF001


def begin_alone(connection: Connection) -> None:
    """Begin a write transaction; no other one of this kind runs at the same time anywhere."""
    begin(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_EXCLUSIVE)))


def try_begin_alone(connection: Connection, lock: int) -> bool:
    """Begin a write transaction; tell whether it got the lock, which it has until its end.

    It does not wait for the lock. SQLite has one writer at a time, and needs no other lock.
    """
    begin(connection)
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(lock))))


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def _check_alive(connection: Any, _: object, __: object) -> None:
    # SQLAlchemy's own check (`pool_pre_ping`) sends a query each time, which doubles the round
    # trips of a request that reads once.
    if not connection.is_alive():
        raise InvalidatePoolError


def _drop_connection(context: ExceptionContext) -> None:
    if failures.ends_connection(context.original_exception):
        context.is_disconnect = True


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

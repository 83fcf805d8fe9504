"""PostgreSQL: connections of psycopg, of which only the necessary parts are used."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import (
    ConnectionTimeout,
    DuplicatePreparedStatement,
    QueryCanceled,
    error_from_result,
)
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import URL, Engine, create_engine, event

from models.database import failures
from models.database.confirming import Confirmation
from models.database.encoding import check_encoding
from models.database.preparing import Preparing, execution, name_of, written_out
from models.database.timeouts import TCP, ConnectAttempts, Watchdog

# How many seconds after the server's own timeout the connection is closed.
_GRACE = 3
_watchdog = Watchdog()


def connect_postgresql(
    url: URL,
    connect_seconds: int,
    limits: Mapping[str, int | None],
    prepares: bool | None,
    **options: Any,
) -> Engine:
    """Return an engine for a PostgreSQL database.

    `limits` are seconds by the names of the server's settings. Options of the URL take precedence.
    `prepares` tells whether a connection has its own server session, which may prepare statements;
    with None each connection detects that.
    """
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.host and "%" in url.host:  # the directory of a Unix socket, as libpq writes it in a host
        url = url.set(host=unquote(url.host))
    engine = create_engine(url, connect_args={"autocommit": True}, **options)
    attempts = ConnectAttempts(ConnectionTimeout, psycopg.OperationalError)

    @event.listens_for(engine, "do_connect")
    def open_connection(_: object, __: object, arguments: Any, named: Any) -> Any:
        named = {"connect_timeout": connect_seconds, **TCP, **named, "client_encoding": "utf8"}
        said = str(named.get("options", ""))
        unsaid = {name: value for name, value in limits.items() if value and name not in said}
        with attempts.one():
            connection = PostgreSQLConnection.connect(*arguments, **named)
            try:
                check_encoding(connection)
                connection.set_up(unsaid, prepares, connect_seconds)
            except BaseException:
                connection.close()
                raise
        return connection

    return engine


class PostgreSQLConnection(psycopg.Connection[Any]):
    """A PostgreSQL connection that sends nothing to the server without need.

    Behind a pooler that assigns a server session for one transaction each, it leaves no state in
    the session: it prepares nothing, and sets timeouts for each transaction only.
    """

    locks_rows = True
    waits_since: float | None = None
    # How many seconds it has waited, until somebody sets this back.
    waited = 0.0
    patience: float | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._transformer: Any = Transformer(self)
        self._names: dict[str, bytes] = {}
        self._prepared = Preparing(self._names.clear)
        self._prepares = True
        self._begin = ["BEGIN"]
        self._later: list[str] = []
        self._is_standby = self.pgconn.parameter_status(b"in_hot_standby") == b"on"
        self._inode = os.fstat(self.pgconn.socket).st_ino
        self._confirmation = Confirmation(self)
        _watchdog.watch(self)

    def set_up(self, limits: Mapping[str, int], prepares: bool | None, seconds: int) -> None:
        """Detect a pooler, and set the timeouts of statements.

        `limits` and `prepares` are those of `connect_postgresql`. The server has to answer within
        `seconds`. Poolers refuse timeouts as options of the connection.
        """
        self.patience = seconds
        # A pooler sends an id of its own instead of that of a server process.
        is_own = f"pg_backend_pid() = {self.pgconn.backend_pid}" if prepares is None else prepares
        settings = [
            f"CASE WHEN {is_own} THEN set_config('{name}', '{seconds * 1000:d}', false) END"
            for name, seconds in limits.items()
        ]
        limit = "extract(epoch FROM current_setting('statement_timeout')::interval)"
        row = self._execute([f"SELECT {', '.join((str(is_own), *settings, limit))}"])[0]
        self._prepares = row[0]
        if not self._prepares:
            self.prepare_threshold = None
            self._begin += [
                f"SET LOCAL {name} = {seconds * 1000:d}" for name, seconds in limits.items()
            ]
        longest = limits.get("statement_timeout") or float(row[-1])
        self.patience = longest + _GRACE if longest else None

    def begin(self, *selects: tuple[str, Sequence[Any]]) -> list[Any]:
        """Begin a transaction, unless one has begun, and execute selects as its first statements.

        They are given as to `fetch`, and sent with the BEGIN in one message. The rows of the last
        one are returned.
        """
        if self.in_transaction:
            self.write_now()
            return self._execute([self._written_out(*select) for select in selects])
        if not self._prepares:
            return self._begin_written_out(selects)
        try:
            return self._execute([*self._begin, *(self._named(*select) for select in selects)])
        except psycopg.Error as error:
            if not failures.is_stale(error):
                raise
            # Nothing is written yet: everything can be repeated.
            self.rollback()
            self._forget()
            return self._begin_written_out(selects)

    def _begin_written_out(self, selects: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return self._execute([*self._begin, *(self._written_out(*select) for select in selects)])

    def _named(self, sql: str, values: Sequence[Any]) -> str:
        return execution(self._transformer, self._names.get(sql) or self._prepare(sql), values)

    def _written_out(self, sql: str, values: Sequence[Any]) -> str:
        return written_out(self._transformer, sql, values)

    def write_later(self, sql: str, values: Sequence[Any]) -> None:
        """Execute a statement that returns nothing before the next one, or with the commit.

        It and the commit are one message then, for which the server is waited for once.
        """
        write = self._named if self._prepares else self._written_out
        self._later.append(write(sql, values))

    def write_now(self) -> None:
        """Execute what was to be written later."""
        if self._later:
            later, self._later = self._later, []
            self._execute(later)

    def commit(self) -> None:
        """Commit, if a transaction has begun.

        A connection that is lost meanwhile leaves open whether the transaction was committed.

        :raises psycopg.OperationalError: also if a synchronous standby has not confirmed it.
        """
        if self.in_transaction:
            later, self._later = self._later, []
            try:
                self._execute([*later, "COMMIT"])
            except BaseException:
                self.rollback()  # SQLAlchemy does not, because for it the transaction has ended
                raise
            self._confirmation.check()

    def _execute(self, statements: Sequence[str]) -> list[Any]:
        if not statements:
            return []
        result = self._wait_for(self.pgconn.exec_, "; ".join(statements).encode())
        return self._read(result)

    def rollback(self) -> None:
        """Roll back, if a transaction has begun and the connection is open."""
        self._later.clear()
        if self.in_transaction and not self.closed:
            super().rollback()

    def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Execute a select and return its rows; the parameters in its text are `$1`, `$2`.

        The server prepares it once. psycopg's cursors do more, and take twice as long.
        """
        self.write_now()
        parameters = self._transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))
        if not self._prepares:
            return self._read(self._wait_for(self.pgconn.exec_params, sql.encode(), parameters))
        name = self._names.get(sql) or self._prepare(sql)
        try:
            return self._read(self._wait_for(self.pgconn.exec_prepared, name, parameters))
        except psycopg.Error as error:
            if failures.is_stale(error):
                self._forget()
            raise

    # An insert is executed like a select, and may return rows too.
    write = fetch

    def _prepare(self, sql: str) -> bytes:
        name = name_of(sql.encode())
        try:
            self._read(self._wait_for(self.pgconn.prepare, name, sql.encode()))
        except DuplicatePreparedStatement:
            # An earlier connection has prepared the same in this server session.
            if self.in_transaction:
                raise
        self._names[sql] = name
        return name

    def _forget(self) -> None:
        """Let the server forget its prepared statements, which would be stale again."""
        self._names.clear()
        if not self.in_transaction:
            self._execute(["DEALLOCATE ALL"])

    def may_try_again(self, error: BaseException) -> bool:
        """Tell whether a failed select may be executed again by SQLAlchemy.

        It would fail in a failed transaction, and a statement that timed out would do so again.
        """
        is_lost = self.pgconn.transaction_status == TransactionStatus.INERROR
        return not is_lost and not isinstance(error, QueryCanceled)

    def _read(self, result: PGresult) -> list[Any]:
        if result.status == ExecStatus.COMMAND_OK:
            return []
        if result.status != ExecStatus.TUPLES_OK:
            raise self._error(result)
        self._transformer.set_pgresult(result)
        rows: list[Any] = self._transformer.load_rows(0, result.ntuples, tuple)
        return rows

    def _error(self, result: PGresult) -> psycopg.Error:
        # libpq's own errors, about a lost server, have no code.
        if self.closed:
            return psycopg.OperationalError("the connection is lost")
        return error_from_result(result)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun, or the state is unknown."""
        return self.pgconn.transaction_status != TransactionStatus.IDLE

    def _wait_for(self, ask: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        began = self.waits_since = monotonic()
        try:
            return ask(*arguments, **options)
        finally:
            self.waited += monotonic() - began
            self.waits_since = None

    def wait(self, *arguments: Any, **options: Any) -> Any:
        """Wait for the server as psycopg does, with a timeout."""
        self.write_now()
        return self._wait_for(super().wait, *arguments, **options)

    def hang_up(self) -> None:
        """End the connection, from another thread than the one that waits on it."""
        with (
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self.pgconn.socket)) as line,
        ):
            # The file descriptor may have been reused.
            if os.fstat(line.fileno()).st_ino == self._inode:
                line.shutdown(socket.SHUT_RDWR)

    def is_alive(self) -> bool:
        """Tell whether the connection is open, without sending anything, or waiting."""
        # A server that ends a connection sends a message, and closes it: hence two calls.
        try:
            self.pgconn.consume_input()
            self.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return not self.closed

    # It costs no system call that could be saved.
    was_alive = is_alive

    @property
    def only_reads(self) -> bool:
        """Whether the server has reported that it is read-only, as PostgreSQL 14 and later do."""
        if self._is_standby:
            return True
        return self.pgconn.parameter_status(b"default_transaction_read_only") == b"on"

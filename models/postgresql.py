"""How PostgreSQL is reached: through psycopg, which is asked for no more than is needed."""

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg._preparing import Prepare, PrepareManager
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import (
    DuplicatePreparedStatement,
    InvalidSqlStatementName,
    QueryCanceled,
    error_from_result,
)
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event

from models import failures

# For a server that vanished without a word, where TCP alone would wait for hours; of no meaning on
# a Unix socket. Only what has been sent is counted, not the time that a statement takes.
_TCP = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}

_PARAMETER = re.compile(r"\$(\d+)")


def connect_postgresql(
    url: URL, connect_seconds: int, limits: Mapping[str, int | None], **options: Any
) -> Engine:
    """Return an engine for a PostgreSQL database.

    `limits` are seconds by the names of the server's settings. What the URL itself says of these,
    or of the time to connect, goes first.
    """
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.host and "%" in url.host:  # a Unix socket's folder, as libpq writes it in a host
        url = url.set(host=unquote(url.host))
    engine = create_engine(url, connect_args={"autocommit": True}, **options)

    @event.listens_for(engine, "do_connect")
    def open_connection(_: object, __: object, arguments: Any, named: Any) -> Any:
        named = {"connect_timeout": connect_seconds, **_TCP, **named, "client_encoding": "utf8"}
        connection = PostgreSQLConnection.connect(*arguments, **named)
        _check_encoding(connection)
        said = str(named.get("options", ""))
        for name, seconds in limits.items():
            if seconds is not None and name not in said:
                # Not among the options of the connection: poolers refuse those.
                connection.execute(f"SET {name} = {seconds * 1000:d}")
        return connection

    @event.listens_for(engine, "handle_error")
    def drop_connection(context: ExceptionContext) -> None:
        if failures.ends_connection(context.original_exception):
            context.is_disconnect = True

    return engine


class _UnfitEncodingError(psycopg.OperationalError, failures.UnfitError):
    """What is stored there is bytes, or cannot be all that people write."""


def _check_encoding(connection: psycopg.Connection[Any]) -> None:
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    if encoding != "UTF8":
        connection.close()
        raise _UnfitEncodingError(f"the encoding of this database is {encoding}, and must be UTF8")


class _Prepared(PrepareManager):
    """Name what psycopg itself has the server prepare by what it is, as `fetch` does.

    `forget` is called when psycopg has the server forget all that was prepared, by anybody.
    """

    def __init__(self, forget: Callable[[], None]) -> None:
        super().__init__()
        self._forget = forget

    def clear(self) -> bool:
        """Have all forgotten, where psycopg has had something prepared; tell whether it has."""
        is_needed = super().clear()
        if is_needed:
            self._forget()
        return is_needed

    def get(self, query: Any, prepare: bool | None = None) -> tuple[Prepare, bytes]:
        """Tell whether a query is prepared, or shall be, and its name."""
        known, name = super().get(query, prepare)
        return known, _name_of(*self.key(query)) if name else name


def _name_of(sql: bytes, types: tuple[int, ...] = ()) -> bytes:
    """Return a name under which no server session can have another statement.

    Behind a pooler one connection may reach several, each with what others had it prepare. The name
    has at most 63 bytes, as PostgreSQL's have.
    """
    return b"roster_" + sha256(sql + repr(types).encode()).hexdigest()[:48].encode()


class PostgreSQLConnection(psycopg.Connection[Any]):
    """A PostgreSQL connection that asks the server nothing where nothing has begun."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._transformer: Any = Transformer(self)
        self._names: dict[str, bytes] = {}
        self._prepared = _Prepared(self._names.clear)

    def begin(self, *selects: tuple[str, Sequence[Any]]) -> list[Any]:
        """Begin a transaction, unless one has begun, and execute selects as its first statements.

        They are given as to `fetch`, and sent with the BEGIN in one message. What the last one
        finds is returned.
        """
        if self.in_transaction:
            return self._execute([self._written_out(*select) for select in selects])
        try:
            return self._execute(["BEGIN", *(self._named(*select) for select in selects)])
        except psycopg.Error as error:
            if not failures.is_stale(error):
                raise
            # Nothing is written yet: all of it may be done again.
            self.rollback()
            self._names.clear()
            return self._execute(["BEGIN", *(self._written_out(*select) for select in selects)])

    def _named(self, sql: str, values: Sequence[Any]) -> str:
        name = self._names.get(sql) or self._prepare(sql)
        return f"EXECUTE {name.decode()}({', '.join(self._literals(values))})"

    def _written_out(self, sql: str, values: Sequence[Any]) -> str:
        literals = self._literals(values)
        return _PARAMETER.sub(lambda found: literals[int(found[1]) - 1], sql)

    def _literals(self, values: Sequence[Any]) -> list[str]:
        return [self._transformer.as_literal(value).decode() for value in values]

    def commit(self) -> None:
        """Commit, where something has begun."""
        if self.in_transaction:
            self._execute(["COMMIT"])

    def _execute(self, statements: Sequence[str]) -> list[Any]:
        # psycopg's cursor, which can do much more, takes four times as long.
        if not statements:
            return []
        result = self.pgconn.exec_("; ".join(statements).encode())
        if result.status == ExecStatus.COMMAND_OK:
            return []
        if result.status != ExecStatus.TUPLES_OK:
            raise self._error(result)
        return self._rows(result)

    def rollback(self) -> None:
        """Roll back, where something has begun."""
        if self.in_transaction:
            super().rollback()

    def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Execute a select and return its rows; the parameters in its text are `$1`, `$2`.

        The server prepares it once; psycopg's cursors, which can do much more, take twice as long.
        """
        name = self._names.get(sql) or self._prepare(sql)
        result = self.pgconn.exec_prepared(name, self._parameters(values))
        if result.status == ExecStatus.COMMAND_OK:
            return []
        if result.status != ExecStatus.TUPLES_OK:
            error = self._error(result)
            if isinstance(error, InvalidSqlStatementName):
                self._names.clear()
            raise error
        return self._rows(result)

    # An insert is executed like a select, and may return rows as that does.
    write = fetch

    def _prepare(self, sql: str) -> bytes:
        name = _name_of(sql.encode())
        prepared = self.pgconn.prepare(name, sql.encode())
        if prepared.status != ExecStatus.COMMAND_OK:
            error = self._error(prepared)
            # It is there already: who had this session before has prepared the same.
            if not isinstance(error, DuplicatePreparedStatement) or self.in_transaction:
                raise error
        self._names[sql] = name
        return name

    def may_try_again(self, error: BaseException) -> bool:
        """Tell whether a select that failed may be executed once more, in SQLAlchemy's way.

        It would fail in a transaction that is lost, and what took too long would take as long.
        """
        is_lost = self.pgconn.transaction_status == TransactionStatus.INERROR
        return not is_lost and not isinstance(error, QueryCanceled)

    def _parameters(self, values: Sequence[Any]) -> Any:
        return self._transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))

    def _rows(self, result: PGresult) -> list[Any]:
        self._transformer.set_pgresult(result)
        rows: list[Any] = self._transformer.load_rows(0, result.ntuples, tuple)
        return rows

    def _error(self, result: PGresult) -> psycopg.Error:
        # What libpq itself says, where there is no server any more, has no code.
        if self.closed:
            return psycopg.OperationalError("the connection is lost")
        return error_from_result(result)

    @property
    def in_transaction(self) -> bool:
        """Whether something has begun, or nobody can tell."""
        return self.pgconn.transaction_status != TransactionStatus.IDLE

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

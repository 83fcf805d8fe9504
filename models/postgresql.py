"""How PostgreSQL is reached: through psycopg, which is asked for no more than is needed."""

from collections.abc import Sequence
from itertools import count
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError


def connect_postgresql(url: URL, **options: Any) -> Engine:
    """Return an engine for a PostgreSQL database."""
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.host and "%" in url.host:  # a Unix socket's folder, as libpq writes it in a host
        url = url.set(host=unquote(url.host))
    engine = create_engine(url, connect_args={"autocommit": True}, **options)

    @event.listens_for(engine, "do_connect")
    def open_connection(_: object, __: object, arguments: Any, named: Any) -> Any:
        return PostgreSQLConnection.connect(*arguments, **named)

    # SQLAlchemy's own check (`pool_pre_ping`) asks the server each time, which doubles the round
    # trips of a request that reads once.
    @event.listens_for(engine, "checkout")
    def check_alive(connection: PostgreSQLConnection, _: object, __: object) -> None:
        if not connection.is_alive():
            raise InvalidatePoolError

    return engine


class PostgreSQLConnection(psycopg.Connection[Any]):
    """A PostgreSQL connection that asks the server nothing where nothing has begun."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._transformer: Any = Transformer(self)
        self._names: dict[str, bytes] = {}
        self._numbers = count()

    def begin(self) -> None:
        """Begin a transaction, unless one has begun."""
        if not self.in_transaction:
            # psycopg's cursor, which can do much more, takes four times as long.
            result = self.pgconn.exec_(b"BEGIN")
            if result.status != ExecStatus.COMMAND_OK:
                raise self._error(result)

    def commit(self) -> None:
        """Commit, where something has begun."""
        if self.in_transaction:
            super().commit()

    def rollback(self) -> None:
        """Roll back, where something has begun."""
        if self.in_transaction:
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
                raise self._error(prepared)
            self._names[sql] = name
        result = self.pgconn.exec_prepared(name, self._parameters(values))
        if result.status != ExecStatus.TUPLES_OK:
            error = self._error(result)
            if isinstance(error, psycopg.errors.InvalidSqlStatementName):
                self._names.clear()
            raise error
        return self._rows(result)

    def write(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Execute an insert and return the rows that it returns; parameters as in `fetch`.

        It is not prepared: where the server has forgotten what was, or a migration has changed it,
        the transaction would be lost.
        """
        result = self.pgconn.exec_params(sql.encode(), self._parameters(values))
        if result.status == ExecStatus.COMMAND_OK:
            return []
        if result.status != ExecStatus.TUPLES_OK:
            raise self._error(result)
        return self._rows(result)

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

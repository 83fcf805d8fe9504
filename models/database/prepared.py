"""Prepared statements: compiled once by SQLAlchemy, then executed by the driver itself."""

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update

from models.database.connections import Question, begin

_Convert = Callable[[Any], Any]
Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete


class Prepared:
    """A select of columns, an insert, an update, or a delete.

    A select that locks rows is executed in the transaction that has begun.

    Its parameters have names; an insert has one for each column, with or without a default.
    SQLAlchemy compiles it and says how values are converted. What SQLAlchemy does besides for each
    execution (contexts, events, defaults, results of any kind) is left out: it takes several times
    as long as the driver. Errors of the driver are raised as SQLAlchemy's, which also decides
    whether the connection is still usable.
    """

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._writes = isinstance(statement, Insert | Update | Delete)
        self._forms: dict[str, _Form] = {}

    def first(self, connection: Connection, **values: Any) -> Any | None:
        """Return the first row, with the columns as attributes; None where there is none."""
        rows = self.all(connection, **values)
        return rows[0] if rows else None

    def question(self, connection: Connection, **values: Any) -> tuple[str, list[Any]]:
        """Return the select and its values for the driver, to be sent together with others."""
        form = self._form(connection)
        return form.sql, form.bind(values)

    def begin(
        self, connection: Connection, locks: Sequence[Question] = (), **values: Any
    ) -> list[Any]:
        """Begin the write transaction, unless it has begun, with a select; return its rows.

        On PostgreSQL the begin, the selects of `locks` and this one are sent in one message.
        """
        driver: Any = connection.connection.dbapi_connection
        if not driver.locks_rows:
            begin(connection)
            return self.all(connection, **values)
        found = begin(connection, [*locks, self.question(connection, **values)])
        return self._form(connection).read(found or ())

    def raw(self, connection: Connection, **values: Any) -> list[Any]:
        """Return all rows of a select as the driver gives them: no value is converted.

        It is for what is only compared: SQLite's 1 equals True.
        """
        form = self._form(connection)
        driver: Any = connection.connection.dbapi_connection
        try:
            found: list[Any] = driver.fetch(form.sql, form.bind(values))
        except form.error as error:
            return self._again(connection, values, error)
        return found

    def all(self, connection: Connection, **values: Any) -> list[Any]:
        """Return all rows, with the columns as attributes."""
        form = self._form(connection)
        driver: Any = connection.connection.dbapi_connection
        try:
            if self._writes:
                begin(connection)
                return form.read(driver.write(form.sql, form.bind(values)))
            return form.read(driver.fetch(form.sql, form.bind(values)))
        except form.error as error:
            return self._again(connection, values, error)

    def write_later(self, connection: Connection, **values: Any) -> None:
        """Execute a write that returns nothing, on PostgreSQL at the latest with the commit.

        There it is sent in one message with the commit, which then raises its errors. Its values
        stand in the text of that, which a server may log: let nothing wait that no log should have.
        """
        form = self._form(connection)
        driver: Any = connection.connection.dbapi_connection
        begin(connection)
        try:
            driver.write_later(form.sql, form.bind(values))
        except form.error as error:
            self._again(connection, values, error)

    def _again(
        self, connection: Connection, values: dict[str, Any], error: BaseException
    ) -> list[Any]:
        """Execute a failed select once more, by SQLAlchemy; else raise its form of the error."""
        driver: Any = connection.connection.dbapi_connection
        # No second try in a transaction: earlier statements are part of it.
        if self._writes or driver.in_transaction or not driver.may_try_again(error):
            sql = self._form(connection).sql
            connection._handle_dbapi_exception(error, sql, None, None, None)  # noqa: SLF001
        return list(connection.execute(self._statement, values))

    def _form(self, connection: Connection) -> "_Form":
        name = connection.dialect.name
        form = self._forms.get(name)
        if form is None:
            form = self._forms[name] = _Form(self._statement, connection.dialect)
        return form


def _row_class(names: Iterable[str]) -> Any:
    return namedtuple("Row", tuple(names))  # noqa: PYI024 (not known before)


class _Form:
    """A statement for one kind of database: its text, and how its values are converted."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        # The parameter style that the driver does not have to rewrite.
        paramstyle = "numeric_dollar" if dialect.name == "postgresql" else "qmark"
        kind: Any = type(dialect)
        compiled: Any = statement.compile(dialect=kind(paramstyle=paramstyle))
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise ValueError("A statement whose text depends on its values cannot be prepared.")
        self.sql: str = compiled.string
        self.error: type[Exception] = dialect.loaded_dbapi.Error
        self._order: list[str] = compiled.positiontup or []
        self._constants: dict[str, Any] = {}
        # A name that occurs twice is one parameter.
        into: dict[str, _Convert | None] = {}
        for parameter, name in compiled.bind_names.items():
            into[name] = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if not parameter.required:
                self._constants[name] = parameter.value
        self._into = [(name, convert) for name, convert in into.items() if convert]
        columns = list(statement.exported_columns)
        self._make: _Convert = _row_class(str(column.key) for column in columns)._make
        out_of = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        self._out_of = [(place, convert) for place, convert in enumerate(out_of) if convert]

    def bind(self, values: dict[str, Any]) -> list[Any]:
        """Return the values of the parameters for the driver, in their order."""
        bound = {**self._constants, **values}
        for name, convert in self._into:
            bound[name] = convert(bound[name])
        return [bound[name] for name in self._order]

    def read(self, found: Iterable[Any]) -> list[Any]:
        """Return the rows of the driver with converted values."""
        if not self._out_of:
            return list(map(self._make, found))
        rows = []
        for each in found:
            row = list(each)
            for place, convert in self._out_of:
                row[place] = convert(row[place])
            rows.append(self._make(row))
        return rows

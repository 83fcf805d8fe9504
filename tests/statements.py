"""What a server says to its database: every statement with its parameters, in order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from models.database import prepared


@contextmanager
def recorded(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Record the statements of an engine, and the prepared ones of any."""
    statements: list[tuple[str, Any]] = []
    bind = prepared._Form.bind

    def note(_: Any, __: Any, sql: str, parameters: Any, *___: Any) -> None:
        statements.append((sql, parameters))

    def note_prepared(form: prepared._Form, values: dict[str, Any]) -> Any:
        bound = bind(form, values)
        statements.append((form.sql, bound))
        return bound

    event.listen(engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prepared._Form, "bind", note_prepared)
            yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def after_reading(engine: Engine, table: str, action: Callable[[], None]) -> Iterator[None]:
    """Do something, once, as soon as a table has been read."""
    waiting = [action]

    def listen(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        if f"FROM {table}" in sql and waiting:
            waiting.pop()()

    real = prepared.Prepared.all

    def all_and_listen(statement: prepared.Prepared, connection: Any, **values: Any) -> list[Any]:
        found = real(statement, connection, **values)
        listen(connection, None, statement._form(connection).sql)
        return found

    event.listen(engine, "after_cursor_execute", listen)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prepared.Prepared, "all", all_and_listen)
            yield
    finally:
        event.remove(engine, "after_cursor_execute", listen)
    assert not waiting

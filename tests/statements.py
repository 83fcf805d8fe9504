"""What a server says to its database: every statement with its parameters, in order."""

from collections.abc import Iterator
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

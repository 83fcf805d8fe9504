"""Statements that PostgreSQL prepares: their names, and their texts with values in them."""

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from psycopg._preparing import Prepare, PrepareManager
from psycopg.abc import Transformer

_PARAMETER = re.compile(r"\$(\d+)")


class Preparing(PrepareManager):
    """Name the statements that psycopg itself prepares by their text, as `fetch` does.

    `forget` is called when psycopg lets the server forget all prepared statements.
    """

    def __init__(self, forget: Callable[[], None]) -> None:
        super().__init__()
        self._forget = forget

    def clear(self) -> bool:
        """Forget all prepared statements, if psycopg has prepared any; tell whether it has."""
        is_needed = super().clear()
        if is_needed:
            self._forget()
        return is_needed

    def get(self, query: Any, prepare: bool | None = None) -> tuple[Prepare, bytes]:
        """Tell whether a query is prepared, or will be, and its name."""
        known, name = super().get(query, prepare)
        return known, name_of(*self.key(query)) if name else name


def name_of(sql: bytes, types: tuple[int, ...] = ()) -> bytes:
    """Return a name under which no server session can have another statement.

    Behind a pooler one connection may reach several sessions, with statements that other
    connections prepared. The name has at most 63 bytes, PostgreSQL's limit.
    """
    return b"roster_" + sha256(sql + repr(types).encode()).hexdigest()[:48].encode()


def execution(transformer: Transformer, name: bytes, values: Sequence[Any]) -> str:
    """Write the execution of a prepared statement, as a part of a message with several."""
    given = f"({', '.join(_literals(transformer, values))})" if values else ""
    return f"EXECUTE {name.decode()}{given}"


def written_out(transformer: Transformer, sql: str, values: Sequence[Any]) -> str:
    """Write a statement with its values in the place of the parameters `$1`, `$2`."""
    literals = _literals(transformer, values)
    return _PARAMETER.sub(lambda found: literals[int(found[1]) - 1], sql)


def _literals(transformer: Transformer, values: Sequence[Any]) -> list[str]:
    return [transformer.as_literal(value).decode() for value in values]

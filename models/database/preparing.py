"""Names of the statements that PostgreSQL prepares."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from psycopg._preparing import Prepare, PrepareManager


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

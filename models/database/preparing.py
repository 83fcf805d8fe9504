"""What PostgreSQL is asked to prepare, and under which names."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from psycopg._preparing import Prepare, PrepareManager


class Preparing(PrepareManager):
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
        return known, name_of(*self.key(query)) if name else name


def name_of(sql: bytes, types: tuple[int, ...] = ()) -> bytes:
    """Return a name under which no server session can have another statement.

    Behind a pooler one connection may reach several, each with what others had it prepare. The name
    has at most 63 bytes, as PostgreSQL's have.
    """
    return b"roster_" + sha256(sql + repr(types).encode()).hexdigest()[:48].encode()

"""Writers at the same moment: who begins to write first, and what happens just before."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from threading import Condition
from typing import Any

import pytest
from sqlalchemy import Engine, event

from models.database import prepared
from models.database.postgresql import PostgreSQLConnection
from models.database.sqlite import SQLiteConnection
from roster.http.context import current

# The header that says whose a request is, to who meets it in one of the server's threads.
SIDE = "X-Side"
DEADLINE = 20.0  # seconds, after which a test fails that would wait for ever
_MAX_PAUSE = 0.002

_side: ContextVar[str | None] = ContextVar("side", default=None)


def side() -> str | None:
    """Return whose work the present thread does: that of a request, or of a writer beside it."""
    context = current.get(None)
    header = context and context.header(SIDE.lower().encode())
    return header or _side.get()


@contextmanager
def before_begin(action: Callable[[], None]) -> Iterator[None]:
    """Have something done, in its thread, whenever a write transaction is about to begin.

    It holds no lock yet, and all that was read before may have changed since.
    """

    def hooked(real: Callable[..., Any]) -> Callable[..., Any]:
        def begin(connection: Any, *selects: Any) -> Any:
            if not connection.in_transaction:
                action()
            return real(connection, *selects)

        return begin

    with pytest.MonkeyPatch.context() as patch:
        # The drivers' own method: whatever begins a transaction comes by there.
        patch.setattr(SQLiteConnection, "begin", hooked(SQLiteConnection.begin))
        patch.setattr(PostgreSQLConnection, "begin", hooked(PostgreSQLConnection.begin))
        yield


class Turns:
    """Let all read what they like before the first of them writes.

    Nobody begins a write transaction before each of the others is about to begin one too, or has
    ended without any. Then the one called `first` writes, and the others when it has ended; or
    all at once.
    """

    def __init__(self, number: int, first: str | None = None) -> None:
        self._number = number
        self._first = first
        self._arrived: set[str] = set()
        self._ended: set[str] = set()
        self._changed = Condition()

    def arrive(self) -> None:
        """Wait for one's turn, the first time that one is about to write."""
        mine = side()
        if mine is None or mine in self._arrived:
            return
        with self._changed:
            self._arrived.add(mine)
            self._changed.notify_all()
            self._wait(lambda: len(self._arrived | self._ended) == self._number)
            if self._first not in {None, mine}:
                self._wait(lambda: self._first in self._ended)

    def end(self, mine: str) -> None:
        """Have the others wait for this one no longer."""
        with self._changed:
            self._ended.add(mine)
            self._changed.notify_all()

    def _wait(self, is_so: Callable[[], bool]) -> None:
        assert self._changed.wait_for(is_so, DEADLINE), f"{side()} waits for ever"


@contextmanager
def pauses(engine: Engine, seed: str) -> Iterator[None]:
    """Have writers pause before each of their statements, for a random moment."""
    chance = random.Random(seed)

    def pause(*_: Any) -> None:
        if side() is not None:
            time.sleep(chance.random() * _MAX_PAUSE)

    bind = prepared._Form.bind

    def pause_and_bind(form: prepared._Form, values: dict[str, Any]) -> Any:
        pause()
        return bind(form, values)

    event.listen(engine, "before_cursor_execute", pause)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prepared._Form, "bind", pause_and_bind)
            yield
    finally:
        event.remove(engine, "before_cursor_execute", pause)


Writer = Callable[[], Any]


def side_by_side(writers: Mapping[str, Writer], turns: Turns | None = None) -> dict[str, Any]:
    """Let writers, each called by its side, run at the same moment; return what they return."""

    def run(name: str) -> Any:
        _side.set(name)
        try:
            return writers[name]()
        finally:
            _side.set(None)
            if turns:
                turns.end(name)

    hooked: AbstractContextManager[None] = before_begin(turns.arrive) if turns else nullcontext()
    with hooked, ThreadPoolExecutor(len(writers)) as threads:
        running = {name: threads.submit(run, name) for name in writers}
        return {name: each.result(3 * DEADLINE) for name, each in running.items()}

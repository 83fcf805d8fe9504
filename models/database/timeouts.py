"""Timeouts: how long a server is waited for that does not answer, and does not hang up either."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Protocol
from weakref import WeakSet

_BETWEEN_LOOKS = 1.0  # seconds


class Watched(Protocol):
    """A connection that somebody may be waiting on: since when, and for how long at most."""

    waits_since: float | None
    patience: float | None

    def hang_up(self) -> None:
        """End the connection, from another thread than the one that waits on it."""


class Watchdog:
    """Hang up on servers that have kept somebody waiting for too long.

    A driver that waits inside of C code cannot be told to wait less. One thread looks at all
    connections of this process, once a second.
    """

    def __init__(self) -> None:
        self._watched: WeakSet[Watched] = WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, connection: Watched) -> None:
        """Look at a connection as long as it lives."""
        with self._lock:
            self._watched.add(connection)
            # A process that was forked has the object, but not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()

    def look(self) -> None:
        """Hang up where that is due."""
        with self._lock:
            watched = list(self._watched)
        now = monotonic()
        for each in watched:
            since, patience = each.waits_since, each.patience
            if since is not None and patience is not None and now - since > patience:
                each.hang_up()

    def _run(self) -> None:
        while True:
            sleep(_BETWEEN_LOOKS)
            self.look()


class ConnectAttempts:
    """Let one at a time try to connect where the server did not answer the last one.

    Else all threads of a server would wait for it, again and again, and everybody else for them.
    """

    def __init__(self, timeout: type[Exception], refusal: type[Exception]) -> None:
        self._timeout = timeout
        self._refusal = refusal
        self._is_silent = False
        self._trying = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wrap an attempt to connect.

        :raises Exception: the `refusal`, at once, where somebody else is already trying.
        """
        if not self._is_silent:
            with self._noting():
                yield
            return
        if not self._trying.acquire(blocking=False):
            raise self._refusal("the server did not answer just now")
        try:
            with self._noting():
                yield
        finally:
            self._trying.release()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except self._timeout:
            self._is_silent = True
            raise
        except BaseException:
            self._is_silent = False  # it answers, if only by a refusal
            raise
        self._is_silent = False

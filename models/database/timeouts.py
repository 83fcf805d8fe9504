"""Timeouts for a server that neither answers nor closes the connection."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Protocol
from weakref import WeakSet

_BETWEEN_LOOKS = 1.0  # seconds
# For a server that disappeared without closing the connection, where TCP would wait for hours. They
# have no effect on a Unix socket, and do not limit the time of a statement.
TCP = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}


class Watched(Protocol):
    """A connection on which a thread may be waiting: since when, and for how long at most."""

    waits_since: float | None
    patience: float | None

    def hang_up(self) -> None:
        """Close the connection from another thread than the one that waits on it."""


class Watchdog:
    """Close connections on which a thread has waited for too long.

    A driver that waits in C code has no timeout. One thread checks all connections of this process
    once a second.
    """

    def __init__(self) -> None:
        self._watched: WeakSet[Watched] = WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, connection: Watched) -> None:
        """Check a connection as long as it exists."""
        with self._lock:
            self._watched.add(connection)
            # A forked process has the object, but not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()

    def look(self) -> None:
        """Close the connections whose time is over."""
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
    """Let one thread at a time connect after a server did not answer.

    Otherwise all threads would wait for that server again and again, and all requests for them.
    """

    def __init__(self, timeout: type[Exception], refusal: type[Exception]) -> None:
        self._timeout = timeout
        self._refusal = refusal
        self._is_silent = False
        self._trying = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wrap an attempt to connect.

        :raises Exception: the `refusal`, at once, if another thread is already trying.
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

"""Checkpoints: bring what is committed from SQLite's log into its file, while others write."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from threading import Lock
from typing import Any

_INTERVAL = 0.25  # seconds
_IDLE_ROUNDS = 20
# With more pages than this (32 MiB) writers have to wait until the log can begin anew.
_MOST_PAGES = 8192


class Checkpoints:
    """Make the checkpoints of one database in a thread that lives as long as something is written.

    SQLite itself makes them in some COMMITs, which take a hundred times as long then, and all
    other writers wait. `connect` opens a connection of the thread's own, and `turn` is the lock
    that writers take.
    """

    def __init__(self, connect: Callable[[], Any], turn: Lock) -> None:
        self._connect = connect
        self._turn = turn
        self._is_due = False
        self._thread: threading.Thread | None = None
        self._starting = Lock()
        self._end = threading.Event()

    def note_commit(self) -> None:
        """Have a checkpoint made before long."""
        self._is_due = True
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """End the thread, and with its connection, where that is the last one, the log."""
        thread = self._thread
        self._end.set()
        if thread is not None:
            thread.join()
        self._end.clear()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                # A process may end without it: the next one finds the log.
                self._thread = threading.Thread(
                    target=self._work, name="roster-checkpoints", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        try:
            with suppress(sqlite3.Error), closing(self._connect()) as connection:
                self._repeat(connection)
        finally:
            self._thread = None

    def _repeat(self, connection: Any) -> None:
        # Here the log is opened. Later it might be that of another file of the same name, and be
        # brought into this one.
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        idle = 0
        while idle < _IDLE_ROUNDS and connection.is_alive() and not self._end.wait(_INTERVAL):
            idle += 1
            if self._is_due:
                idle, self._is_due = 0, False
                if _checkpoint(connection) > _MOST_PAGES:
                    # It begins anew when a writer finds all of it in the file.
                    with self._turn:
                        _checkpoint(connection)


def _checkpoint(connection: Any) -> int:
    """Bring the log into the file, as far as nobody has to wait; return the log's pages."""
    with suppress(sqlite3.Error):  # another process may be about it, or the disk be full
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(pages)
    return 0

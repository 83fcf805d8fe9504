"""Checkpoints of a SQLite database: copy its write-ahead log to the file beside the requests."""

import logging
import sqlite3
from threading import Event, Thread
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

# A token takes some ten pages, and SQLite itself would begin after 1,000.
_COMMITS = 100
# So many pages may be in the log before writers have to wait until it is copied to its end, so that
# it begins anew: 16 MiB.
_MOST_PAGES = 4000
# The most that SQLite leaves to this thread: 80 MiB.
AUTOCHECKPOINT = 20_000

_PATIENCE = 1.0
_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"
_logger = logging.getLogger(__name__)


class Log:
    """The commits of all connections of an engine since the last checkpoint."""

    def __init__(self) -> None:
        self.is_watched = False
        self.is_long = Event()
        self._commits = 0

    def committed(self) -> None:
        """Count a commit. Some may get lost between threads, which does not matter."""
        self._commits += 1
        if self._commits >= _COMMITS:
            self._commits = 0
            self.is_long.set()


class Checkpoints:
    """Makes the checkpoints of an engine's database in a thread, from its start to its close.

    SQLite makes one within the commit that comes after 1,000 pages, and each writer waits for the
    disk meanwhile. On PostgreSQL there is nothing to do.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._log: Log | None = getattr(engine, "roster_log", None)
        self._is_closing = False
        self._has_failed = False
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin; connections that are opened from now on leave the checkpoints to this."""
        if self._log is not None:
            self._log.is_watched = True
            self._thread = Thread(target=self._work, name="roster-checkpoints", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End, after the checkpoint that is under way, unless the disk does not answer."""
        if self._log is not None and self._thread is not None:
            self._is_closing = True
            self._log.is_watched = False
            self._log.is_long.set()
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        log: Any = self._log
        while log.is_long.wait() and not self._is_closing:
            log.is_long.clear()
            try:
                self.make()
            except (SQLAlchemyError, sqlite3.Error) as error:
                # The next one may be better. Until then the log grows, and is read as well.
                if not self._has_failed:
                    reason = getattr(error, "orig", error)
                    _logger.warning("The log of the database cannot be copied: %s", reason)
                self._has_failed = True
            else:
                self._has_failed = False

    def make(self) -> None:
        """Copy the log as far as no reader needs it, and to its end where it has become long.

        :raises DBAPIError: where the database is gone.
        :raises sqlite3.Error: where the disk fails, or is full.
        """
        with self._engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            _, pages, _ = driver.execute(_PASSIVE).fetchone()
            if pages > _MOST_PAGES:
                # Little is left to be copied by now. The next writer begins the log anew.
                with driver.turn:
                    driver.execute(_PASSIVE).fetchone()

"""Checkpoints of a SQLite database: copy its write-ahead log to the file beside the requests."""

import logging
import sqlite3
from threading import Event, Thread
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

# A token takes some ten pages, and SQLite itself would begin after 1,000. Commits of many pages do
# not wait for others: after so many seconds there is a checkpoint, if there was a commit.
_COMMITS = 100
_SECONDS = 10.0
# After so many pages (4 MiB), as with SQLite itself, writers wait until the log is copied to its
# end, and begins anew. A reader may keep it longer, and so do other processes that write.
_MOST_PAGES = 1000
# Where the thread does not keep up (slow disk, busy machine), SQLite copies them within a commit:
# the log must not fill a disk on which the database has room.
_AUTOCHECKPOINT = 2 * _MOST_PAGES
# The file is cut to the size that it has then, where it has become longer.
WATCHED = (
    f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT}",
    f"PRAGMA journal_size_limit = {4096 * _AUTOCHECKPOINT}",
)

_PATIENCE = 1.0
_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"
_RESTART = "PRAGMA wal_checkpoint(RESTART)"
# For how many milliseconds writers of this process wait for one of another.
_BUSY_TIMEOUT = 20
_logger = logging.getLogger(__name__)


class Log:
    """The commits of all connections of an engine since the last checkpoint."""

    def __init__(self) -> None:
        self.is_watched = False
        self.is_long = Event()
        self.commits = 0

    def committed(self) -> None:
        """Count a commit. Some may get lost between threads, which does not matter."""
        self.commits += 1
        if self.commits >= _COMMITS:
            self.is_long.set()


class Checkpoints:
    """Make the checkpoints of an engine's database in a thread, from its start to its close.

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
            self._is_closing = False
            self._log.is_long.clear()
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
        while True:
            log.is_long.wait(_SECONDS)
            if self._is_closing:
                return
            if not log.commits:
                continue
            log.commits = 0
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
            _, pages, copied = driver.execute(_PASSIVE).fetchone()
            # Where a reader needs some of them, it would be in vain.
            if pages > _MOST_PAGES and copied == pages:
                # Little is left to be copied by now. The next writer begins the log anew.
                with driver.turn:
                    driver.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
                    try:
                        driver.execute(_RESTART).fetchone()
                    finally:
                        driver.execute("PRAGMA busy_timeout = 0")

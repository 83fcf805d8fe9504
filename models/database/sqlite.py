"""SQLite: connections in WAL mode, whose writers wait in a queue."""

import os
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from time import monotonic, sleep
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event

from models.database import failures
from models.database.checkpoints import WATCHED, Log

BUSY_TIMEOUT = 10.0  # seconds
_BETWEEN_TRIES = 0.002
# How long a reader may trust that the path still leads to the opened file. To look is a system
# call, at which another thread takes over; writers always look.
_TRUSTED = 0.05


def connect_sqlite(url: URL, **options: Any) -> Engine:
    """Return an engine for a SQLite file."""
    turn, log = Lock(), Log()
    path = str(url.database)
    engine = create_engine(
        url,
        connect_args={
            "factory": SQLiteConnection,
            "isolation_level": None,
            "timeout": BUSY_TIMEOUT,
        },
        **options,
    )

    was_there = False

    @event.listens_for(engine, "do_connect")
    def check_file(*_: object) -> None:
        # A deleted file must not be replaced by an empty one.
        if was_there and _identity(path) is None:
            raise sqlite3.OperationalError("the database file was deleted")
        _check_regular(path)

    @event.listens_for(engine, "connect")
    def prepare(connection: SQLiteConnection, _record: object) -> None:
        nonlocal was_there
        was_there = True
        connection.turn, connection.log = turn, log
        if _use_wal(connection):
            for pragma in WATCHED if log.is_watched else ():
                connection.execute(pragma)
            # In WAL mode readers do not wait, and `begin` waits by itself.
            connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        if not connection.is_alive():  # or its log might belong to another file
            raise ReplacedError

    engine.roster_log = log  # type: ignore[attr-defined]
    return engine


class _UnfitFileError(sqlite3.OperationalError, failures.UnfitError):
    """The path of the database leads to a device, a pipe or a folder."""


class ReplacedError(sqlite3.OperationalError):
    """The path of the database no longer leads to the opened file."""

    sqlstate = failures.REPLACED

    def __init__(self) -> None:
        super().__init__("the database file was replaced")


class SQLiteConnection(sqlite3.Connection):
    """A SQLite connection that waits for its turn to write.

    SQLite lets one connection write at a time, and the others retry at growing intervals. With a
    lock that the connections of one engine share, the threads wait in a queue instead.
    """

    turn: Lock
    log: Log
    has_turn = False
    locks_rows = False

    def __init__(self, path: str | os.PathLike[str], *arguments: Any, **options: Any) -> None:
        _create_private(path)
        self._path = os.path.realpath(path)
        self._file = _identity(self._path)
        self._looked = monotonic()
        super().__init__(path, *arguments, **options)

    def begin(self, *_: object) -> None:
        """Begin a write transaction, unless one has begun.

        The selects that lock rows are not executed: SQLite locks the whole file.
        """
        if self.in_transaction:
            return
        self._check_turn()
        if not self.turn.acquire(timeout=BUSY_TIMEOUT):
            raise sqlite3.OperationalError("database is locked")
        self.has_turn = True
        try:
            if not self.is_alive():
                raise ReplacedError
            self._begin_immediate()
        finally:
            self._pass_turn()

    def _begin_immediate(self) -> None:
        """Take the lock of the file, which another process may have; retry at short intervals.

        SQLite itself retries at intervals of up to 100 ms, in which other processes take the lock.
        """
        ends = None
        while True:
            try:
                self.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                ends = ends or monotonic() + BUSY_TIMEOUT
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > ends:
                    raise
                sleep(_BETWEEN_TRIES)
            else:
                return

    def commit(self) -> None:
        """Commit, and let the next thread write, whether that succeeds or not."""
        try:
            self._check_turn()
            if self.in_transaction:
                super().commit()
                self.log.committed()
        except BaseException:
            self.rollback()  # SQLAlchemy does not, because for it the transaction has ended
            raise
        self._pass_turn()

    def rollback(self) -> None:
        """Roll back, and let the next thread write."""
        if self.in_transaction:
            super().rollback()
        self._pass_turn()

    def close(self) -> None:
        """Close, which rolls back, and let the next thread write."""
        super().close()
        self._pass_turn(closed=True)

    def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Execute a select and return its rows; the parameters in its text are `?`."""
        return self.execute(sql, values).fetchall()

    # An insert is executed like a select, and returns rows too.
    write = write_later = fetch

    def write_now(self) -> None:
        """Do nothing: all is written when it is to be."""

    def may_try_again(self, _error: BaseException) -> bool:
        """Tell whether a failed select may be executed again, which changes nothing."""
        return True

    def is_alive(self) -> bool:
        """Tell whether the path still leads to the opened file."""
        self._looked = monotonic()
        return self._file == _identity(self._path)

    def was_alive(self) -> bool:
        """Tell whether the path led to the opened file a moment ago, which costs less."""
        return monotonic() - self._looked < _TRUSTED or self.is_alive()

    def _check_turn(self) -> None:
        """Raise an error if SQLite itself has rolled the transaction back.

        It does so if the disk is full or fails. Later statements must not be committed without the
        earlier ones.
        """
        if self.has_turn and not self.in_transaction:
            raise sqlite3.OperationalError("the transaction was rolled back")

    def _pass_turn(self, closed: bool = False) -> None:
        if self.has_turn and (closed or not self.in_transaction):
            self.has_turn = False
            self.turn.release()


def _identity(path: str) -> tuple[int, int] | None:
    """Return device and inode, which differ when a file is replaced; None if there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 (called by each request; Path takes twice as long)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_regular(path: str) -> None:
    """Refuse what is no regular file, of which SQLite would say that the disk fails."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (as above)
    except OSError:
        return  # it is made, or SQLite itself raises the error
    if not stat.S_ISREG(mode):
        raise _UnfitFileError("this is no regular file")


def _create_private(path: str | os.PathLike[str]) -> None:
    """Create a new file that only its owner can read; SQLite gives its own files the same mode.

    An existing file keeps its mode. If the file cannot be created, SQLite itself raises the error.
    """
    with suppress(OSError):
        file = os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            if hasattr(os, "fchmod"):  # an odd umask may have left less
                os.fchmod(file, 0o600)
        finally:
            os.close(file)


def _use_wal(connection: sqlite3.Connection) -> bool:
    """Switch the file to WAL mode; tell whether its file system allows that."""
    # SQLite does not wait here for others that open the same new file.
    ends = monotonic() + BUSY_TIMEOUT
    while True:
        try:
            [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError:
            if monotonic() > ends:
                raise
            sleep(0.01)
        else:
            return bool(mode == "wal")

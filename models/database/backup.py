"""Backups of a SQLite database: made while servers write, and put in place where none does."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from models.database import migrate

# Pages that are copied at once: some milliseconds' work.
_STEP = 1000
_BUSY_SECONDS = 10.0
# The files that SQLite keeps beside a database.
_BESIDE = ("-wal", "-shm", "-journal")
# The bytes of a file on which SQLite has its locks: each connection in WAL mode holds one.
# https://www.sqlite.org/src/file?name=src/os.h
_LOCKS = (0x40000000, 512)


class BackupError(Exception):
    """A backup cannot be made or restored; the text is one sentence that says why."""


def back_up(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Write a consistent copy of a database to a file, which appears when it is complete.

    Servers write to the database meanwhile. Whatever fails, the target is as it was.

    :raises BackupError: where the target is there already, or something fails.
    """
    if target.exists() and not overwrite:
        raise BackupError(f"{target} is there already; --overwrite replaces it")
    if source.exists() and target.exists() and source.samefile(target):
        raise BackupError("a database is no backup of itself")
    if target.exists() and not target.is_file():  # a device would be replaced by a file
        raise BackupError(f"{target} is no regular file")
    with _told(target), _copy(source, target) as copy:
        copy.replace(target)
        _sync(target.parent)


def restore(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Put a backup in the place of a database that nobody has open.

    :raises BackupError: where the backup is none of Roster's, or is damaged; where the target is
        there already or is in use; or where something fails.
    """
    if target.exists() and not overwrite:
        raise BackupError(f"{target} is there already; --overwrite replaces it")
    if source.exists() and target.exists() and source.samefile(target):
        raise BackupError("a database is no backup of itself")
    with _told(target), _copy(source, target) as copy, _nobody_using(target):
        if target.exists():
            _give_to_owner_of(target, copy)
        # A log of the old file would be read as one of the new file.
        for suffix in _BESIDE:
            _beside(target, suffix).unlink(missing_ok=True)
        copy.replace(target)
        _sync(target.parent)


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Turn failures of the system and of SQLite into a sentence."""
    try:
        yield
    except sqlite3.Error as error:
        name = error.sqlite_errorname if hasattr(error, "sqlite_errorname") else ""
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            raise BackupError(f"{target}: the disk has no room left, or fails") from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise BackupError(f"{target}: a database is locked; try again later") from error
        raise BackupError(f"{target}: {error}") from error
    except OSError as error:
        raise BackupError(f"{target}: {error.strerror}") from error


@contextmanager
def _copy(source: Path, target: Path) -> Iterator[Path]:
    """Yield a checked copy of a database beside the target; remove it at the end, if it is left."""
    number, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".new", dir=target.parent)
    os.close(number)  # its mode is 0600
    copy = Path(name)
    try:
        _write(source, copy)
        _sync(copy)
        yield copy
    finally:
        for each in (copy, *(_beside(copy, suffix) for suffix in _BESIDE)):
            with suppress(OSError):
                each.unlink(missing_ok=True)


def _write(source: Path, copy: Path) -> None:
    with closing(_opened(source)) as read, closing(_opened(copy)) as written:
        try:
            is_wal = read.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
                raise BackupError(f"{source} is no database of SQLite") from None
            raise
        if is_wal:
            # One snapshot: without it each commit of a server would start the copy anew. In WAL
            # mode it holds up nobody; in others a lock between the steps would.
            read.execute("BEGIN")
            read.execute("SELECT count(*) FROM sqlite_master").fetchone()
        read.backup(written, pages=_STEP, sleep=0.01)
        written.execute("PRAGMA journal_mode = DELETE")  # the copy is one file
        _check(written, source)


def _opened(path: Path) -> sqlite3.Connection:
    """Open a database that is there."""
    if not path.is_file():
        raise BackupError(f"{path}: there is no such file")
    uri = f"{path.absolute().as_uri()}?mode=rw"
    if not os.access(path, os.W_OK):
        uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)


def _check(copy: sqlite3.Connection, source: Path) -> None:
    """Refuse a copy of what is damaged, or is no database of this version or an older one.

    :raises BackupError: with what is wrong with the source.
    """
    try:
        found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError:
        found = "damaged"
    if found != "ok":
        raise BackupError(f"{source} is damaged")
    try:
        revisions = copy.execute("SELECT version_num FROM alembic_version").fetchall()
        copy.execute("SELECT id, username_key FROM users LIMIT 0")
    except sqlite3.OperationalError:
        raise BackupError(f"{source} is no database of Roster") from None
    if len(revisions) != 1 or not migrate.is_known(revisions[0][0]):
        raise BackupError(f"{source} is a database of a newer Roster, or of another program")


@contextmanager
def _nobody_using(target: Path) -> Iterator[None]:
    """Keep a database from being opened until the end of the block.

    :raises BackupError: where somebody has it open, though at rest.
    """
    if not target.exists():
        yield
        return
    with closing(_opened(target)) as connection:
        try:
            # To leave WAL mode one must be the only one who has the file open. It also writes the
            # log into the file, so that no log is left.
            connection.execute("PRAGMA busy_timeout = 0")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", "")
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise BackupError(f"{target} is in use; stop the server first") from None
            # Damaged, perhaps: that is why it is to be replaced.
            connection.close()
            with _locked(target):
                yield
            return
        try:
            yield
        finally:
            # The file that is locked may have no name any more.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Take the locks of a file as SQLite would, which cannot read it.

    :raises BackupError: where another process has one of them.
    """
    try:
        import fcntl  # noqa: PLC0415 (not everywhere)
    except ImportError:
        yield
        return
    start, length = _LOCKS
    with target.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except OSError:
            raise BackupError(f"{target} is in use; stop the server first") from None
        yield


def _give_to_owner_of(target: Path, copy: Path) -> None:
    """Let root restore a file that the server's user owns."""
    found = target.stat()
    if hasattr(os, "chown") and found.st_uid != copy.stat().st_uid:
        with suppress(PermissionError):
            os.chown(copy, found.st_uid, found.st_gid)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

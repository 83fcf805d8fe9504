"""Mistakes: one line for what an operator or a developer does wrong, which names the place."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
from alembic.util import CommandError
from sqlalchemy import exc

from models.database import failures
from models.errors import DomainError
from roster.contract.errors import DefinitionError
from roster.settings import SettingsError

_TAKEN = "something of this name is there already; is this another program's database?"
_LOCKED = "the database is locked, or does not answer in time; try again later"
_FULL = "the database has no room left"
_NOT_MIGRATED = "the database is not migrated; run `roster db upgrade`"
# By the beginning of their SQLSTATE (PostgreSQL's documentation, appendix A): the longest first.
_OF_POSTGRESQL = {
    "42501": "this role may not do that; make it the owner of the database and its tables",
    "42P01": _NOT_MIGRATED,
    "42703": _NOT_MIGRATED,
    "42P07": _TAKEN,
    "42710": _TAKEN,
    "42701": _TAKEN,
    "3F000": "there is no schema in which to make tables; look at the role's search_path",
    "25006": "this database can only be read, as a standby can",
    "53100": _FULL,
    "53300": "the server has no connection left",
    "55P03": _LOCKED,
    "57014": _LOCKED,
    "57P03": "the server is starting, or stopping; try again later",
    "28P01": "the server does not let this user in: the user, or the password, is wrong",
    "3D": "there is no such database",
    "28": "the server does not let this user in; is there such a role, and may it log in?",
    failures.UNPROVEN: "the server asks for a password, and there is none",
    failures.SILENT: "the server does not answer in time",
    failures.NOBODY_THERE: "nobody answers there; does PostgreSQL run, on this host and port?",
    failures.UNKNOWN_HOST: "there is no host of this name",
}
# By the beginning of SQLite's names.
_OF_SQLITE = {
    "SQLITE_READONLY": "the file, or its folder, cannot be written",
    "SQLITE_CANTOPEN": "the file cannot be opened or made; is its folder there, and writable?",
    "SQLITE_NOTADB": "this file is no database of SQLite",
    "SQLITE_CORRUPT": "this file is damaged, or no database of SQLite",
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": "the disk fails, or has no room left",
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_PERM": "this user may not use the file",
    "SQLITE_AUTH": "this user may not use the file",
}
_UNREACHABLE = "the database cannot be reached, is not migrated, or is locked"
_OF_FILES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn an operator's mistake into the end of the program, with one line.

    :raises SystemExit: for a mistake; an error of the program itself is raised as it is.
    """
    try:
        yield
    except click.Abort:
        raise SystemExit("roster: stopped") from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        if isinstance(error, OSError):
            _print_no_more()
        if isinstance(error, BrokenPipeError):  # who reads what is printed has seen enough
            raise SystemExit(1) from None
        line = line_of(error)
        if line is None:
            raise
        raise SystemExit(f"roster: {line}") from None


def _print_no_more() -> None:
    """Leave out what could not be printed, which Python would try once more at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def line_of(error: Exception) -> str | None:
    """Return what to tell an operator; None for an error of the program itself."""
    if isinstance(error, SettingsError | DefinitionError):
        return str(error)
    if isinstance(error, DomainError):
        reasons = " ".join(sentence for _, sentence in error.errors)
        return reasons or error.detail
    if isinstance(error, CommandError):
        said = " ".join(str(error).split())
        return "there is no such revision" if said.startswith("Can't locate") else said
    if isinstance(error, exc.DBAPIError | exc.TimeoutError):
        sentence = _of_database(error)
        return sentence and f"DATABASE_URL: {sentence}"
    if isinstance(error, OSError) and error.errno in _OF_FILES:
        return f"a file cannot be written: {error.strerror}"
    return None


def _of_database(error: exc.SQLAlchemyError) -> str | None:
    original = getattr(error, "orig", None)
    if isinstance(original, failures.UnfitError):
        return str(original)
    for found, sentences in (
        (failures.state_of(error) or failures.refusal_of(error), _OF_POSTGRESQL),
        (failures.name_of(error), _OF_SQLITE),
    ):
        for beginning, sentence in sentences.items():
            if found.startswith(beginning):
                return sentence
    if "already exists" in str(original):  # SQLite has no name for it
        return _TAKEN
    if "no such table" in str(original) or "no such column" in str(original):
        return _NOT_MIGRATED
    if type(error) is exc.DatabaseError or failures.is_passing(error):
        return _UNREACHABLE
    return None

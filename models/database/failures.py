"""Failures: what a database error says about the server, the connection and the tables.

They are distinguished by SQLSTATE (PostgreSQL's documentation, appendix A). SQLite's errors have
none.
"""

import errno
import os
import re

from sqlalchemy import exc

# The server cannot write, or is shutting down: another one may have taken its place.
_READ_ONLY = "25006"
_ELSEWHERE = (_READ_ONLY, "57P", "08")
# Prepared statements are forgotten, or belong to another session (behind a pooler).
_FORGOTTEN = ("26000", "42P05", "08P01")
# Tables or columns are missing: this needs a migration, and does not pass.
_UNMIGRATED = ("42P01", "42703")
# No server's: another file has taken the place of the one that SQLite has open.
REPLACED = "RO000"
# No server's either: why a connection was not made.
UNKNOWN_HOST = "RO001"
NOBODY_THERE = "RO002"
SILENT = "RO003"
UNPROVEN = "RO004"  # the server asks for a password, and there is none
_UNMIGRATED_ON_SQLITE = ("no such table", "no such column", "has no column named")
# A privilege is missing.
_FORBIDDEN = "42501"
# No disk space, memory or connection is free; a timeout; a disk error.
_NOT_NOW = ("53", "54", "55P03", "57", "58", "40", "25P03", "25P04")
# The system's reasons, in its own language.
_NOBODY = "|".join(
    re.escape(os.strerror(each))
    for each in (errno.ECONNREFUSED, errno.ENOENT, errno.EHOSTUNREACH, errno.ENETUNREACH)
)
# What of several hosts' reasons needs an operator most comes first.
_REFUSALS = tuple(
    (state, re.compile(said))
    for state, said in (
        ("28P01", "(password|SASL) authentication failed"),
        ("28000", 'role ".*" (does not exist|is not permitted to log in)'),
        ("28000", "no pg_hba.conf entry for|pg_hba.conf rejects|authentication failed for user"),
        ("3D000", 'database ".*" does not exist|no such database'),
        ("53300", "too many (clients|connections)|remaining connection slots are reserved"),
        ("57P03", "the database system is "),
        (SILENT, f"connection timeout expired|{re.escape(os.strerror(errno.ETIMEDOUT))}"),
        (NOBODY_THERE, f" failed: ({_NOBODY})"),
        (UNKNOWN_HOST, "failed to resolve host"),
    )
)


class UnfitError(Exception):
    """The database cannot be used; the text says why."""


def state_of(error: BaseException | None) -> str:
    """Return the SQLSTATE of a driver's error, or of SQLAlchemy's around it; "" if it has none."""
    if isinstance(error, exc.DBAPIError):
        error = error.orig
    return getattr(error, "sqlstate", None) or ""


def refusal_of(error: BaseException | None) -> str:
    """Return why a connection was not made, as a SQLSTATE or one of those above; "" if unknown.

    The driver keeps no SQLSTATE of it, only texts: its own, the system's, and the server's, which
    are recognized where they are English or PgBouncer's.
    """
    if isinstance(error, exc.DBAPIError):
        error = error.orig
    if getattr(getattr(error, "pgconn", None), "needs_password", False):
        return UNPROVEN
    return next((state for state, said in _REFUSALS if said.search(str(error))), "")


def name_of(error: BaseException | None) -> str:
    """Return SQLite's name of an error, such as SQLITE_FULL; "" if it has none."""
    if isinstance(error, exc.DBAPIError):
        error = error.orig
    return getattr(error, "sqlite_errorname", None) or ""


def is_stale(error: BaseException | None) -> bool:
    """Tell whether a statement failed because of its connection: on another one it may succeed.

    Its prepared statements are lost, its server is read-only, or its file was replaced. Nothing was
    written.
    """
    state = state_of(error)
    if state == "0A000":  # feature_not_supported, which has other causes too
        return "cached plan must not change result type" in str(error)
    return state in _FORGOTTEN or state in {_READ_ONLY, REPLACED}


def ends_connection(error: BaseException | None) -> bool:
    """Tell whether the connection is open but no longer usable."""
    return is_stale(error) or state_of(error).startswith(_ELSEWHERE)


def is_unmigrated(error: BaseException | None) -> bool:
    """Tell whether a table or a column is missing, which a migration would have created."""
    if not isinstance(error, exc.DBAPIError):
        return False
    text = str(error.orig)
    is_named = name_of(error) == "SQLITE_ERROR" and any(
        said in text for said in _UNMIGRATED_ON_SQLITE
    )
    return is_named or state_of(error) in _UNMIGRATED


def is_forbidden(error: BaseException | None) -> bool:
    """Tell whether the database's role lacks a privilege."""
    return state_of(error) == _FORBIDDEN


def is_passing(error: BaseException) -> bool:
    """Tell whether the database may answer later, or on another server."""
    if is_unmigrated(error):
        return False
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError):
        return True
    return ends_connection(error) or state_of(error).startswith(_NOT_NOW)

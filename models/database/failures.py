"""Failures: what an error of the database tells about its server, its connection, and the tables.

They are told apart by SQLSTATE (PostgreSQL's documentation, appendix A). SQLite's errors have none.
"""

from sqlalchemy import exc

# The server that is asked cannot write, or is about to end: another one may be in its place.
_READ_ONLY = "25006"
_ELSEWHERE = (_READ_ONLY, "57P", "08")
# What the connection had prepared is forgotten, or is another session's (a pooler is in between).
_FORGOTTEN = ("26000", "42P05", "08P01")
# Tables or columns are missing: no waiting helps, but a migration.
_UNMIGRATED = ("42P01", "42703")
_UNMIGRATED_ON_SQLITE = ("no such table", "no such column", "has no column named")
# The right to use a table is missing.
_FORBIDDEN = "42501"
# No room, no memory, no connection free; a wait that took too long; an error of the disk.
_NOT_NOW = ("53", "54", "55P03", "57", "58", "40", "25P03", "25P04")


class UnfitError(Exception):
    """The database is not one that can be used; the text says why."""


def state_of(error: BaseException | None) -> str:
    """Return the SQLSTATE of a driver's error, or of SQLAlchemy's around it; "" where none is."""
    if isinstance(error, exc.DBAPIError):
        error = error.orig
    return getattr(error, "sqlstate", None) or ""


def name_of(error: BaseException | None) -> str:
    """Return SQLite's name of an error, such as SQLITE_FULL; "" where it has none."""
    if isinstance(error, exc.DBAPIError):
        error = error.orig
    return getattr(error, "sqlite_errorname", None) or ""


def is_stale(error: BaseException | None) -> bool:
    """Tell whether a statement failed for its connection's sake: on another it may succeed.

    What the server had prepared there is gone, or the server only reads. Nothing was written.
    """
    state = state_of(error)
    if state == "0A000":  # feature_not_supported, which says much else too
        return "cached plan must not change result type" in str(error)
    return state in _FORGOTTEN or state == _READ_ONLY


def ends_connection(error: BaseException | None) -> bool:
    """Tell whether the connection is of no more use, though it is still there."""
    return is_stale(error) or state_of(error).startswith(_ELSEWHERE)


def is_unmigrated(error: BaseException | None) -> bool:
    """Tell whether a table or a column is missing, which a migration would have made."""
    if not isinstance(error, exc.DBAPIError):
        return False
    text = str(error.orig)
    is_named = name_of(error) == "SQLITE_ERROR" and any(
        said in text for said in _UNMIGRATED_ON_SQLITE
    )
    return is_named or state_of(error) in _UNMIGRATED


def is_forbidden(error: BaseException | None) -> bool:
    """Tell whether the database's role lacks the right to do what was asked."""
    return state_of(error) == _FORBIDDEN


def is_passing(error: BaseException) -> bool:
    """Tell whether the database cannot answer just now, but may later, or by another server."""
    if is_unmigrated(error):
        return False
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError):
        return True
    return ends_connection(error) or state_of(error).startswith(_NOT_NOW)

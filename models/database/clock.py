"""The clock: how far that of this host is from the database's."""

from datetime import timedelta

from sqlalchemy import Connection, func, select

from models.database.base import now


def clocks_differ(connection: Connection, by: timedelta) -> bool:
    """Tell whether the clocks differ by more than that; SQLite has the clock of its host."""
    if connection.dialect.name != "postgresql":
        return False
    before = now()
    theirs = connection.scalar(select(func.clock_timestamp()))
    return theirs is not None and not before - by < theirs < now() + by

"""The encoding of a PostgreSQL database, which has to store all of Unicode."""

import psycopg

from models.database import failures


class _UnfitEncodingError(psycopg.OperationalError, failures.UnfitError):
    """The database's encoding does not store all of Unicode."""


def check_encoding(connection: "psycopg.Connection[object]") -> None:
    """Raise an error unless the database of a connection stores text as UTF-8."""
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    if encoding != "UTF8":
        raise _UnfitEncodingError(f"the encoding of this database is {encoding}, and must be UTF8")

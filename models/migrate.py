"""How a database gets its tables, and how to tell whether it has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from models.database import begin_alone, connect
from models.errors import NotReady

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Engine | str, revision: str = "head") -> None:
    """Bring a database, given by engine or URL, up to a revision."""
    with _connection(database) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(database: Engine | str, revision: str) -> None:
    """Bring a database, given by engine or URL, down to a revision: `base` is an empty one."""
    with _connection(database) as connection:
        command.downgrade(_config(connection), revision)


def current(database: Engine | str) -> str | None:
    """Return the revision of a database, given by engine or URL; None for an empty one."""
    with _connection(database, writes=False) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_current(engine: Engine) -> bool:
    """Tell whether a database has the newest revision."""
    return current(engine) == _head()


def check_current(engine: Engine) -> None:
    """Raise NotReady unless a database has the newest revision."""
    if not is_current(engine):
        raise NotReady("The database is not migrated to the newest revision.")


@cache
def _head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _connection(database: Engine | str, writes: bool = True) -> Iterator[Connection]:
    engine = connect(database) if isinstance(database, str) else database
    try:
        with engine.begin() as connection:
            if writes:
                begin_alone(connection)  # several servers may start at once
            yield connection
    finally:
        if engine is not database:
            engine.dispose()

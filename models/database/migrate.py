"""How a database gets its tables, and how to tell whether it has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from models.database.connections import begin_alone, connect
from models.errors import NotReady

MIGRATIONS = Path(__file__).parent / "migrations"
_NEWER = "The database is newer than this Roster, which cannot migrate it. A newer Roster can."
NEWEST = "head"


def upgrade(database: Engine | str, revision: str = NEWEST) -> None:
    """Bring a database, given by engine or URL, up to a revision.

    One that a newer version has migrated stays as it is.

    :raises NotReady: where it does, though a certain revision was asked for.
    """
    with _connection(database) as connection:
        if _is_newer(connection):
            if revision != NEWEST:
                raise NotReady(_NEWER)
            return
        command.upgrade(_config(connection), revision)


def downgrade(database: Engine | str, revision: str) -> None:
    """Bring a database, given by engine or URL, down to a revision: `base` is an empty one.

    :raises NotReady: where only a newer version can do that.
    """
    with _connection(database) as connection:
        if _is_newer(connection):
            raise NotReady(_NEWER)
        command.downgrade(_config(connection), revision)


def current(database: Engine | str) -> str | None:
    """Return the revision of a database, given by engine or URL; None for an empty one."""
    with _connection(database, writes=False) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_newer(database: Engine | str) -> bool:
    """Tell whether a newer version of this program has migrated a database."""
    with _connection(database, writes=False) as connection:
        return _is_newer(connection)


def is_current(engine: Engine) -> bool:
    """Tell whether a database has what this version needs: its newest revision, or a newer one.

    So the servers of the old version go on while a newer one is brought in, or taken back.
    """
    revision = current(engine)
    return revision == _head() or _is_unknown(revision)


def check_current(engine: Engine) -> None:
    """Raise NotReady unless a database can be written and has the newest revision, or a newer."""
    check_writable(engine)
    if not is_current(engine):
        raise NotReady("The database is not migrated to the newest revision.")


def _is_newer(connection: Connection) -> bool:
    return _is_unknown(MigrationContext.configure(connection).get_current_revision())


def _is_unknown(revision: str | None) -> bool:
    return revision is not None and revision not in _revisions()


@cache
def _revisions() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(_config())
    return frozenset(each.revision for each in scripts.walk_revisions())


def check_writable(engine: Engine) -> None:
    """Raise NotReady where a database of PostgreSQL can only be read, as a standby can."""
    if engine.dialect.name != "postgresql":
        return
    for _ in range(2):
        with engine.connect() as connection:
            if connection.scalar(text("SHOW transaction_read_only")) == "off":
                return
            connection.invalidate()  # another one may lead to the server that took its place
    raise NotReady("The database can only be read.")


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

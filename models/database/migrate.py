"""Migrations: giving a database its tables, and telling whether it has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, exc, false, inspect, select, text
from sqlalchemy.pool import StaticPool

from models.database import failures
from models.database.base import Base
from models.database.connections import begin_alone, connect
from models.errors import NotReady

MIGRATIONS = Path(__file__).parent / "migrations"
_NEWER = "The database is newer than this Roster, which cannot migrate it. A newer Roster can."
NEWEST = "head"
_INCOMPLETE = "A migration is missing: the database lacks a table or a column of this version."
_UNREADABLE = "The database's role lacks the right to read a table."
_DIFFERENCES = {
    "add": "no migration creates this {}",
    "remove": "the migrations create this {}, and no class has it",
    "modify": "the migrations create this {} otherwise than its class has it",
}


def upgrade(database: Engine | str, revision: str = NEWEST) -> None:
    """Bring a database, given by engine or URL, up to a revision.

    A database that a newer version has migrated is left unchanged.

    :raises NotReady: for such a database, if a certain revision was asked for.
    """
    with _connection(database) as connection:
        if _is_newer(connection):
            if revision != NEWEST:
                raise NotReady(_NEWER)
            return
        command.upgrade(_config(connection), revision)


def downgrade(database: Engine | str, revision: str) -> None:
    """Bring a database, given by engine or URL, down to a revision: `base` is an empty one.

    :raises NotReady: if only a newer version can do that.
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
    """Tell whether a database has the newest revision of this version, or a newer one.

    So servers of the old version keep running while a newer version is deployed or rolled back.
    """
    revision = current(engine)
    return revision == head() or _is_unknown(revision)


def check_current(engine: Engine) -> None:
    """Raise NotReady unless a database can be written and has the tables of this version.

    These have the newest revision, or a newer one, and every column of the mapped classes.
    """
    check_writable(engine)
    if not is_current(engine):
        raise NotReady("The database is not migrated to the newest revision.")
    try:
        with engine.connect() as connection:
            for table in Base.metadata.sorted_tables:
                connection.execute(select(table).where(false()))
    except exc.DBAPIError as error:
        if failures.is_unmigrated(error):
            raise NotReady(_INCOMPLETE) from error
        if failures.is_forbidden(error):
            raise NotReady(_UNREADABLE) from error
        raise


def lacking(engine: Engine) -> list[str]:
    """Name each table and column of the mapped classes that a database does not have."""
    with engine.connect() as connection:
        found = inspect(connection).get_multi_columns()
    columns = {table: {each["name"] for each in each_of} for (_, table), each_of in found.items()}
    sentences = []
    for table in Base.metadata.sorted_tables:
        if table.name not in columns:
            sentences.append(f"{table.name}: no migration creates this table")
            continue
        sentences += [
            f"{table.name}.{column.name}: no migration creates this column"
            for column in table.columns
            if column.name not in columns[table.name]
        ]
    return sentences


def differences() -> list[str]:
    """Say in what the tables that the migrations create differ from the mapped classes.

    Their newest revision is made in memory, by SQLite.
    """
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            command.upgrade(_config(connection), NEWEST)
            context = MigrationContext.configure(connection, opts={"compare_server_default": True})
            found = compare_metadata(context, Base.metadata)
    finally:
        engine.dispose()
    # What differs in one column is one list.
    return [_difference(*(each[0] if isinstance(each, list) else each)) for each in found]


def _difference(kind: str, *about: Any) -> str:
    """Describe one of Alembic's differences: what would have to be done to the tables, and to what.

    https://alembic.sqlalchemy.org/en/latest/api/autogenerate.html
    """
    action, _, what = kind.partition("_")
    if what == "table":
        name = about[0].name
    elif what == "column":
        name = f"{about[1]}.{about[2].name}"
    elif action == "modify":
        name, what = f"{about[1]}.{about[2]}", "column"
    else:
        table = about[0].table.name
        name, what = f"{table}: {about[0].name or ''}".rstrip(": "), what.replace("fk", "key")
    return f"{name}: {_DIFFERENCES[action].format(what)}"


def _is_newer(connection: Connection) -> bool:
    return _is_unknown(MigrationContext.configure(connection).get_current_revision())


def _is_unknown(revision: str | None) -> bool:
    return revision is not None and revision not in _revisions()


def is_known(revision: str) -> bool:
    """Tell whether a revision is one of this version's migrations."""
    return revision in _revisions()


@cache
def _revisions() -> frozenset[str]:
    scripts = ScriptDirectory.from_config(_config())
    return frozenset(each.revision for each in scripts.walk_revisions())


def check_writable(engine: Engine) -> None:
    """Raise NotReady if a PostgreSQL database is read-only, as a standby is."""
    if engine.dialect.name != "postgresql":
        return
    for _ in range(2):
        with engine.connect() as connection:
            if connection.scalar(text("SHOW transaction_read_only")) == "off":
                return
            connection.invalidate()  # a new connection may reach the server that took its place
    raise NotReady("The database can only be read.")


@cache
def head() -> str | None:
    """Return the newest revision of this version."""
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

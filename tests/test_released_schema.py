"""Servers of a released version on the newest schema: what they read and write is still there."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, MetaData, Table, delete, insert, inspect, select, update

from models.database import migrate
from models.database.connections import connect
from models.database.expanding import contractions
from tests.released_schema import FOLDER

RELEASES = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}
pytestmark = pytest.mark.parametrize("release", RELEASES)


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    engine = connect(migrated_url)
    yield engine
    engine.dispose()


def value_of(column: dict[str, Any], number: int) -> Any:
    if column["refers_to"]:
        return 1
    kind = column["type"]
    if kind.startswith("TIMESTAMP"):
        return datetime(2026, 1, 1, tzinfo=UTC)
    if kind == "BOOLEAN":
        return True
    if kind == "BYTEA":
        return bytes([number]) * 32
    return 1 if "INT" in kind else f"x{number}"[:7]


def tables(connection: Connection, release: str) -> Iterator[tuple[Table, dict[str, Any]]]:
    """Yield the tables as they are now, and a row of what the release knows of them."""
    found = MetaData()
    found.reflect(connection)
    for number, (name, columns) in enumerate(RELEASES[release].items()):
        row = {key: value_of(column, number) for key, column in columns.items()}
        yield found.tables[name], row


def test_what_a_release_knows_is_there(engine: Engine, release: str) -> None:
    inspector = inspect(engine)
    for table, columns in RELEASES[release].items():
        now = {each["name"]: each for each in inspector.get_columns(table)}
        assert columns.keys() <= now.keys()
        for name, column in columns.items():
            assert now[name]["nullable"] or not column["nullable"], f"{table}.{name}"
        for name in now.keys() - columns.keys():
            assert now[name]["nullable"] or now[name]["default"], f"{table}.{name}"


def test_a_release_inserts_reads_changes_and_deletes(engine: Engine, release: str) -> None:
    with engine.connect() as connection:
        rows = [*tables(connection, release)]
        for table, row in rows:
            connection.execute(insert(table).values(row))
        for table, row in rows:
            columns = [table.c[name] for name in row]
            assert len(connection.execute(select(*columns)).all()) == 1
            connection.execute(update(table).values(row))
        for table, _ in reversed(rows):
            connection.execute(delete(table))
        connection.commit()


def test_no_new_table_keeps_a_release_from_deleting(engine: Engine, release: str) -> None:
    inspector = inspect(engine)
    for table in {*inspector.get_table_names()} - RELEASES[release].keys():
        for key in inspector.get_foreign_keys(table):
            assert key["options"].get("ondelete") in {"CASCADE", "SET NULL"}, table


def test_no_migration_contracts_without_a_reason(release: str) -> None:
    assert [*contractions(migrate.MIGRATIONS)] == []


STEPS = {
    'op.drop_table("users")': "drops a table",
    'op.drop_column("users", "email")': "drops a column",
    'op.rename_table("users", "people")': "renames a table",
    'op.alter_column("users", "email", new_column_name="mail")': "renames a column",
    'op.alter_column("users", "email", nullable=False)': "NOT NULL",
    'op.alter_column("users", "email", type_=sa.Text())': "the type",
    'op.alter_column("users", "email", server_default=None)': "the default",
    'op.add_column("users", sa.Column("age", sa.Integer(), nullable=False))': "no server_default",
    'op.create_index("ix", "users", ["email"], unique=True)': "refuses rows",
    'op.create_unique_constraint("uq", "users", ["email"])': "refuses rows",
    'op.execute("ALTER TABLE users DROP COLUMN email")': "by SQL",
    'with op.batch_alter_table("users") as users:\n        users.drop_column("email")': "drops",
}
HARMLESS = (
    'op.create_table("new", sa.Column("id", sa.Integer(), nullable=False))',
    'op.create_table("new", sa.Column("id"))\n    op.create_index("ix", "new", ["id"])',
    'op.add_column("users", sa.Column("age", sa.Integer(), nullable=True))',
    'op.add_column("users", sa.Column("age", sa.Integer(), nullable=False, server_default="0"))',
    'op.create_index("ix", "users", ["email"])',
    'op.drop_index("ix", "users")',
    'op.execute("UPDATE users SET email = 1")',
)


def lines(folder: Path, step: str, top: str = "") -> list[str]:
    (folder / "versions").mkdir()
    down = 'def downgrade():\n    op.drop_table("users")\n'
    text = f"{top}\ndef upgrade():\n    {step}\n\n{down}"
    (folder / "versions" / "0009_step.py").write_text(text)
    return [*contractions(folder)]


@pytest.mark.parametrize("step", STEPS)
def test_a_contracting_step_is_told(tmp_path: Path, release: str, step: str) -> None:
    [line] = lines(tmp_path, step)

    assert line.startswith("0009_step.py, line ")
    assert STEPS[step] in line


@pytest.mark.parametrize("step", HARMLESS)
def test_an_expanding_step_is_not_told(tmp_path: Path, release: str, step: str) -> None:
    assert lines(tmp_path, step) == []


def test_a_reason_is_enough_and_an_empty_one_is_none(tmp_path: Path, release: str) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "empty").mkdir()
    assert lines(tmp_path / "good", "op.drop_table('users')", 'CONTRACT = "unused"') == []
    assert lines(tmp_path / "empty", "op.drop_table('users')", 'CONTRACT = ""') != []

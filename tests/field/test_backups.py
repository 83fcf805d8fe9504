"""The lines of docs/backup.md for PostgreSQL, on a server of the test's own."""

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from models import User
from models.database import migrate
from models.database.connections import connect, session_factory
from tests.field.daemons import as_user, find_command, private_folder
from tests.field.pair import FOLDERS, NOBODY, Database, run_program
from tests.live import PATIENCE_SECONDS, free_port

pytestmark = pytest.mark.field

PAGE = (Path(__file__).parents[2] / "docs" / "backup.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```\w+ ([\w-]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@contextmanager
def single() -> Iterator[Database]:
    """Yield a server that archives its log, with a migrated database."""
    find_command("initdb", *FOLDERS)
    owner = NOBODY if os.getuid() == 0 else os.getuid()
    with private_folder(owner) as folder:
        server = Database(free_port(), folder / "data", owner)
        options = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        run_program(owner, "initdb", "-D", str(server.folder), "--username=postgres", *options)
        (folder / "archive").mkdir()
        if os.getuid() == 0:
            os.chown(folder / "archive", owner, -1)
        configure(server, "archive")
        with server.running():
            server.execute("CREATE DATABASE roster ENCODING 'UTF8' TEMPLATE template0")
            migrate.upgrade(server.url())
            yield server


def block(name: str, folder: Path, **replaced: str) -> str:
    """Return a block of the page, with the test's own folders in it."""
    text: str = BLOCKS[name].replace("/archive", str(folder / "archive"))
    text = text.replace("/base", str(folder / "base"))
    for old, new in replaced.items():
        text = re.sub(rf"^{old} = .*$", f"{old} = {new}", text, flags=re.MULTILINE)
    return text


def configure(server: Database, name: str, **replaced: str) -> None:
    with (server.folder / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\n" + block(name, server.folder.parent, **replaced))


def run_block(server: Database, name: str) -> None:
    """Run the lines of a block where the server's folder is."""
    environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(server.port)}
    environment["PGUSER"] = "postgres"
    options: Any = {"cwd": server.folder.parent, "env": environment, **as_user(server.owner)}
    for line in block(name, server.folder.parent).splitlines():
        command = shlex.split(line)
        command[0] = find_command(command[0], *FOLDERS)
        subprocess.run(command, check=True, capture_output=True, **options)


def add(url: str, username: str) -> None:
    engine = connect(url)
    with session_factory(engine)() as session:
        email = f"{username}@example.com"
        User.create(session, username=username, email=email, password="correct horse battery")
        session.commit()
    engine.dispose()


def users(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT username FROM users ORDER BY id")
        return [name for (name,) in rows]


def test_a_dump_is_restored_into_a_new_database() -> None:
    with single() as server:
        add(server.url(), "ada")
        run_block(server, "dump")
        add(server.url(), "eve")

        run_block(server, "restore-dump")

        restored = server.url("roster_restored")
        assert users(restored) == ["ada"]
        engine = connect(restored)
        migrate.check_current(engine)
        engine.dispose()
        add(restored, "bob")  # the sequences are restored too
        assert users(restored) == ["ada", "bob"]


def test_a_server_goes_back_to_a_point_in_time() -> None:
    with single() as server:
        add(server.url(), "ada")
        run_block(server, "base")
        add(server.url(), "eve")
        before = clock(server)
        time.sleep(0.1)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("DELETE FROM users")
        server.execute("SELECT pg_switch_wal()")
        wait_until_archived(server)
        server.stop()

        back = Database(free_port(), server.folder.parent / "base", server.owner)
        configure(back, "recover", recovery_target_time=f"'{before.isoformat()}'")
        run_block(server, "signal")
        with back.running():
            wait_until_writable(back)
            assert users(back.url()) == ["ada", "eve"]
            add(back.url(), "bob")


def clock(server: Database) -> datetime:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row
    found: datetime = row[0]
    return found


def wait_until(server: Database, question: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        while connection.execute(question).fetchone() != (True,):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def wait_until_archived(server: Database) -> None:
    wait_until(
        server,
        "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1)"
        " FROM pg_stat_archiver",
    )


def wait_until_writable(server: Database) -> None:
    wait_until(server, "SELECT NOT pg_is_in_recovery()")

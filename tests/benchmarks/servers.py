"""The servers: Roster and its peers, each as a process of its own, pinned to a core."""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.benchmarks import authorization, data, machine

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60

_UVICORN = (
    *(sys.executable, "-m", "uvicorn", "{app}", "--host", "127.0.0.1", "--port", "{port}"),
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
)


class ServerError(Exception):
    """A server does not start."""


@dataclass(frozen=True)
class Kind:
    """A kind of server: how it is called, and how it is started.

    It `lacks` some operations, and runs on some kinds of databases only. Where it `keeps_families`,
    a refresh token that comes back is refused, but ends no other token.
    """

    name: str
    label: str
    command: tuple[str, ...]
    lacks: frozenset[str] = frozenset()
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    keeps_families: bool = False

    @property
    def is_there(self) -> bool:
        """Whether what it needs beside Python is installed."""
        return self.command[0] != "node" or (shutil.which("node") is not None and _NODE.exists())


def _gunicorn(app: str, threads: int) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "gunicorn", app, "--bind", "127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--threads", str(threads)),
        *("--keep-alive", "75", "--log-level", "warning"),
    )


def _uvicorn(app: str, *more: str) -> tuple[str, ...]:
    return (*(part.format(app=app, port="{port}") for part in _UVICORN), *more)


# As `roster serve` has uvicorn serve it, without the migration before.
ROSTER = Kind(
    "roster",
    "Roster",
    _uvicorn(
        "roster:app",
        *("--http", "roster.server.protocol:Bounded", "--lifespan", "on"),
        *("--no-proxy-headers", "--no-server-header"),
    ),
)
# What an operator starts: it migrates first, so that it takes longer than uvicorn alone.
SERVE = Kind(
    "serve", "roster serve", (str(Path(sysconfig.get_path("scripts")) / "roster"), "serve")
)
KINDS = (
    ROSTER,
    Kind("fastapi", "FastAPI", _uvicorn("tests.benchmarks.peers.fastapi_peer:app")),
    Kind(
        "connexion", "connexion as it comes", _uvicorn("tests.benchmarks.peers.connexion_peer:app")
    ),
    Kind(
        "flask",
        "plain Flask",
        _gunicorn("tests.benchmarks.peers.flask_peer:app", threads=16),
    ),
    Kind("limit", "the limit", _uvicorn("tests.benchmarks.peers.limit_peer:app")),
)
_NODE = ROOT / "tests" / "benchmarks" / "peers" / "node" / "node_modules" / "oidc-provider"
_OIDC = str(_NODE.parents[1] / "server.js")
# Of 1, 2, 4 and 16 threads, four were the fastest on both databases, or as fast as others.
AUTHORIZATION_KINDS = (
    ROSTER,
    Kind(
        "dot",
        "Django OAuth Toolkit",
        _gunicorn("tests.benchmarks.peers.django_peer:app", threads=4),
    ),
    Kind(
        "authlib",
        "Authlib",
        _gunicorn("tests.benchmarks.peers.authlib_peer:app", threads=4),
        lacks=frozenset({"consent_to_code"}),
        keeps_families=True,
    ),
    Kind("oidc_memory", "oidc-provider in memory", ("node", _OIDC, "memory")),
    Kind(
        "oidc_postgresql",
        "oidc-provider",
        ("node", _OIDC, "postgresql"),
        databases=("postgresql",),
    ),
)


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    kind: Kind
    url: str
    database_url: str
    process: subprocess.Popen[bytes]
    log: Path
    started_in: float  # milliseconds, from the command to the first answer

    @property
    def processes(self) -> list[int]:
        """The server's processes, the worker last."""
        return machine.with_children(self.process.pid)

    @property
    def worker(self) -> int:
        """The process that answers requests."""
        return self.processes[-1]

    def settle(self) -> None:
        """Wait until the server has done what nobody waits for any more, such as hashes."""
        for _ in range(100):
            before = machine.process_seconds(self.processes)
            time.sleep(0.03)
            if before == machine.process_seconds(self.processes):
                return

    def log_end(self) -> str:
        """Return the last lines that the server printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


@contextmanager
def serving(kind: Kind, database_url: str, folder: Path, cores: frozenset[int]) -> Iterator[Server]:
    """Start a server on some cores, wait for its first answer, and stop it at the end."""
    port = _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not _is_setting(name)},
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATABASE_URL": database_url,
        "BENCH_AUTHORIZATION": authorization.KNOWN,
        "ROSTER_ENV": "production",
        "ROSTER_SECRET_KEY": "a key for the benchmark alone",
        "ROSTER_TRUSTED_PROXIES": "0",
        # Counted as ever, and never too many.
        "ROSTER_RATE_PER_ADDRESS": str(data.BOUNDLESS["rate_per_address"]),
        "ROSTER_RATE_PER_TOKEN": str(data.BOUNDLESS["rate_per_token"]),
    }
    log = folder / f"{kind.name}-{port}.log"
    began = time.monotonic()
    with log.open("wb") as output, machine.pinned(cores):
        process = subprocess.Popen(
            [part.format(port=port) for part in kind.command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log)
        yield Server(kind, url, database_url, process, log, (time.monotonic() - began) * 1000)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _is_setting(name: str) -> bool:
    return name.startswith("ROSTER_") or name in {"HOST", "PORT", "WORKERS", "DATABASE_URL"}


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    address = httpx2.URL(url)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((address.host, address.port or 0)).close()
        except OSError:
            time.sleep(0.005)
        else:
            httpx2.get(f"{url}/api/v1/users/me", trust_env=False, timeout=PATIENCE_SECONDS)
            return
    raise ServerError(f"The server does not start.\n{log.read_text()}")

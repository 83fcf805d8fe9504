"""The servers: Roster and its peers, each as a process of its own, pinned to a core."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60

_UVICORN = (
    *(sys.executable, "-m", "uvicorn", "{app}", "--host", "127.0.0.1", "--port", "{port}"),
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
)


@dataclass(frozen=True)
class Kind:
    """A kind of server: how it is called, and how it is started."""

    name: str
    label: str
    command: tuple[str, ...]


def _uvicorn(app: str, *more: str) -> tuple[str, ...]:
    return (*(part.format(app=app, port="{port}") for part in _UVICORN), *more)


ROSTER = Kind(
    "roster",
    "Roster",
    _uvicorn("roster:app", "--lifespan", "on", "--no-proxy-headers", "--no-server-header"),
)
KINDS = (
    ROSTER,
    Kind("fastapi", "FastAPI", _uvicorn("tests.benchmarks.peers.fastapi_peer:app")),
    Kind(
        "connexion", "connexion as it comes", _uvicorn("tests.benchmarks.peers.connexion_peer:app")
    ),
    Kind("limit", "the limit", _uvicorn("tests.benchmarks.peers.limit_peer:app")),
)


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    kind: Kind
    url: str
    database_url: str
    process: subprocess.Popen[bytes]
    log: Path
    start_seconds: float

    @property
    def worker(self) -> int:
        """The process that answers requests."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        below = children.read_text().split() if children.exists() else []
        return int(below[0]) if below else self.process.pid


@contextmanager
def serving(
    kind: Kind, database_url: str, port: int, folder: Path, cores: set[int]
) -> Iterator[Server]:
    """Start a server on some cores, wait for its first answer, and stop it at the end."""
    environment = {
        **{name: value for name, value in os.environ.items() if not _is_setting(name)},
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATABASE_URL": database_url,
        "ROSTER_ENV": "production",
        "ROSTER_SECRET_KEY": "a key for the benchmark alone",
    }
    log = folder / f"{kind.name}-{port}.log"
    began = time.monotonic()
    with log.open("wb") as output, pinned(cores):
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
        yield Server(kind, url, database_url, process, log, time.monotonic() - began)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _is_setting(name: str) -> bool:
    return name.startswith("ROSTER_") or name in {"HOST", "PORT", "WORKERS", "DATABASE_URL"}


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    with httpx2.Client(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.get("/api/v1/users/me")
            except httpx2.TransportError:
                time.sleep(0.002)
            else:
                return
    raise RuntimeError(f"The server does not start.\n{log.read_text()}")


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Keep this thread, and the processes that it starts here, on some cores (Linux alone)."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

"""A Redis of a test's own, for what the workers of a server count together."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from roster.redis_client import client_of


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Start a Redis, which listens on a Unix socket only."""
    if shutil.which("redis-server") is None:
        pytest.skip("No redis-server is installed here.")
    with redis_in(tmp_path) as (url, _):
        yield url


@contextmanager
def redis_in(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a Redis that listens on a Unix socket in a folder; yield its URL and its process id."""
    place = folder / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(folder))
    with subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL) as process:
        while not _is_listening(place):
            assert process.poll() is None
            time.sleep(0.01)
        try:
            yield f"redis+unix://{place}", process.pid
        finally:
            process.terminate()


def _is_listening(place: Path) -> bool:
    """Tell whether a server takes connections on a socket, which is there a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(place)) == 0


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """Have a Redis stand still: it takes connections, and answers nothing."""
    client = client_of(url)
    process = int(client.info("server")["process_id"])
    client.close()
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)

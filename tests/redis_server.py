"""A Redis of a test's own, for what the workers of a server count together."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Start a Redis, which listens on a Unix socket only."""
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("No redis-server is installed here.")
    place = tmp_path / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(tmp_path))
    with subprocess.Popen([command, *options], stdout=subprocess.DEVNULL) as process:
        while not place.exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield f"redis+unix://{place}"
        process.terminate()

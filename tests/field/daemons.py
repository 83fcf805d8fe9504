"""Parts of the field as processes of a test's own: PgBouncer, and a proxy that can freeze."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.live import PATIENCE_SECONDS, free_port

_PROXY = Path(__file__).with_name("proxy.py")


def find_command(name: str, *folders: str) -> str:
    """Return the path of a program; skip the test where it is not installed."""
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", *folders))
    command = shutil.which(name, path=path)
    if command is None:
        pytest.skip(f"No {name} is installed here.")
    return command


@contextmanager
def private_folder(owner: int) -> Iterator[Path]:
    """Yield a folder that another user may reach, which those of pytest are closed to."""
    with tempfile.TemporaryDirectory(prefix="roster-", ignore_cleanup_errors=True) as name:
        if os.getuid() == 0:
            os.chown(name, owner, -1)
        yield Path(name)


def as_user(owner: int) -> dict[str, Any]:
    """Return the options of a process that refuses to be root's."""
    return {"user": owner, "extra_groups": []} if os.getuid() == 0 else {}


@contextmanager
def daemon(
    command: Sequence[str | Path], port: int, end: int = signal.SIGKILL, **options: Any
) -> Iterator[Any]:
    """Run a program until the end of the block, from when it listens on a port.

    The signal `end` ends it at once, and all its children.
    """
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, **options) as process:
        try:
            _wait_until_listening(process, port)
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.send_signal(end)


def _wait_until_listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("It does not listen.")


@contextmanager
def pgbouncer(uri: str, *, mode: str, pool: int) -> Iterator[str]:
    """Put PgBouncer in front of a database that is reached by a Unix socket; yield its URL."""
    command = find_command("pgbouncer")
    port, name = free_port(), urlsplit(uri).path[1:]
    host = Path(parse_qs(urlsplit(uri).query)["host"][0])
    owner = host.stat().st_uid  # who alone reaches the socket
    with private_folder(owner) as folder:
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n{name} = host={host} user=postgres\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {mode}\ndefault_pool_size = {pool}\nmax_client_conn = 1000\n"
        )
        settings.chmod(0o644)
        with daemon([command, "--quiet", settings], port, stderr=2, **as_user(owner)):
            yield f"postgresql://postgres@127.0.0.1:{port}/{name}"


@dataclass(frozen=True)
class Proxy:
    """A proxy of TCP connections to a database."""

    port: int
    process: "subprocess.Popen[bytes]"
    target: Path

    def freeze(self) -> None:
        """Have it neither answer nor hang up; the machine goes on to take connections for it."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was."""
        self.process.send_signal(signal.SIGCONT)

    def lead_to(self, target: str) -> None:
        """Lead new connections to a port of this machine, or to a Unix socket."""
        following = self.target.with_suffix(".new")
        following.write_text(target)
        following.replace(self.target)


@contextmanager
def proxy(folder: Path, target: str) -> Iterator[Proxy]:
    """Run a proxy to a port of this machine, or to a Unix socket."""
    port, place = free_port(), folder / "target"
    place.write_text(target)
    with daemon([sys.executable, _PROXY, str(port), str(place)], port) as process:
        yield Proxy(port, process, place)


def socket_of(uri: str) -> str:
    """Return the Unix socket of a database's URI."""
    return f"{parse_qs(urlsplit(uri).query)['host'][0]}/.s.PGSQL.5432"

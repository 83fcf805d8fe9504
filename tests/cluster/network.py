"""Hosts of a network of their own: network namespaces of Linux, which a bridge joins."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.field.daemons import find_command
from tests.live import PATIENCE_SECONDS

GATEWAY = "10.77.0.1"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of sched.h
_NOTHING: Mapping[str, str] = {}
_OWN = Path("/proc/thread-self/ns/net")


@dataclass(frozen=True)
class Host:
    """A host: an address, and the processes that reach others by this address only."""

    name: str
    address: str
    folder: Path
    holder: "subprocess.Popen[bytes]"
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def run(
        self, *command: str | Path, owner: int = 0, environment: Mapping[str, str] = _NOTHING
    ) -> None:
        """Start a program on this host; what it prints goes to a file of the host's folder."""
        namespace = f"/proc/{self.holder.pid}/ns/net"
        enter = ["nsenter", f"--net={namespace}", f"--setuid={owner}", f"--setgid={owner}", "--"]
        name = Path(command[0]).name
        with (self.folder / f"{self.name}-{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*enter, *command],
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)

    def send(self, number: signal.Signals, program: str = "") -> None:
        """Send a signal to all processes of this host, or to those of a program."""
        for pid in self._processes():
            with suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(program.encode()):
                    os.kill(pid, number)

    def kill(self) -> None:
        """End all processes at once, as a power cut does."""
        while self._processes():
            self.send(signal.SIGKILL)
            for each in self.started:
                each.poll()
            time.sleep(0.05)
        for each in self.started:
            each.wait(PATIENCE_SECONDS)
        self.started.clear()

    def freeze(self) -> None:
        """Have all processes stand still; the kernel goes on to take connections for them."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let all processes go on."""
        self.send(signal.SIGCONT)

    def cut_off(self) -> None:
        """Drop everything between this host and all others."""
        _ip("link", "set", self.name, "down")

    def join(self) -> None:
        """Let this host reach the others again."""
        _ip("link", "set", self.name, "up")

    def _processes(self) -> list[int]:
        network = _network_of(Path(f"/proc/{self.holder.pid}"))
        return [
            int(each.name)
            for each in Path("/proc").glob("[0-9]*")
            if int(each.name) != self.holder.pid and _network_of(each) == network
        ]


def _network_of(process: Path) -> int | None:
    try:
        if (process / "stat").read_text().rpartition(") ")[2].startswith("Z"):
            return None
        return (process / "ns/net").stat().st_ino
    except OSError:
        return None  # it has just ended


@contextmanager
def network(folder: Path, addresses: dict[str, str]) -> Iterator[dict[str, Host]]:
    """Enter a network that nobody else reaches, and make a host for each name and address.

    The thread that enters it, and those that it starts, reach the hosts from the address GATEWAY.
    """
    find_command("ip")
    with _private_network(), ExitStack() as stack:
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "lan", "type", "bridge")
        _ip("address", "add", f"{GATEWAY}/24", "dev", "lan")
        _ip("link", "set", "lan", "up")
        yield {
            name: stack.enter_context(_host(name, address, folder))
            for name, address in addresses.items()
        }


@contextmanager
def _private_network() -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    with _OWN.open() as before:
        if libc.unshare(_NEW_NETWORK) != 0:
            pytest.skip(f"No network can be made here: {os.strerror(ctypes.get_errno())}.")
        try:
            yield
        finally:
            assert libc.setns(before.fileno(), _NEW_NETWORK) == 0


@contextmanager
def _host(name: str, address: str, folder: Path) -> Iterator[Host]:
    # It ends when this process does, as its input then ends.
    with subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE) as holder:
        while _network_of(Path(f"/proc/{holder.pid}")) == _OWN.stat().st_ino:
            time.sleep(0.01)
        host = Host(name, address, folder, holder)
        inside: Any = ("nsenter", f"--net=/proc/{holder.pid}/ns/net", "ip")
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        _ip("link", "set", name, "master", "lan", "up")
        _ip("link", "set", "lo", "up", program=inside)
        _ip("address", "add", f"{address}/24", "dev", "eth0", program=inside)
        _ip("link", "set", "eth0", "up", program=inside)
        try:
            yield host
        finally:
            host.thaw()
            host.kill()
            holder.kill()


def _ip(*arguments: str, program: tuple[str, ...] = ("ip",)) -> None:
    subprocess.run([*program, *arguments], check=True, capture_output=True)

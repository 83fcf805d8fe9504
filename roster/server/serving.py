"""Serving: the addresses that a server listens on, the files it may open, and its end in time."""

import errno
import faulthandler
import logging
import os
import signal
import socket
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.importer import import_from_string
from uvicorn.supervisors import Multiprocess

from roster.observability import logs
from roster.origins import is_every
from roster.server.capacity import capacity
from roster.settings import Settings, SettingsError

# Of the time to end: what is left for answers to those who are not waited for any longer, and for
# the process itself; also for the one that started it, which looks twice a second.
_FOR_REFUSALS = 2.5
_FOR_THE_PROCESS = 0.75
_APPLICATION = "roster:app"
_PORT_IN_USE = "PORT: another program listens on this port, or this user may not"


_logger = logging.getLogger(__name__)


def listen(host: str, port: int) -> list[socket.socket]:
    """Take the addresses of a host, before anything is changed for a server that may not start.

    `::` is every address of both kinds. Nobody can connect before the server itself listens.

    :raises SettingsError: where that is impossible, with the setting to change.
    """
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingsError("HOST: this is no address, and no name that leads to one") from None
    taken = [
        _take(family, address) for family, address in dict.fromkeys((p[0], p[4]) for p in places)
    ]
    usable = [each for each in taken if each]
    if not usable:
        raise SettingsError("HOST: this machine does not have this address")
    return usable


def _take(family: int, address: Any) -> socket.socket | None:
    """Bind a socket; None where this machine does not have the address.

    :raises SettingsError: where the port is the reason why it cannot be used.
    """
    try:
        taken = socket.socket(family, socket.SOCK_STREAM)
    except OSError:  # no IPv6 here
        return None
    try:
        # Connections that are about to end are in nobody's way.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not is_every(address[0]))
        taken.bind(address)
    except OSError as error:
        taken.close()
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            raise SettingsError(_PORT_IN_USE) from None
        return None
    taken.set_inheritable(True)
    return taken


def build() -> None:
    """Build the application that `run` serves, before anything is changed for it.

    :raises SystemExit: with one line, where the definition is wrong.
    """
    import_from_string(_APPLICATION)


def run(settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve until a signal ends it, and then end within the time that the settings give."""
    seconds = settings.shutdown_seconds
    config = _Config(
        seconds,
        _APPLICATION,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        proxy_headers=False,
        server_header=False,
        lifespan="on",
        **logs.for_uvicorn(settings),
        **_protocol(settings),
        timeout_keep_alive=settings.idle_seconds,
        # It hands this on to asyncio, which takes fractions.
        timeout_graceful_shutdown=seconds - min(_FOR_REFUSALS, seconds / 2),
    )
    logger = logging.getLogger("uvicorn.error")
    for each in sockets:
        host, port = each.getsockname()[:2]
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        logger.info("Listening on http://%s (Press CTRL+C to quit)", place)
    if settings.workers > 1:
        workers = _Workers(config, sockets)
        workers.run()
        if any(each.exitcode == STARTUP_FAILURE for each in workers.processes):
            raise SystemExit(STARTUP_FAILURE)
        return
    config.load_app()
    server = uvicorn.Server(config)
    try:
        server.run(sockets)
    except KeyboardInterrupt:
        return
    except OSError as error:  # somebody else was faster
        if error.errno != errno.EADDRINUSE:
            raise
        raise SettingsError(_PORT_IN_USE) from None
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)


def _protocol(settings: Settings) -> dict[str, Any]:
    """Return the options for the protocol; where httptools is missing, uvicorn has to choose it.

    What it chooses then bounds the heads of requests by itself.
    """
    try:
        from roster.server.protocol import Bounded  # noqa: PLC0415
    except ImportError:
        return {"limit_concurrency": settings.connections + 1}
    found = capacity(settings)
    if found.connections < settings.connections:
        _logger.warning(
            "ROSTER_CONNECTIONS: the files that the system lets a process open (`ulimit -n`) are"
            " enough for %d connections",
            found.connections,
        )
    return {"http": Bounded, "backlog": found.at_once}


class _Config(uvicorn.Config):
    """What every process of a server is started with; `seconds` are those that it has to end."""

    def __init__(self, seconds: int, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seconds = seconds

    def load(self) -> None:
        """Load the application, in the process that serves, where signals are already handled."""
        super().load()
        left = self._seconds - min(_FOR_THE_PROCESS, self._seconds / 4)
        for number in (signal.SIGTERM, signal.SIGINT):
            handle = signal.getsignal(number)
            if callable(handle):
                signal.signal(number, partial(_end, handle, left))


def _end(handle: Any, seconds: float, number: int, frame: FrameType | None) -> None:
    """End as uvicorn does, or else without it: a thread may wait for a database that is gone."""
    # A watch that no thread of Python can hold up, and that works for the first process of a
    # container too, where the system's own alarm is ignored.
    faulthandler.dump_traceback_later(seconds, exit=True, file=_nowhere())
    handle(number, frame)


@cache
def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="ascii")


class _Workers(Multiprocess):
    """The process that starts the workers, and ends them."""

    def terminate_all(self) -> None:
        """Let nobody wait for a worker that will not come, and end those that there are."""
        for each in self.sockets:
            each.close()
        super().terminate_all()

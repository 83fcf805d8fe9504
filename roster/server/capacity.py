"""Capacity: how many connections a process may have, as far as the files allow that it may open."""

from typing import NamedTuple

from models.users.passwords import CORES
from roster.settings import Settings, SettingsError

# Connections beyond those that are served, which get a 503 if they ask. More are not even read.
REFUSED_POLITELY = 50
# Connections that the system hands over all at once, before any of them can be closed; the second
# where there are few files.
_AT_ONCE = 1024
_AT_ONCE_AT_LEAST = 64
# Modules, pages, logs, the loop's own files; and per connection to SQLite, its file and its log.
_OTHER_FILES = 60
_FILES_OF_DATABASE = 2


class Capacity(NamedTuple):
    """How many connections a process may have, and be handed over by the system all at once."""

    connections: int
    at_once: int


def capacity(settings: Settings) -> Capacity:
    """Return how many connections the files allow that the process may open.

    Systems often start with 1,024 files, which may be raised up to another limit; that is done.
    Without a file for a connection none for the database is left either.

    :raises SettingsError: where the system allows too few for any.
    """
    others = _OTHER_FILES + _FILES_OF_DATABASE * (settings.threads + 4 * CORES) + REFUSED_POLITELY
    allowed = _allowed_files(settings.connections + others + _AT_ONCE)
    if allowed >= settings.connections + others + _AT_ONCE:
        return Capacity(settings.connections, _AT_ONCE)
    others += _AT_ONCE_AT_LEAST
    if allowed <= others:
        raise SettingsError(
            f"ROSTER_CONNECTIONS: the system lets a process open {allowed} files (`ulimit -n`),"
            f" and {others + 1} are needed"
        )
    return Capacity(min(settings.connections, allowed - others), _AT_ONCE_AT_LEAST)


def _allowed_files(wanted: int) -> int:
    try:
        import resource  # noqa: PLC0415 (not everywhere)
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most

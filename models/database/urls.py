"""Database URLs: which are accepted, and what is wrong with others, without showing them."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

SQLITE = "sqlite"
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
_MAX_PORT = 65535
_PORTS = f"must have ports from 1 to {_MAX_PORT}"

# Several hosts as libpq writes them, which SQLAlchemy accepts among the options only.
_SEVERAL_HOSTS = re.compile(
    r"(?P<before>postgres(?:ql)?(?:\+psycopg)?://(?:[^/?]*@)?)(?P<hosts>[^/?@]*,[^/?@]*)"
    r"(?P<path>/[^?]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?:\[(?P<address>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>\d*))?")
# Options whose values libpq checks only when it connects.
_CHOICES = {
    "sslmode": "disable allow prefer require verify-ca verify-full",
    "target_session_attrs": "any read-write read-only primary standby prefer-standby",
    "gssencmode": "disable prefer require",
    "channel_binding": "disable prefer require",
    "load_balance_hosts": "disable random",
}
_NUMBERS = {
    *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval"),
    *("keepalives_count", "tcp_user_timeout"),
}


def check_url(url: str | URL) -> URL:
    """Return the URL of a SQLite file or a PostgreSQL database.

    :raises ValueError: for any other URL, with a sentence that does not show it.
    """
    try:
        url = make_url(_with_hosts_as_option(url) if isinstance(url, str) else url)
    except (ArgumentError, ValueError):  # their own texts show the URL, or a part of it
        raise ValueError(
            "must be a URL such as sqlite:///roster.db or postgresql://user@host/name"
        ) from None
    if url.drivername in _POSTGRESQL:
        _check_options(url)
        return url
    if url.drivername != SQLITE:
        raise ValueError(
            "must be a URL of SQLite or PostgreSQL: sqlite:///... or postgresql://..., and no other"
            " driver"
        )
    name = (url.database or "").lower()
    if url.host or url.username or url.port:
        raise ValueError("must name a file after three slashes, or four: sqlite:////data/roster.db")
    if not name or name == ":memory:" or name.startswith("file:"):
        raise ValueError(
            "must name a file: every connection would see a memory database of its own"
        )
    if url.query:
        raise ValueError("must name a file, without options")
    return url


def _with_hosts_as_option(url: str) -> str:
    found = _SEVERAL_HOSTS.fullmatch(url)
    if not found:
        return url
    hosts = [_HOST.fullmatch(each) for each in found["hosts"].split(",")]
    if not all(hosts):
        raise ValueError
    names = ",".join(unquote(each["address"] or each["name"] or "") for each in hosts if each)
    ports = ",".join(each["port"] or "" for each in hosts if each)
    options = f"host={quote(names)}" + (f"&port={quote(ports)}" if ports.strip(",") else "")
    more = f"&{found['query']}" if found["query"] else ""
    return f"{found['before']}{found['path'] or '/'}?{options}{more}"


def _check_options(url: URL) -> None:
    from psycopg import ProgrammingError  # noqa: PLC0415 (9 MiB that SQLite does not need)
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415
    from sqlalchemy.dialects.postgresql.psycopg import dialect  # noqa: PLC0415

    if url.port == 0:  # which SQLAlchemy treats as no port
        raise ValueError(_PORTS)
    try:
        _, options = dialect().create_connect_args(url)
    except (ArgumentError, ValueError, TypeError):
        raise ValueError("must have as many ports as hosts, and numbers as ports") from None
    try:
        make_conninfo(**dict.fromkeys(options, ""))
    except ProgrammingError:
        raise ValueError("must have options that libpq knows, such as sslmode") from None
    _check_values(options)


def _check_values(options: Mapping[str, Any]) -> None:
    if not all(isinstance(value, str | int) for value in options.values()):
        raise ValueError("must have each option once")
    for host in unquote(f"{options.get('host', '')}").split(","):
        try:
            host.encode("utf-8" if host.startswith(("/", "@")) else "idna")
        except UnicodeError:
            raise ValueError("must have hosts that can be names or addresses") from None
    for port in str(options.get("port", "")).split(","):
        if port and not (port.isdigit() and 0 < int(port) <= _MAX_PORT):
            raise ValueError(_PORTS)
    for name, choices in _CHOICES.items():
        if name in options and options[name] not in choices.split():
            raise ValueError(f"must have as {name} one of: {choices}")
    for name in _NUMBERS & options.keys():
        if not re.fullmatch(r"-?\d{1,9}", str(options[name]), re.ASCII):
            raise ValueError(f"must have a number as {name}")

"""The Redis of ROSTER_LIMITS_URL: how a client is made that never waits long."""

import re
from importlib import import_module
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_MAX_WAIT_SECONDS = 0.5
_SENTINELS = "redis+sentinel"
_SCHEMES = ("redis", "rediss", "redis+unix", _SENTINELS)
_SENTINELS_PORT = 26379
# What may stand behind the `?` of a URL of Sentinels, for these have users of their own.
_OPTIONS = ("sentinel_username", "sentinel_password")
_DATABASE = re.compile(r"[0-9]{1,9}")
_PATH_OF_DATABASE = re.compile(r"(/[0-9]{0,9})?/?")


def check_url(url: str) -> str:
    """Return a URL that `client_of` can use; ValueError for another."""
    parts = _parts(url)
    if parts is None:
        raise ValueError(
            "must be a Redis URL such as redis://localhost:6379,"
            " or redis+sentinel://HOST:26379,HOST:26379/SERVICE"
        )
    if parts.scheme != _SENTINELS:
        _check_database(parts)
        _check_options(url)
    return url


def _parts(url: str) -> SplitResult | None:
    """Take a URL apart; None where its scheme, a host or a port is none of a Redis."""
    try:
        parts = urlsplit(url)
        if parts.scheme == _SENTINELS:
            _service(parts)
            is_usable = True
        else:
            is_usable = parts.scheme in _SCHEMES and parts.port != 0
    except ValueError:
        return None
    return parts if is_usable else None


def _check_database(parts: SplitResult) -> None:
    """Refuse a database that is no number: redis-py takes another path for database 0."""
    named = [value for name, value in parse_qsl(parts.query) if name == "db"]
    # The path of `redis+unix:` is that of the socket.
    is_number = "unix" in parts.scheme or _PATH_OF_DATABASE.fullmatch(unquote(parts.path))
    if not is_number or not all(map(_DATABASE.fullmatch, named)):
        raise ValueError(
            "must name its database by a number, such as redis://localhost:6379/0 or ?db=0"
        )


def _check_options(url: str) -> None:
    """Refuse what redis-py cannot use, of which it would tell at the first connection only."""
    try:
        pool_of(url).make_connection()  # which does not connect yet
    except (ValueError, TypeError, AttributeError, failure()):  # their texts show parts of the URL
        raise ValueError(
            "must be a Redis URL that redis-py can use, with two slashes behind the scheme, and"
            " no options but its own"
        ) from None


def client_of(url: str) -> Any:
    """Make a client of the Redis at a URL, which closes its connections when it is closed."""
    redis: Any = import_module("redis")
    return redis.Redis.from_pool(pool_of(url))


def pool_of(url: str) -> Any:
    """Make a pool of connections to the Redis at a URL.

    With `redis+sentinel:` each new connection first asks the Sentinels that the URL names which
    Redis is the master of the service. `redis+unix:` is what redis-py calls `unix:`.
    """
    redis: Any = import_module("redis")
    parts = urlsplit(url)
    if parts.scheme != _SENTINELS:
        return redis.ConnectionPool.from_url(url.replace("redis+unix:", "unix:", 1), **_waiting())
    hosts, service, options = _service(parts)
    own = {name.removeprefix("sentinel_"): value for name, value in options.items()}
    user = {"username": unquote(parts.username or ""), "password": unquote(parts.password or "")}
    # A connection to a master that takes too long is closed only where that is tried again.
    again = _waiting(redis.TimeoutError)
    sentinels = import_module("redis.sentinel").Sentinel(
        hosts,
        sentinel_kwargs={**_waiting(), **own},
        **again,
        **{name: value for name, value in user.items() if value},
    )
    return sentinels.master_for(service).connection_pool


def failure() -> type[Exception]:
    """Return what a client raises where the Redis cannot be reached, or does not answer."""
    kind: type[Exception] = import_module("redis").RedisError
    return kind


def reason_of(error: Exception) -> str:
    """Return the first line of an error, without the connections that redis-py describes in it."""
    return str(error).partition("\n")[0].partition(" : <")[0]


def _service(parts: SplitResult) -> tuple[list[tuple[str, int]], str, dict[str, str]]:
    """Return the Sentinels' hosts and ports, the service and the options that a URL names."""
    each = [urlsplit(f"//{host}") for host in parts.netloc.rpartition("@")[2].split(",")]
    hosts = [(one.hostname, one.port or _SENTINELS_PORT) for one in each if one.hostname]
    service, options = parts.path.removeprefix("/"), dict(parse_qsl(parts.query))
    are_hosts = len(hosts) == len(each) and all(one.port != 0 for one in each)
    if not are_hosts or not set(options) <= set(_OPTIONS) or not service or "/" in service:
        raise ValueError
    return hosts, service, options


def _waiting(*also: type[Exception]) -> dict[str, Any]:
    """Return the options of a client that waits shortly, and once.

    A connection that was lost is made anew, and after the errors `also` too. redis-py by itself
    would wait for ever, and ask four times with pauses of seconds.
    """
    # It takes long to import, and most servers need none.
    redis: Any = import_module("redis")
    retry: Any = import_module("redis.retry").Retry
    backoff: Any = import_module("redis.backoff").NoBackoff
    return {
        "socket_timeout": _MAX_WAIT_SECONDS,
        "socket_connect_timeout": _MAX_WAIT_SECONDS,
        "retry": retry(backoff(), 1, supported_errors=(redis.ConnectionError, *also)),
    }

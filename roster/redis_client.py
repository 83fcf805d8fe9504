"""The Redis of ROSTER_LIMITS_URL: how a client is made that never waits long."""

from importlib import import_module
from typing import Any

_MAX_WAIT_SECONDS = 0.5


def waiting() -> dict[str, Any]:
    """Return the options of a client that waits shortly, and once.

    A connection that was lost is made anew. redis-py by itself would wait for ever, and ask four
    times with pauses of seconds.
    """
    # It takes long to import, and most servers need none.
    redis: Any = import_module("redis")
    retry: Any = import_module("redis.retry").Retry
    backoff: Any = import_module("redis.backoff").NoBackoff
    return {
        "socket_timeout": _MAX_WAIT_SECONDS,
        "socket_connect_timeout": _MAX_WAIT_SECONDS,
        "retry": retry(backoff(), 1, supported_errors=(redis.ConnectionError,)),
    }


def client_of(url: str) -> Any:
    """Make a client; the URL may begin with `redis+unix:`, which redis-py calls `unix:`."""
    redis: Any = import_module("redis")
    return redis.Redis.from_url(url.replace("redis+unix:", "unix:", 1), **waiting())


def failure() -> type[Exception]:
    """Return what a client raises where the Redis cannot be reached, or does not answer."""
    kind: type[Exception] = import_module("redis").RedisError
    return kind

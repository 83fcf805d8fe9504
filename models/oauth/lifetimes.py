"""How long codes and tokens live."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lifetimes:
    """How long tokens live, in seconds.

    A refresh token ends after `refresh_idle` without use, and all that were made from the
    first one end after `refresh_total`.
    """

    access: int = 3600
    refresh_idle: int = 14 * 24 * 3600
    refresh_total: int = 90 * 24 * 3600
    code: int = 60

"""Lifetimes of codes and tokens."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lifetimes:
    """Lifetimes in seconds.

    A refresh token ends after `refresh_idle` without use, and its whole family `refresh_total`
    after the first one.
    """

    access: int = 3600
    refresh_idle: int = 14 * 24 * 3600
    refresh_total: int = 90 * 24 * 3600
    code: int = 60

"""Quotas: how much one user, team or client may have of what takes room and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.orm import Session

from models.database.connections import begin
from models.errors import Conflict

# The first key of PostgreSQL's advisory locks, which these share with no others.
_ADVISORY = 0x526F


@dataclass(frozen=True)
class Quotas:
    """How many there may be; over the last two the oldest ends, over the others nothing is added.

    `teams` are those that a user leads, `members` those of a team, `clients` those of a user,
    `sessions` the live ones of a user's browsers, `grants` the live ones between a user and a
    client.
    """

    teams: int = 1000
    members: int = 1000
    clients: int = 100
    sessions: int = 100
    grants: int = 100


# How many requests that add something may be under way together: with fewer than this left below
# a quota, one at a time may add.
AT_ONCE = 256
UNLIMITED = Quotas(*[2**31] * 5)


def check_room(
    session: Session,
    owner_id: int,
    rows: Select[*tuple[Any, ...]],
    most: int,
    error: tuple[str, Sequence[tuple[str, str]]],
) -> None:
    """Raise Conflict, with this sentence and places, where there are `most` rows already.

    Others who add to the same user's rows in this way wait until the transaction ends. No more
    than `most` rows are read, so an index has to find them.
    """
    serialize(session.connection(), owner_id)
    there = session.scalar(select(func.count()).select_from(rows.limit(most).subquery()))
    if there == most:
        raise Conflict(*error)


def serialize(connection: Connection, user_id: int) -> None:
    """Let one transaction at a time add to what a user has, whichever server it is on.

    That transaction begins here, where it has not begun: what is read from now on is what others
    have committed. SQLite has one writer at a time in any case. Take it after all locks of rows.
    """
    begin(connection)
    if connection.dialect.name == "postgresql":
        key = func.pg_advisory_xact_lock(_ADVISORY, user_id % 2**31)
        connection.execute(select(key))

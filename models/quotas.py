"""Quotas: how many rows of a kind one user, team or client may have."""

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
    """How many there may be.

    `teams` counts those that a user leads, `members` those of a team, `clients` those of a user;
    above these nothing is added. `sessions` counts a user's live browser sessions, `grants` the
    live ones between a user and a client; above these the oldest one ends.
    """

    teams: int = 1000
    members: int = 1000
    clients: int = 100
    sessions: int = 100
    grants: int = 100


# How many requests may add a row at the same time. Where fewer rows than this are left below a
# quota, one request at a time adds.
AT_ONCE = 256
UNLIMITED = Quotas(*[2**31] * 5)


def check_room(
    session: Session,
    owner_id: int,
    rows: Select[*tuple[Any, ...]],
    most: int,
    error: tuple[str, Sequence[tuple[str, str]]],
) -> None:
    """Raise Conflict, with this sentence and these places, where there are `most` rows already.

    Other transactions that call this for the same user wait until this one ends. No more than
    `most` rows are read, so an index has to find them.
    """
    serialize(session.connection(), owner_id)
    there = session.scalar(select(func.count()).select_from(rows.limit(most).subquery()))
    if there == most:
        raise Conflict(*error)


def serialize(connection: Connection, user_id: int) -> None:
    """Let one transaction at a time add to a user's rows, in all processes and on all hosts.

    The write transaction begins here, unless it has begun: later reads see what others have
    committed. SQLite has one writer at a time in any case. Take this lock after all row locks.
    """
    begin(connection)
    if connection.dialect.name == "postgresql":
        key = func.pg_advisory_xact_lock(_ADVISORY, user_id % 2**31)
        connection.execute(select(key))

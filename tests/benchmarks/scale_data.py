"""Databases of any size, filled by bulk insert: many users, teams, clients, grants and tokens."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Dialect, Engine

from models import (
    Base,
    BrowserSession,
    Client,
    Code,
    Consent,
    Grant,
    Member,
    Team,
    Token,
    User,
)
from models.database.base import now
from models.oauth.token import ACCESS, REFRESH
from models.users import passwords
from tests import rows
from tests.scopes import ALL_SCOPES

PASSWORD = "correct horse battery staple"
# What is filled in has ids from here on, so that it lies beside the development data.
FIRST = 1000
TOKENS_PER_GRANT = 5
MEMBERS_PER_TEAM = 10
# The number of a user who belongs to every team, and owns every other client.
BUSY = 7
# Of ten grants nine are the first client's, as an application of the house's own has them.
DOCUMENTATION = 1

_SCOPE = " ".join(ALL_SCOPES)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Size:
    """How many rows there are; each grant has five tokens.

    A tenth of the grants is dead: nothing of them lives, and half of them are past their end.
    With the access tokens that have ended of the others, a fifth of all tokens can be purged.
    """

    users: int
    teams: int
    tokens: int

    @property
    def grants(self) -> int:
        """How many grants have these tokens."""
        return self.tokens // TOKENS_PER_GRANT

    @property
    def clients(self) -> int:
        """How many clients there are, besides the documentation's."""
        return max(self.users // 10, 10)

    def is_dead(self, grant: int) -> bool:
        """Tell whether nothing of a grant lives, by its number from 0 on."""
        return grant % 10 == 9

    def user_of(self, grant: int) -> int:
        """Return the id of the user who gave a grant."""
        return FIRST + grant % self.users

    def client_of(self, grant: int) -> int:
        """Return the id of the client that has a grant."""
        return FIRST + grant // 10 % self.clients if grant % 10 == 4 else DOCUMENTATION


def access_token(grant: int) -> str:
    """Return the access token of a grant, by the grant's number from 0 on."""
    return f"access-{grant:036d}"


def refresh_token(grant: int) -> str:
    """Return the refresh token of a grant that was not used yet."""
    return f"refresh-{grant:035d}"


def fill(engine: Engine, size: Size) -> None:
    """Fill a database that has the development data, and have it know how large it is now."""
    writers: dict[str, Any] = {"sqlite": _insert, "postgresql": _copy}
    connection = engine.raw_connection()
    driver = connection.driver_connection
    try:
        writers[engine.dialect.name](driver, _all_tables(size, driver, engine.dialect))
    finally:
        # Not into the pool: SQLite keeps the table of a cache that was large, and goes through all
        # of it when another connection has written.
        connection.detach()
        connection.close()


Table = tuple[str, Sequence[str], Iterator[Sequence[Any]]]


def _all_tables(size: Size, driver: Any, dialect: Dialect) -> Iterator[Table]:
    known = set()
    for table, columns, made in _tables(size):
        known.add(table.__tablename__)
        yield table.__tablename__, columns, made
    for unknown in rows.unknown_tables(known):
        yield _made_from_its_columns(unknown, size.teams, driver, dialect)


def _made_from_its_columns(table: Any, count: int, driver: Any, dialect: Dialect) -> Table:
    """Make as many rows as there are teams for a table of which nothing is known here."""

    def parents(parent: Any, columns: Sequence[str]) -> list[Any]:
        filled = f" WHERE id >= {FIRST}" if "id" in parent.columns else ""
        order = ", ".join(column.name for column in parent.primary_key.columns)
        statement = f"SELECT {', '.join(columns)} FROM {parent.name}{filled} ORDER BY {order}"
        return list(driver.execute(f"{statement} LIMIT {count}"))

    columns = rows.written(table)
    binds = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in columns]
    # Made before they are written: while a COPY lasts, nothing else can be asked.
    made = list(rows.many(table, count, FIRST, parents))
    return (
        table.name,
        [column.name for column in columns],
        (
            [bind(value) if bind else value for bind, value in zip(binds, row, strict=True)]
            for row in made
        ),
    )


_Known = tuple[type[Base], Sequence[str], Iterator[Sequence[Any]]]


def _tables(size: Size) -> Iterator[_Known]:
    made = str(now())
    password_hash = passwords.hash_password(PASSWORD)
    yield (
        User,
        (
            *("id", "username", "username_key", "email", "email_key"),
            *("password_hash", "password_version", "first_name", "middle_name", "last_name"),
            *("is_active", "is_regular_user", "is_admin", "is_internal", "created", "updated"),
        ),
        (
            (
                *(FIRST + n, f"user-{n}", f"user-{n}", f"user-{n}@x.example"),
                *(f"user-{n}@x.example", password_hash, 0, "Ada", "", f"Lovelace {n}"),
                *(True, True, False, False, made, made),
            )
            for n in range(size.users)
        ),
    )
    yield (
        Team,
        ("id", "title", "created", "updated"),
        ((FIRST + n, f"Team {n}", made, made) for n in range(size.teams)),
    )
    members = ((*each, made) for each in _members(size))
    yield Member, ("team_id", "user_id", "is_leader", "created"), members
    yield (
        Client,
        (
            *("id", "client_id", "user_id", "name", "client_type", "secret_hash"),
            *("scopes", "grant_types", "redirect_uris", "created", "updated"),
        ),
        (
            (
                *(FIRST + n, f"client-{n}", FIRST + (n if n % 2 else BUSY)),
                *(f"Client {n}", "public", None),
                *(_SCOPE, "authorization_code refresh_token", "https://x.example/", made, made),
            )
            for n in range(size.clients)
        ),
    )
    yield (
        Grant,
        ("id", "client_id", "user_id", "scope", "created", "expires_at"),
        (
            (FIRST + n, size.client_of(n), size.user_of(n), _SCOPE, made, ends)
            for n, ends in zip(range(size.grants), _grant_ends(size), strict=False)
        ),
    )
    yield (
        Token,
        ("id", "hash", "kind", "grant_id", "scope", "issued_at", "expires_at", "used_at"),
        _tokens(size, made),
    )
    yield (
        Consent,
        ("id", "user_id", "client_id", "scope", "created"),
        (
            (FIRST + n, size.user_of(n), size.client_of(n), "", made)
            for n in range(min(size.grants, size.users))
        ),
    )
    yield (
        Code,
        (
            *("id", "hash", "client_id", "user_id", "redirect_uri", "redirect_uri_given"),
            *("code_challenge", "scope", "created", "expires_at", "used_at", "grant_id"),
        ),
        (
            (
                *(FIRST + n, _hash(f"code-{n}"), size.client_of(n), size.user_of(n), "", True),
                *("", _SCOPE, made, made, made, FIRST + n),
            )
            for n in range(4, size.grants, 10)  # those of other clients than the first
        ),
    )
    ends = str(now() + 7 * _DAY)
    yield (
        BrowserSession,
        ("id", "hash", "user_id", "created", "seen_at", "expires_at"),
        (
            (FIRST + n, _hash(f"session-{n}"), FIRST + n, made, made, ends)
            for n in range(0, size.users, 10)
        ),
    )


def _members(size: Size) -> Iterator[Sequence[Any]]:
    # The members of a team are far apart among the users; a stride that is prime visits them all.
    for team in range(size.teams):
        for place in range(MEMBERS_PER_TEAM):
            user = (team * MEMBERS_PER_TEAM + place) * 7919 % size.users
            if user != BUSY:
                yield FIRST + team, FIRST + user, place == 0
        yield FIRST + team, FIRST + BUSY, False


def _moments(count: int, first: datetime, last: datetime) -> Iterator[str]:
    step = (last - first) / max(count, 1)
    return (str(first + n * step) for n in range(count))


def _grant_ends(size: Size) -> Iterator[str]:
    past = _moments(size.grants, now() - 30 * _DAY, now() - _DAY)
    future = _moments(size.grants, now() + 30 * _DAY, now() + 90 * _DAY)
    for n, (over, on) in enumerate(zip(past, future, strict=True)):
        yield over if n % 20 == 19 else on


def _tokens(size: Size, made: str) -> Iterator[Sequence[Any]]:
    """Make the tokens in the order of their time, so that those of one grant are far apart."""
    ended, ends = (now() - 30 * _DAY, now() - _DAY), (now() + _DAY, now() + 14 * _DAY)
    places = range(size.grants)
    id = FIRST
    for turn in range(TOKENS_PER_GRANT):
        past, future = (_moments(size.grants, *span) for span in (ended, ends))
        for n, over, on in zip(places, past, future, strict=True):
            id += 1
            grant = FIRST + n
            expires_at = over if size.is_dead(n) else on
            row: tuple[str, str, str, str | None]
            if turn == 3:
                row = (access_token(n), ACCESS, expires_at, None)
            elif turn == 4:
                row = (refresh_token(n), REFRESH, expires_at, None)
            elif turn == 2 and not size.is_dead(n) and n % 9 < 5:
                row = (f"ended-{n}", ACCESS, over, None)
            else:
                row = (f"used-{turn}-{n}", REFRESH, over, made)
            value, kind, expires_at, used_at = row
            yield id, _hash(value), kind, grant, _SCOPE, made, expires_at, used_at


def _hash(value: str) -> bytes:
    return sha256(value.encode()).digest()


def _insert(connection: sqlite3.Connection, tables: Iterator[Table]) -> None:
    connection.execute("PRAGMA cache_size = -1000000")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN IMMEDIATE")
    for table, columns, made in tables:
        marks = ", ".join("?" * len(columns))
        insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        connection.executemany(insert, (_for_sqlite(row) for row in made))
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _for_sqlite(row: Sequence[Any]) -> Sequence[Any]:
    return [value.removesuffix("+00:00") if isinstance(value, str) else value for value in row]


def _copy(connection: Any, tables: Iterator[Table]) -> None:
    # Millions of rows take longer than a request may.
    connection.execute("SET statement_timeout = 0")
    # Without the triggers of the foreign keys, which would look up each row's parents.
    connection.execute("SET session_replication_role = replica")
    for name, columns, made in tables:
        with connection.cursor().copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in made:
                copy.write_row(row)
        if "id" in columns:
            asked = "SELECT pg_get_serial_sequence(%s, 'id')"
            [sequence] = connection.execute(asked, [name]).fetchone()
            if sequence is not None:  # not every id is a number that counts up
                connection.execute(f"SELECT setval(%s, (SELECT max(id) FROM {name}))", [sequence])
    connection.execute("SET session_replication_role = origin")
    connection.execute("VACUUM ANALYZE")
    connection.execute("RESET statement_timeout")

"""What the tests of the models are made of."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from passlib.context import CryptContext
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from models import Caller, Client, Grant, Team, Token, User
from models.database.base import now
from models.database.connections import session_factory
from models.errors import DomainError
from models.oauth.client import CONFIDENTIAL
from models.oauth.token import ACCESS, digest, generate
from models.users import passwords

HOUR = timedelta(hours=1)
PASSWORD = "correct horse battery"
ALL_GRANTS = ("client_credentials", "password", "refresh_token")
SCOPES = ("teams:read", "users:read", "users:write")

Action = Callable[[Session], Any]


@dataclass(frozen=True)
class Transaction:
    """The database of one request, as a token store has it, in the transaction of a session."""

    session: Session

    @cached_property
    def connection(self) -> Connection:
        """The connection of the transaction that is under way, or begins here."""
        return self.session.connection()


def old_hash() -> str:
    """Return a hash of PASSWORD that was made at another cost than those of today."""
    context = CryptContext(
        schemes=["argon2"],
        argon2__time_cost=3,
        argon2__memory_cost=16,
        argon2__parallelism=1,
    )
    return str(context.hash(PASSWORD))


def make_user(session: Session, username: str = "anna", **fields: Any) -> User:
    """Insert and commit a user with the password PASSWORD."""
    user = User(
        username=username,
        email=fields.pop("email", f"{username}@example.org"),
        password_hash=passwords._context.hash(PASSWORD),
        **fields,
    )
    session.add(user)
    session.commit()
    return user


def make_admin(session: Session, username: str = "root", **fields: Any) -> User:
    """Insert and commit an admin with the password PASSWORD."""
    return make_user(session, username, is_admin=True, **fields)


def make_client(session: Session, owner: User | None = None, **fields: Any) -> tuple[Client, str]:
    """Register and commit a client that may use every grant; return it and its secret."""
    if owner is None:
        owner = User.find_by_login(session, "owner") or make_user(session, "owner")
    values: dict[str, Any] = {
        "name": "A client",
        "client_type": CONFIDENTIAL,
        "scopes": SCOPES,
        "grant_types": ALL_GRANTS,
        "by_operator": True,
    }
    client, secret = Client.create(session, user_id=owner.id, **(values | fields))
    session.commit()
    return client, secret or ""


def make_team(session: Session, leader: User, *others: User, title: str = "The team") -> Team:
    """Insert and commit a team of a leader and others."""
    team = session.get_one(Team, Team.create(session.connection(), title, leader).id)
    for user in others:
        team.add(session, user.id)
    session.commit()
    return team


def grant_of(client: Client, user: User | None, **fields: Any) -> Grant:
    """Return a new grant, not yet stored, that ends in an hour."""
    values = {"scope": "users:read", "expires_at": now() + HOUR}
    user_id = None if user is None else user.id
    return Grant(client_id=client.id, user_id=user_id, **(values | fields))


def make_grant(session: Session, client: Client, user: User | None = None, **fields: Any) -> Grant:
    """Insert and commit a grant with an access token."""
    grant = grant_of(client, user, **fields)
    session.add(grant)
    session.flush()
    make_token(session, grant)
    return grant


def make_token(session: Session, grant: Grant, kind: str = ACCESS, **fields: Any) -> str:
    """Insert and commit a token of a grant; return what the client has of it."""
    token = generate()
    values = {"hash": digest(token), "scope": grant.scope, "expires_at": grant.expires_at}
    row = Token(kind=kind, grant_id=grant.id, **(values | fields))
    session.add(row)
    session.commit()
    return token


def acting(user: User, grant_id: int | None = None) -> Caller:
    """Return the caller that a user is."""
    return Caller(user, 1, grant_id, frozenset(SCOPES))


def is_writing(connection: Connection) -> bool:
    """Tell whether a connection is in a write transaction."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        return bool(driver.in_transaction)
    return bool(driver.info.transaction_status != TransactionStatus.IDLE)


def race(engine: Engine, actions: Iterable[Action]) -> list[Any]:
    """Run actions at once, each in a thread and a transaction of its own.

    Return what each returned or, after a rollback, raised. An error with a consequence is
    committed.
    """
    actions = list(actions)
    sessions = session_factory(engine)
    barrier = threading.Barrier(len(actions))
    outcomes: list[Any] = [None] * len(actions)

    def run(index: int, action: Action) -> None:
        with sessions() as session:
            barrier.wait()
            try:
                outcomes[index] = action(session)
                session.commit()
            except DomainError as error:
                outcomes[index] = error
                if error.consequence:
                    session.commit()
            except Exception as error:  # noqa: BLE001 (the test fails by it)
                outcomes[index] = error

    threads = [
        threading.Thread(target=run, args=(index, action)) for index, action in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def count(outcomes: list[Any], kind: type) -> int:
    """Return how many outcomes of a race are of a kind."""
    return sum(isinstance(outcome, kind) for outcome in outcomes)


def patched(*changes: tuple[str, Any], password: str = PASSWORD) -> list[Any]:
    """Return a JSON Patch of a user: the test of the password, then the replacements."""
    test = {"op": "test", "path": "/current_password", "value": password}
    return [test, *(replacing(path, value) for path, value in changes)]


def replacing(path: str, value: Any) -> Any:
    """Return the operation that replaces a value."""
    return {"op": "replace", "path": path, "value": value}


def checking(path: str, value: Any) -> Any:
    """Return the operation that tests a value."""
    return {"op": "test", "path": path, "value": value}

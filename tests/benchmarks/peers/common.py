"""What the peers with an ORM share: Roster's tables, and what people do with them.

Their queries are written as in SQLAlchemy's guide, where they are used and on whole objects, in as
few reads as may be: token, grant and user in one, and a team with its members in one.
"""

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error
from sqlalchemy import (
    DateTime,
    Dialect,
    ForeignKey,
    Select,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    sessionmaker,
)
from sqlalchemy.types import TypeDecorator

from tests.benchmarks.peers.engines import connect

ORIGIN = f"http://127.0.0.1:{os.environ.get('PORT', '5000')}"
API = "/api/v1"


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, which SQLite keeps without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Leave the zone out for SQLite."""
        return value.replace(tzinfo=None) if value and dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add the zone."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The declarative base."""

    type_annotation_map = {datetime: Moment}  # noqa: RUF012 (SQLAlchemy reads it)


class User(Base):
    """A user."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    username_key: Mapped[str]
    email: Mapped[str]
    email_key: Mapped[str]
    password_hash: Mapped[str]
    password_version: Mapped[int]
    first_name: Mapped[str]
    middle_name: Mapped[str]
    last_name: Mapped[str]
    is_active: Mapped[bool]
    is_regular_user: Mapped[bool]
    is_admin: Mapped[bool]
    is_internal: Mapped[bool]
    created: Mapped[datetime]
    updated: Mapped[datetime]


class Member(Base):
    """A user in a team."""

    __tablename__ = "members"

    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    is_leader: Mapped[bool]
    created: Mapped[datetime] = mapped_column(default=now)

    team: Mapped["Team"] = relationship(back_populates="members")
    user: Mapped[User] = relationship()


class Team(Base):
    """A team."""

    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    created: Mapped[datetime] = mapped_column(default=now)
    updated: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    members: Mapped[list[Member]] = relationship(back_populates="team", order_by=Member.user_id)


class Client(Base):
    """An OAuth client."""

    __tablename__ = "clients"

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    client_type: Mapped[str]
    secret_hash: Mapped[bytes | None]
    scopes: Mapped[str]
    grant_types: Mapped[str]


class Grant(Base):
    """What a client was granted."""

    __tablename__ = "grants"

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    scope: Mapped[str]
    created: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]


class Token(Base):
    """An access or a refresh token."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[bytes]
    kind: Mapped[str]
    grant_id: Mapped[int] = mapped_column(ForeignKey("grants.id"))
    scope: Mapped[str]
    issued_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


engine = connect(os.environ["DATABASE_URL"])
sessions = sessionmaker(engine, expire_on_commit=False)


@dataclass(frozen=True)
class Caller:
    """Whose token it is; without a user it is a client's that acts for itself."""

    user: User | None
    scopes: frozenset[str]

    @property
    def sees_all(self) -> bool:
        """Whether the caller may see every user and every team."""
        return self.user is None or self.user.is_admin or self.user.is_internal

    @property
    def is_writer(self) -> bool:
        """Whether the caller may write at all."""
        user = self.user
        return user is not None and (user.is_regular_user or user.is_admin or user.is_internal)


def digest(secret: str) -> bytes:
    """Return the hash by which a token is stored and found."""
    return hashlib.sha256(secret.encode()).digest()


# Most people write this where it is executed, which makes users/me a quarter slower.
_BEARER = (
    select(User, Token.scope)
    .select_from(Token)
    .join(Grant, Grant.id == Token.grant_id)
    .outerjoin(User, User.id == Grant.user_id)
    .where(
        Token.hash == bindparam("hash"),
        Token.kind == "access",
        Token.expires_at > bindparam("moment"),
        Grant.expires_at > bindparam("moment"),
        or_(Grant.user_id.is_(None), User.is_active),
    )
)


def find_caller(session: Session, token: str) -> Caller | None:
    """Look a bearer token up, with its grant and its user, in one read."""
    row = session.execute(_BEARER, {"hash": digest(token), "moment": now()}).one_or_none()
    return None if row is None else Caller(row[0], frozenset(row[1].split()))


def user_page(
    session: Session, limit: int, offset: int, cursor: int | None
) -> tuple[Sequence[User], dict[str, str]]:
    """Return a page of the users, with the headers that tell of the others.

    A page by cursor counts nothing.
    """
    headers = {}
    part: Select[Any] = select(User).order_by(User.id).limit(limit + 1)
    if cursor is None:
        total = session.scalar(select(func.count()).select_from(User))
        headers["X-Total-Count"] = str(total)
        part = part.offset(offset)
    else:
        part = part.where(User.id > cursor)
    users = session.scalars(part).all()
    if len(users) > limit:
        users = users[:limit]
        next_page = f"{ORIGIN}{API}/users?limit={limit}&cursor={users[-1].id}"
        headers["Link"] = f'<{next_page}>; rel="next"'
    return users, headers


def find_team(session: Session, team_id: int, caller: Caller) -> Team | None:
    """Return a team with its members, in one read; None where the caller may not know of it."""
    members = joinedload(Team.members, innerjoin=True)  # no team is without
    team = session.get(Team, team_id, options=[members.joinedload(Member.user, innerjoin=True)])
    if team is None or caller.sees_all:
        return team
    is_member = any(caller.user and each.user_id == caller.user.id for each in team.members)
    return team if is_member else None


def create_team(session: Session, title: str, leader: User) -> Team:
    """Create a team with the caller as its leader."""
    moment = now()
    team = Team(title=title, created=moment, updated=moment)
    team.members.append(Member(user=leader, is_leader=True))
    session.add(team)
    session.commit()
    return team


class InvalidGrant(Exception):
    """The password, the refresh token, or the client is not right."""


# The cost that the OWASP Password Storage Cheat Sheet asks for, and what an unknown user's takes.
_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_nobody = _hasher.hash(secrets.token_urlsafe())


def issue_token(session: Session, form: Mapping[str, str]) -> dict[str, Any]:
    """Answer a token request of a public client: password or refresh token.

    Raise InvalidGrant where it is refused.
    """
    client = session.scalar(select(Client).where(Client.client_id == form.get("client_id", "")))
    grant_type = form.get("grant_type", "")
    if client is None or grant_type not in client.grant_types.split():
        raise InvalidGrant
    if grant_type == "password":
        grant = _by_password(session, client, form)
    elif grant_type == "refresh_token":
        grant = _by_refresh_token(session, client, form)
    else:
        raise InvalidGrant
    access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    moment = now()
    for token, kind, life in (
        (access, "access", timedelta(hours=1)),
        (refresh, "refresh", timedelta(days=14)),
    ):
        ends = min(moment + life, grant.expires_at)
        session.add(
            Token(
                hash=digest(token),
                kind=kind,
                grant_id=grant.id,
                scope=grant.scope,
                issued_at=moment,
                expires_at=ends,
            )
        )
    session.commit()
    return {
        "token_type": "Bearer",
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": 3600,
        "scope": grant.scope,
    }


def _by_password(session: Session, client: Client, form: Mapping[str, str]) -> Grant:
    username = form.get("username", "").lower()
    user = session.scalar(select(User).where(User.username_key == username))
    known = user is not None and user.is_active
    try:
        _hasher.verify(user.password_hash if user and known else _nobody, form.get("password", ""))
    except Argon2Error:
        raise InvalidGrant from None
    if user is None or not known:
        raise InvalidGrant
    grant = Grant(
        client_id=client.id,
        user_id=user.id,
        scope=client.scopes,
        expires_at=now() + timedelta(days=90),
    )
    session.add(grant)
    session.flush()
    return grant


def _by_refresh_token(session: Session, client: Client, form: Mapping[str, str]) -> Grant:
    row = session.execute(
        select(Token.id, Grant)
        .join(Grant, Grant.id == Token.grant_id)
        .join(User, User.id == Grant.user_id)
        .where(
            Token.hash == digest(form.get("refresh_token", "")),
            Token.kind == "refresh",
            Grant.client_id == client.id,
            User.is_active,
        )
    ).one_or_none()
    if row is None:
        raise InvalidGrant
    token_id, grant = row
    moment = now()
    claimed = session.scalar(
        update(Token)
        .where(Token.id == token_id, Token.used_at.is_(None), Token.expires_at > moment)
        .values(used_at=moment)
        .returning(Token.id)
    )
    if claimed is None:  # used before: the whole family ends
        session.execute(delete(Grant).where(Grant.id == grant.id))
        session.commit()
        raise InvalidGrant
    found: Grant = grant
    return found

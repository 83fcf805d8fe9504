"""Secrets that requests take: codes, tokens and browser sessions, made before a measurement.

Roster's are rows in its database. A peer makes its own, by the means of its library, where it is
asked for them by POST /prepare.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx2
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from models import Client, Consent, Grant, Token, User
from models.database.base import now
from models.oauth.browser_session import BrowserSession
from models.oauth.code import Code
from models.oauth.secret import digest, generate
from models.oauth.token import ACCESS, REFRESH
from tests.benchmarks import authorization as known
from tests.benchmarks import data
from tests.benchmarks.servers import ROSTER, Server

_PATIENCE_SECONDS = 120


def prepare(server: Server, what: str, count: int) -> Sequence[str]:
    """Make secrets of a kind: `code`, `access`, `refresh`, `expired`, `dead` or `session`.

    They belong to the users by turns. Dead are expired access tokens and unknown ones by turns;
    sessions are values of the Cookie header.
    """
    made = _prepare(server, what, count)
    # PostgreSQL does this by itself within a minute of so many new rows; SQLite never does.
    if server.database_url.startswith("postgresql"):
        data.analyze(server.database_url)
    return made


def _prepare(server: Server, what: str, count: int) -> Sequence[str]:
    if what == "dead":
        expired = _prepare(server, "expired", (count + 1) // 2)
        return [token for each in expired for token in (each, secrets.token_urlsafe(32))][:count]
    if server.kind.name == ROSTER.name:
        with data.session(server.database_url) as session:
            return _MAKERS[what](session, count)
    answer = httpx2.post(
        f"{server.url}/prepare",
        params={"what": what, "count": count},
        timeout=_PATIENCE_SECONDS,
        trust_env=False,
    )
    answer.raise_for_status()
    made: list[str] = answer.json()
    return made


def _owners(session: Session, count: int) -> tuple[int, list[int]]:
    """Return the row of the client, and so many rows of users by turns."""
    client = session.scalars(select(Client.id).where(Client.client_id == data.WEB)).one()
    users = session.scalars(
        select(User.id).where(User.username.in_(known.USERS)).order_by(User.id)
    ).all()
    return client, [users[number % len(users)] for number in range(count)]


def _remember(session: Session, client: int, owners: list[int]) -> None:
    """Remember that users allowed the client all that it asks for, as the consent page does."""
    session.execute(delete(Consent).where(Consent.client_id == client))
    session.execute(
        insert(Consent),
        [{"client_id": client, "user_id": each, "scope": known.SCOPE} for each in {*owners}],
    )


def _codes(session: Session, count: int) -> list[str]:
    client, owners = _owners(session, count)
    _remember(session, client, owners)
    made = [generate() for _ in owners]
    moment = now()
    same = {
        "client_id": client,
        "redirect_uri": data.REDIRECT_URI,
        "redirect_uri_given": True,
        "code_challenge": known.challenge(known.VERIFIER),
        "scope": known.SCOPE,
        "created": moment,
        "expires_at": moment + timedelta(seconds=known.CODE_SECONDS),
    }
    rows = [
        {**same, "hash": digest(code), "user_id": owner}
        for code, owner in zip(made, owners, strict=True)
    ]
    session.execute(insert(Code), rows)
    return made


def _tokens(
    session: Session, kind: str, ends: datetime, owners: list[int], grants: int
) -> list[str]:
    """Make a token for each owner; the first so many grants have them by turns."""
    client, _ = _owners(session, 0)
    made = [generate() for _ in owners]
    same: dict[str, Any] = {"client_id": client, "scope": known.SCOPE, "created": now()}
    family = now() + timedelta(seconds=known.GRANT_SECONDS)
    ids = session.scalars(
        insert(Grant).returning(Grant.id, sort_by_parameter_order=True),
        [{**same, "user_id": owner, "expires_at": family} for owner in owners[:grants]],
    ).all()
    rows = [
        {
            "hash": digest(token),
            "kind": kind,
            "grant_id": ids[number % len(ids)],
            "scope": known.SCOPE,
            "issued_at": now(),
            "expires_at": ends,
        }
        for number, token in enumerate(made)
    ]
    session.execute(insert(Token), rows)
    return made


def _access_tokens(session: Session, count: int, seconds: int) -> list[str]:
    """Make access tokens, of one grant of each user: more of them are more than the quota."""
    _, owners = _owners(session, count)
    ends = now() + timedelta(seconds=seconds)
    return _tokens(session, ACCESS, ends, owners, len(known.USERS))


def _access(session: Session, count: int) -> list[str]:
    return _access_tokens(session, count, known.ACCESS_SECONDS)


def _expired(session: Session, count: int) -> list[str]:
    return _access_tokens(session, count, -10)


def _refresh(session: Session, count: int) -> list[str]:
    _, owners = _owners(session, count)
    ends = now() + timedelta(seconds=known.REFRESH_SECONDS)
    return _tokens(session, REFRESH, ends, owners, count)


def _sessions(session: Session, count: int) -> list[str]:
    """Sign users in, and remember that each allowed the client all that it asks for."""
    client, owners = _owners(session, count)
    made = [generate() for _ in owners]
    ends = now() + timedelta(seconds=known.SESSION_SECONDS)
    _remember(session, client, owners)
    rows = [
        {"hash": digest(value), "user_id": owner, "expires_at": ends}
        for value, owner in zip(made, owners, strict=True)
    ]
    session.execute(insert(BrowserSession), rows)
    return [f"roster_session={value}" for value in made]


_MAKERS = {
    "access": _access,
    "code": _codes,
    "expired": _expired,
    "refresh": _refresh,
    "session": _sessions,
}

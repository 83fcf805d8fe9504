"""The development data; never loaded in production."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.database.connections import begin_alone
from models.oauth.client import GRANT_TYPES, PUBLIC, Client
from models.oauth.secret import digest
from models.users.passwords import hash_password
from models.users.user import User

CLIENT_ID = "documentation"
CLIENT_SECRET = "KQ()SWK)SQK)QWSKQW(SKQ)S(QWSQW(SJ*HQ&HQW*SQ*^SSQWSGQSG"
REDIRECT_PATH = "/api/v1/oauth2-redirect.html"


def load(session: Session, issuer: str, port: int, scopes: Iterable[str]) -> None:
    """Load users and a client with these scopes into a database without users.

    In any other only the client is looked for, and given the scopes that it lacks. The passwords
    are exempt from the rules. `issuer` is the origin of the server, `port` the one on which it
    listens.
    """
    if _has_users(session):
        _widen(session, scopes)
        return
    users = [
        _user("root", "q", domain="localhost", is_regular_user=True, is_admin=True),
        _user("documentation", "w", is_active=False, is_regular_user=False),
        _user("user", "w", is_regular_user=True),
        _user("internal", "q", is_regular_user=False, is_internal=True),
    ]
    begin_alone(session.connection())
    if _has_users(session):
        return
    for user in users:
        session.add(user)
        session.flush()  # one by one, so that their ids are in this order
    uris = [origin + REDIRECT_PATH for origin in (issuer, f"http://localhost:{port}")]
    client = Client(
        client_id=CLIENT_ID,
        user_id=users[1].id,
        name="Documentation",
        client_type=PUBLIC,
        secret_hash=digest(CLIENT_SECRET),
        scopes=tuple(sorted(scopes)),
        grant_types=GRANT_TYPES,
        redirect_uris=tuple(dict.fromkeys(uris)),
        by_operator=True,
    )
    session.add(client)
    session.flush()


def _widen(session: Session, scopes: Iterable[str]) -> None:
    """Give the client the scopes that have come since it was loaded."""
    client = Client.find(session, CLIENT_ID)
    if client is None or client.client_type != PUBLIC or not client.by_operator:
        return  # somebody else's, or none
    if set(scopes).issubset(client.scopes):
        return
    begin_alone(session.connection())
    if Client.lock(session, client.id):
        client.scopes = tuple(sorted({*client.scopes, *scopes}))
        session.flush()


def _has_users(session: Session) -> bool:
    return session.scalar(select(User.id).limit(1)) is not None


def _user(username: str, password: str, domain: str = "example.org", **flags: bool) -> User:
    return User(
        username=username,
        email=f"{username}@{domain}",
        password_hash=hash_password(password),
        **flags,
    )

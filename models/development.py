"""The development data; never loaded in production."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.database.connections import begin_alone
from models.oauth.client import GRANT_TYPES, PUBLIC, Client
from models.oauth.secret import digest
from models.users.passwords import hash_password
from models.users.user import User

CLIENT_ID = "documentation"
CLIENT_SECRET = "KQ()SWK)SQK)QWSKQW(SKQ)S(QWSQW(SJ*HQ&HQW*SQ*^SSQWSGQSG"
SCOPES = ("auth:read", "auth:write", "teams:read", "teams:write", "users:read", "users:write")
REDIRECT_PATH = "/api/v1/oauth2-redirect.html"


def load(session: Session, issuer: str, port: int) -> None:
    """Load users and a client into a database without users; leave any other database unchanged.

    The passwords are exempt from the rules. `issuer` is the origin of the server, `port` the
    one on which it listens.
    """
    if _has_users(session):
        return
    users = [
        _user("root", "q", is_regular_user=True, is_admin=True),
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
        scopes=SCOPES,
        grant_types=GRANT_TYPES,
        redirect_uris=tuple(dict.fromkeys(uris)),
        by_operator=True,
    )
    session.add(client)
    session.flush()


def _has_users(session: Session) -> bool:
    return session.scalar(select(User.id).limit(1)) is not None


def _user(username: str, password: str, **flags: bool) -> User:
    return User(
        username=username,
        email=f"{username}@localhost",
        password_hash=hash_password(password),
        **flags,
    )

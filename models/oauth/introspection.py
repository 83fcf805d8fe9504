"""Introspection (RFC 7662): a client and one of its tokens, in one read, without oauthlib.

Resource servers ask for each of their own requests. oauthlib would parse the form once more, and
have the client and the token read one by one as objects: that takes three times as long. A test
compares the answers with those of oauthlib's own endpoint.
"""

import hmac
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select

from models.attempt_limit import AttemptLimit
from models.database.base import is_storable, now
from models.database.prepared import Prepared
from models.errors import OAuthError
from models.oauth.client import INVALID_CLIENT, Client
from models.oauth.grant import Grant
from models.oauth.token import ACCESS, Token, digest
from models.users.user import User

# The row is there for each client; what follows its columns is empty where the token is not live.
_CLIENT_AND_TOKEN = Prepared(
    select(
        Client.secret_hash,
        Grant.id.label("grant_id"),
        User.id.label("user_id"),
        User.username,
        User.is_active,
        Token.kind,
        Token.scope,
        Token.issued_at,
        Token.expires_at,
    )
    .select_from(Client)
    .outerjoin(
        Token,
        and_(
            Token.hash == bindparam("hash"),
            Token.is_unused(),
            Token.expires_at > bindparam("moment"),
        ),
    )
    .outerjoin(
        Grant,
        and_(
            Grant.id == Token.grant_id,
            Grant.client_id == Client.id,
            Grant.expires_at > bindparam("moment"),
        ),
    )
    .outerjoin(User, User.id == Grant.user_id)
    .where(Client.client_id == bindparam("client"))
)


def introspect(
    connection: Connection, client_id: str, secret: str, token: str, attempts: AttemptLimit
) -> dict[str, Any] | None:
    """Return the claims of a live token of a client (RFC 7662 section 2.2); None for any other.

    Refresh tokens have no `token_type`. A token of client credentials has the client as its `sub`,
    and no `username`.

    :raises OAuthError: `invalid_client`, where the client is unknown or its secret is wrong.
    :raises TooManyAttempts: after too many wrong secrets.
    """
    values = {"client": client_id, "hash": digest(token), "moment": now()}
    row = _CLIENT_AND_TOKEN.first(connection, **values) if is_storable(client_id) else None
    if row is None:
        raise OAuthError("invalid_client", INVALID_CLIENT)
    attempts.count("secret", client_id)
    if row.secret_hash is None or not hmac.compare_digest(digest(secret), row.secret_hash):
        raise OAuthError("invalid_client", INVALID_CLIENT)
    attempts.succeeded("secret", client_id)
    if row.grant_id is None or not (row.user_id is None or row.is_active):
        return None
    claims = {
        "scope": row.scope,
        "client_id": client_id,
        "sub": client_id if row.user_id is None else str(row.user_id),
        "exp": int(row.expires_at.timestamp()),
        "iat": int(row.issued_at.timestamp()),
    }
    if row.user_id is not None:
        claims["username"] = row.username
    if row.kind == ACCESS:
        claims["token_type"] = "Bearer"
    return claims

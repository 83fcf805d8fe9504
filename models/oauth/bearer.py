"""Bearer tokens (RFC 6750): from an access token to its caller, in one read."""

from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from models.caller import Caller
from models.database.base import now
from models.database.prepared import Prepared
from models.oauth.grant import Grant
from models.oauth.token import ACCESS, Token, digest
from models.users.user import User


def _of_live_token(*columns: Any) -> Prepared:
    """Select columns of the live access token with a hash, of its grant and its user."""
    return Prepared(
        select(*columns)
        .select_from(Token)
        .join(Grant, Grant.id == Token.grant_id)
        .outerjoin(User, User.id == Grant.user_id)
        .where(
            Token.hash == bindparam("hash"),
            Token.kind == ACCESS,
            Token.expires_at > bindparam("moment"),
            Grant.expires_at > bindparam("moment"),
            or_(Grant.user_id.is_(None), User.is_active),
        )
    )


# Every request has a token: one read, of columns only, which cost a fraction of mapped objects. The
# user's columns keep their names, so that the row is the caller's account.
_BEARER = _of_live_token(
    *User.account_columns(),
    Grant.client_id.label("grant_client"),
    Grant.id.label("grant_id"),
    Token.scope.label("token_scope"),
)
_RIGHTS = _of_live_token(
    User.id, User.is_active, User.is_regular_user, User.is_admin, User.is_internal
)


def caller_of(connection: Connection, token: str) -> Caller | None:
    """Return the caller of a request with this access token; None where no such token is live."""
    row = _BEARER.first(connection, hash=digest(token), moment=now())
    if row is None:
        return None
    account = None if row.id is None else row
    return Caller(account, row.grant_client, row.grant_id, frozenset(row.token_scope.split()))


def has_same_rights(
    connection: Connection, token: str, caller: Caller, found: list[Any] | None = None
) -> bool | None:
    """Tell whether a caller has the rights that it had; None where its token is no longer live.

    `found` are the rows of `question_of_rights`, where the database was asked already.
    """
    if found is None:
        found = _RIGHTS.raw(connection, hash=digest(token), moment=now())
    return tuple(found[0]) == caller.rights if found else None


def question_of_rights(connection: Connection, token: str) -> tuple[str, list[Any]]:
    """Return the select of `has_same_rights` and its values, to be sent with others."""
    return _RIGHTS.question(connection, hash=digest(token), moment=now())

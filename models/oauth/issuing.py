"""The rows of issued tokens, stored by as few statements as the database can do with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, Insert, bindparam, insert, select, true, union_all
from sqlalchemy import cast as cast_in_sql

from models.database.prepared import Prepared
from models.oauth.code import CodeRow, redeeming
from models.oauth.grant import Grant
from models.oauth.token import Token, digest


class NewGrant(NamedTuple):
    """The columns of a grant that begins; the user is None for client credentials."""

    client_id: int
    user_id: int | None
    scope: str
    created: datetime
    expires_at: datetime


class NewToken(NamedTuple):
    """A token that is issued, with the columns that it does not share with others."""

    value: str
    kind: str
    scope: str
    expires_at: datetime


def add_tokens(
    connection: Connection, grant_id: int, tokens: Sequence[NewToken], moment: datetime
) -> None:
    """Store one or two tokens in a grant. An error may be raised by the commit, too."""
    _ADD[len(tokens)].write_later(connection, grant=grant_id, moment=moment, **_values(tokens))


def begin_grant(
    connection: Connection, grant: NewGrant, tokens: Sequence[NewToken], code: CodeRow | None
) -> None:
    """Store a grant with one or two tokens, and mark the code as used that was exchanged for it.

    :raises OAuthError: `invalid_grant`, where the code has just ended, or been used.
    """
    values = {
        "client": grant.client_id,
        "user": grant.user_id,
        "new_scope": grant.scope,
        "moment": grant.created,
        "ends": grant.expires_at,
    }
    count, values_of_tokens = len(tokens), _values(tokens)
    if connection.dialect.name != "postgresql":
        [made] = _INSERT_GRANT.all(connection, **values)
        if code is not None:
            code.redeem(connection, made.id, grant.created)
        _ADD[count].all(connection, grant=made.id, moment=grant.created, **values_of_tokens)
    elif code is None:
        _BEGIN[count].write_later(connection, **values, **values_of_tokens)
    elif not _EXCHANGE[count].all(connection, code=code.id, **values, **values_of_tokens):
        raise code.ended()


def _values(tokens: Sequence[NewToken]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for number, (value, kind, scope, expires_at) in enumerate(tokens):
        values[f"hash_{number}"] = digest(value)
        values[f"kind_{number}"] = kind
        values[f"scope_{number}"] = scope
        values[f"ends_{number}"] = expires_at
    return values


def _row(number: int) -> dict[str, BindParameter[Any]]:
    """Return the parameters of the token with that number, besides its grant, by their columns."""
    return {
        "hash": bindparam(f"hash_{number}", type_=Token.hash.type),
        "kind": bindparam(f"kind_{number}", type_=Token.kind.type),
        "scope": bindparam(f"scope_{number}", type_=Token.scope.type),
        "issued_at": bindparam("moment", type_=Token.issued_at.type),
        "expires_at": bindparam(f"ends_{number}", type_=Token.expires_at.type),
    }


def _add(count: int) -> Prepared:
    """Insert so many tokens; nobody asks for their ids."""
    grant = bindparam("grant", type_=Token.grant_id.type)
    rows = [{**_row(number), "grant_id": grant} for number in range(count)]
    return Prepared(insert(Token).values(rows).inline())


_insert_grant = (
    insert(Grant)
    .values(
        client_id=bindparam("client"),
        user_id=bindparam("user"),
        scope=bindparam("new_scope"),
        created=bindparam("moment"),
        expires_at=bindparam("ends"),
    )
    .returning(Grant.id)
)
_INSERT_GRANT = Prepared(_insert_grant)


def _begin(count: int, *, with_code: bool) -> Insert:
    """Insert a grant and so many tokens in one statement of PostgreSQL.

    With a code it is marked as used, too; where it cannot be, no token is inserted.
    """
    grant = _insert_grant.cte("new_grant")
    source: Any = grant
    if with_code:
        code = redeeming(select(grant.c.id).scalar_subquery()).cte("redeemed")
        source = grant.join(code, true())
    names = [*_row(0), "grant_id"]
    rows = [
        select(
            *(cast_in_sql(value, value.type) for value in _row(number).values()), grant.c.id
        ).select_from(source)
        for number in range(count)
    ]
    return insert(Token).from_select(names, union_all(*rows), include_defaults=False)


_ADD = {count: _add(count) for count in (1, 2)}
_BEGIN = {count: Prepared(_begin(count, with_code=False)) for count in (1, 2)}
_EXCHANGE = {count: Prepared(_begin(count, with_code=True).returning(Token.id)) for count in (1, 2)}

"""The purge: deleting expired rows in batches."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, select, true, update
from sqlalchemy.orm import Session

from models.database.base import now
from models.oauth.browser_session import BrowserSession
from models.oauth.code import Code
from models.oauth.grant import Grant
from models.oauth.token import Token

# A request that began earlier may still use a row that has just expired.
_GRACE = timedelta(minutes=1)

# The condition besides the expiry: a used token or code stays with its grant, so that its second
# use is recognised.
_ENDED: dict[Any, ColumnElement[bool]] = {
    Token: Token.used_at.is_(None),
    Grant: true(),
    Code: Code.grant_id.is_(None),
    BrowserSession: true(),
}


def purge(session: Session, batch: int = 100) -> Iterator[int]:
    """Delete expired rows in batches; yield the number of each, which is then to be committed.

    Used tokens and codes stay as long as their grant, which ends with the last of its other tokens.
    Locked rows are left to the next purge: this one does not wait.
    """
    dead = now() - _GRACE
    for table in _ENDED:
        since = None
        while rows := _lock_ended(session, table, since, dead, batch):
            if table is Grant and (tokens := _purge_tokens_of(session, _ids(rows), batch)):
                yield tokens
                continue
            session.execute(delete(table).where(table.id.in_(_ids(rows))))
            if table is Token:
                _end_idle(session, rows)
            # PostgreSQL's index keeps deleted rows for a while: do not read them again.
            since = rows[-1].expires_at
            yield len(rows)


def _lock_ended(
    session: Session, table: Any, since: datetime | None, dead: datetime, batch: int
) -> Sequence[Row[Any]]:
    columns = [table.id, table.expires_at, *([Token.grant_id] if table is Token else [])]
    ended = select(*columns).where(_ENDED[table], table.expires_at <= dead)
    if since is not None:
        ended = ended.where(table.expires_at >= since)
    ended = ended.order_by(table.expires_at).limit(batch)
    return session.execute(ended.with_for_update(skip_locked=True)).all()


def _purge_tokens_of(session: Session, grants: Sequence[int], batch: int) -> int:
    """Delete tokens of expired grants: there may be more than a cascade should delete."""
    some = select(Token.id).where(Token.grant_id.in_(grants)).limit(batch)
    tokens = session.scalars(some).all()
    session.execute(delete(Token).where(Token.id.in_(tokens)))
    return len(tokens)


def _end_idle(session: Session, tokens: Sequence[Row[Any]]) -> None:
    """End the grants of tokens that were just deleted, if they have no live token."""
    lives = exists().where(Token.grant_id == Grant.id, Token.used_at.is_(None))
    ends = tokens[-1].expires_at
    grants = {token.grant_id for token in tokens}
    idle = select(Grant.id).where(Grant.id.in_(grants), Grant.expires_at > ends, ~lives)
    ids = session.scalars(idle.with_for_update(skip_locked=True)).all()
    session.execute(update(Grant).where(Grant.id.in_(ids)).values(expires_at=ends))


def _ids(rows: Sequence[Row[Any]]) -> list[int]:
    return [row.id for row in rows]

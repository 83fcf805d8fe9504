"""Deleting what has ended, a batch at a time."""

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

# What has just ended may still be in the hands of a request that began before.
_GRACE = timedelta(minutes=1)

# What is looked for besides the moment of the end: a token or a code that was used stays with its
# grant, to be known when it comes back.
_ENDED: dict[Any, ColumnElement[bool]] = {
    Token: Token.used_at.is_(None),
    Grant: true(),
    Code: Code.grant_id.is_(None),
    BrowserSession: true(),
}


def purge(session: Session, batch: int = 100) -> Iterator[int]:
    """Delete what has ended, some rows at a time; yield how many went, each time to be committed.

    Used tokens and codes stay as long as their grant lives, which is until the last of its other
    tokens ends. Rows that somebody has locked are left for the next purge: this waits for nobody.
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
            # PostgreSQL keeps what was deleted in the index for a while: not to be read again.
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
    """Delete tokens of grants that are over, of which there may be more than a cascade should."""
    some = select(Token.id).where(Token.grant_id.in_(grants)).limit(batch)
    tokens = session.scalars(some).all()
    session.execute(delete(Token).where(Token.id.in_(tokens)))
    return len(tokens)


def _end_idle(session: Session, tokens: Sequence[Row[Any]]) -> None:
    """End the grants of tokens that were just deleted, where nothing of them lives any more."""
    lives = exists().where(Token.grant_id == Grant.id, Token.used_at.is_(None))
    ends = tokens[-1].expires_at
    grants = {token.grant_id for token in tokens}
    idle = select(Grant.id).where(Grant.id.in_(grants), Grant.expires_at > ends, ~lives)
    ids = session.scalars(idle.with_for_update(skip_locked=True)).all()
    session.execute(update(Grant).where(Grant.id.in_(ids)).values(expires_at=ends))


def _ids(rows: Sequence[Row[Any]]) -> list[int]:
    return [row.id for row in rows]

"""Deleting what has ended, a batch at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, delete, exists, select, update
from sqlalchemy.orm import Session

from models.base import now
from models.browser_session import BrowserSession
from models.code import Code
from models.grant import Grant
from models.token import Token

# What has just ended may still be in the hands of a request that began before.
_GRACE = timedelta(minutes=1)


def purge(session: Session, batch: int = 1000) -> int:
    """Delete a batch of ended rows, all of one kind; return how many went.

    A used refresh token stays as long as its grant lives, to be known when it comes back. Call
    it again, each time in a transaction of its own, until it returns 0.
    """
    dead = now() - _GRACE
    for purge_kind in (_purge_grants, _purge_tokens, _purge_codes, _purge_sessions):
        if purged := purge_kind(session, dead, batch):
            return purged
    return 0


def _purge_grants(session: Session, dead: datetime, batch: int) -> int:
    """Delete grants that have ended, after their tokens, of which there may be very many."""
    ended = select(Grant.id).where(Grant.expires_at <= dead).order_by(Grant.expires_at)
    grants = _lock(session, ended, batch)
    tokens = session.scalars(select(Token.id).where(Token.grant_id.in_(grants)).limit(batch)).all()
    session.execute(delete(Token).where(Token.id.in_(tokens)))
    if len(tokens) == batch:
        return batch
    session.execute(delete(Grant).where(Grant.id.in_(grants)))
    return len(tokens) + len(grants)


def _purge_tokens(session: Session, dead: datetime, batch: int) -> int:
    """Delete tokens that ended unused; a grant of which nothing lives any more ends with them."""
    ended = select(Token.id).where(Token.used_at.is_(None), Token.expires_at <= dead)
    tokens = _lock(session, ended.order_by(Token.expires_at), batch)
    removal = delete(Token).where(Token.id.in_(tokens)).returning(Token.grant_id)
    grants = set(session.scalars(removal))
    lives = exists().where(Token.grant_id == Grant.id, Token.used_at.is_(None))
    over = select(Grant.id).where(Grant.id.in_(grants), Grant.expires_at > dead, ~lives)
    idle = _lock(session, over, batch)
    session.execute(update(Grant).where(Grant.id.in_(idle)).values(expires_at=dead))
    return len(tokens)


def _purge_codes(session: Session, dead: datetime, batch: int) -> int:
    """Delete codes that ended unused; a used one stays with its grant, to be known again."""
    ended = select(Code.id).where(Code.grant_id.is_(None), Code.expires_at <= dead)
    codes = _lock(session, ended, batch)
    session.execute(delete(Code).where(Code.id.in_(codes)))
    return len(codes)


def _purge_sessions(session: Session, dead: datetime, batch: int) -> int:
    ended = _lock(
        session, select(BrowserSession.id).where(BrowserSession.expires_at <= dead), batch
    )
    session.execute(delete(BrowserSession).where(BrowserSession.id.in_(ended)))
    return len(ended)


def _lock(session: Session, ids: Select[int], batch: int) -> Sequence[int]:
    # Rows that somebody has locked are left for the next time, so this waits for nobody.
    return session.scalars(ids.limit(batch).with_for_update(skip_locked=True)).all()

"""Access and refresh tokens, found by their hash."""

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, LargeBinary, String, Text, delete, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Id, Identified, now
from models.browser_session import BrowserSession
from models.code import Code
from models.grant import Grant
from models.secret import digest, generate

__all__ = ["ACCESS", "REFRESH", "Token", "digest", "generate", "purge"]

ACCESS = "access"
REFRESH = "refresh"

# What has just ended may still be in the hands of a request that began before.
_GRACE = timedelta(minutes=1)


class Token(Identified, Base):
    """A token of a grant; `used_at` is when a refresh token was exchanged for the next one."""

    __tablename__ = "tokens"

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    kind: Mapped[str] = mapped_column(String(7))
    grant_id: Mapped[int] = mapped_column(
        Id, ForeignKey("grants.id", ondelete="CASCADE"), index=True
    )
    scope: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


def purge(session: Session, batch: int = 1000) -> int:
    """Delete up to `batch` dead rows of each kind; return how many went.

    A used refresh token stays as long as its grant lives, to be known when it comes back.
    Call it again, each time in a transaction of its own, until it returns 0.
    """
    dead = now() - _GRACE
    lives = exists().where(
        Token.grant_id == Grant.id, Token.used_at.is_(None), Token.expires_at > dead
    )
    # Rows that somebody has locked are left for the next time, so this waits for nobody.
    grants = session.scalars(
        select(Grant.id).where(~lives).limit(batch).with_for_update(skip_locked=True)
    ).all()
    session.execute(delete(Grant).where(Grant.id.in_(grants)))
    others = sum(_purge_ended(session, table, dead, batch) for table in (Code, BrowserSession))
    tokens = session.scalars(
        select(Token.id)
        .where(Token.kind == ACCESS, Token.expires_at <= dead)
        .limit(batch)
        .with_for_update(skip_locked=True)
    ).all()
    session.execute(delete(Token).where(Token.id.in_(tokens)))
    return len(grants) + len(tokens) + others


def _purge_ended(
    session: Session, table: type[Code | BrowserSession], dead: datetime, batch: int
) -> int:
    ended = select(table.id).where(table.expires_at <= dead)
    if table is Code:  # one that was used stays with its grant, to be known when it comes back
        ended = ended.where(Code.grant_id.is_(None))
    ids = session.scalars(ended.limit(batch).with_for_update(skip_locked=True)).all()
    session.execute(delete(table).where(table.id.in_(ids)))
    return len(ids)

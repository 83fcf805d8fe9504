"""The sessions of browsers whose user has signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from sqlalchemy import ForeignKey, LargeBinary, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from models.base import Base, Id, Identified, now
from models.secret import digest, generate

if TYPE_CHECKING:
    from models.user import User

# A session that is in use is not written at each request, but often enough to stay alive.
_SEEN_ANEW = timedelta(minutes=1)
_TIMES_WHILE_IDLE = 3


@dataclass(frozen=True)
class SessionLifetimes:
    """How long a session lives without use and in all, in seconds."""

    idle: int = 8 * 3600
    total: int = 7 * 24 * 3600


class BrowserSession(Identified, Base):
    """A session, found by the hash of the random id that is in the browser's cookie."""

    __tablename__ = "browser_sessions"

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)

    @classmethod
    def begin(cls, session: Session, user: User, lifetimes: SessionLifetimes) -> str:
        """Begin a session; return its id, for the cookie alone."""
        value = generate()
        ends = now() + timedelta(seconds=lifetimes.total)
        session.add(cls(hash=digest(value), user_id=user.id, expires_at=ends))
        session.flush()
        return value

    @classmethod
    def find(cls, session: Session, value: str, lifetimes: SessionLifetimes) -> Self | None:
        """Return the live session of an active user that has this id."""
        moment = now()
        found = session.scalar(
            select(cls).where(
                cls.hash == digest(value),
                cls.expires_at > moment,
                cls.seen_at > moment - timedelta(seconds=lifetimes.idle),
            )
        )
        if found is None or not found.user.is_active:
            return None
        idle = timedelta(seconds=lifetimes.idle)
        if found.seen_at < moment - min(_SEEN_ANEW, idle / _TIMES_WHILE_IDLE):
            # Users are locked before what hangs on them; who had this one may just have ended it.
            found.user.hold(session, found.user_id)
            seen = update(cls).where(cls.id == found.id).values(seen_at=moment).returning(cls.id)
            if session.scalar(seen) is None:
                return None
        return found

    @staticmethod
    def end(session: Session, value: str) -> None:
        """End the session that has this id, if there is one; its user is not locked for that."""
        session.execute(delete(BrowserSession).where(BrowserSession.hash == digest(value)))

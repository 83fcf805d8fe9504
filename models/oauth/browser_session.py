"""Browser sessions: they begin when a user signs in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database.base import Base, Id, Identified, now
from models.database.connections import begin
from models.database.prepared import Prepared
from models.oauth.secret import digest, generate
from models.quotas import Quotas, serialize
from models.users.user import User

# The time of the last use is not written at each request, but often enough to keep the session.
_SEEN_ANEW = timedelta(minutes=1)
_TIMES_WHILE_IDLE = 3
# How many sessions a new one may end at most.
_SURPLUS = 100


@dataclass(frozen=True)
class SessionLifetimes:
    """Lifetimes of a session in seconds: `idle` without use, `total` in all."""

    idle: int = 8 * 3600
    total: int = 7 * 24 * 3600


class SignedIn(NamedTuple):
    """The user of a session, as far as pages and codes need it."""

    id: int
    username: str


class BrowserSession(Identified, Base):
    """A session, found by the hash of the random id in the browser's cookie."""

    __tablename__ = "browser_sessions"

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    created: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)

    @classmethod
    def begin(
        cls,
        session: Session,
        user: User,
        lifetimes: SessionLifetimes,
        most: int = Quotas.sessions,
    ) -> str:
        """Begin a session; return its id, which only the cookie gets.

        The user's row was locked at the login. If there are `most` sessions already, the oldest one
        ends; sessions that were idle for too long end first.
        """
        value = generate()
        moment = now()
        serialize(session.connection(), user.id)
        is_idle = cls.seen_at <= moment - timedelta(seconds=lifetimes.idle)
        oldest_last = (
            select(cls.id)
            .where(cls.user_id == user.id, cls.expires_at > moment)
            .order_by(is_idle, cls.expires_at.desc(), cls.id.desc())
        )
        surplus = session.scalars(oldest_last.offset(most - 1).limit(_SURPLUS)).all()
        if surplus:
            # A session that is locked is just ending, or was just used.
            free = select(cls.id).where(cls.id.in_(surplus)).with_for_update(skip_locked=True)
            session.execute(delete(cls).where(cls.id.in_(session.scalars(free).all())))
        ends = moment + timedelta(seconds=lifetimes.total)
        moments = {"created": moment, "seen_at": moment, "expires_at": ends}
        session.add(cls(hash=digest(value), user_id=user.id, **moments))
        session.flush()
        return value

    @staticmethod
    def find(connection: Connection, value: str, lifetimes: SessionLifetimes) -> SignedIn | None:
        """Return the user of the live session with this id, if the user is active."""
        moment, idle = now(), timedelta(seconds=lifetimes.idle)
        found = _FOUND.first(
            connection, hashed=digest(value), moment=moment, seen_after=moment - idle
        )
        if found is None or not found.is_active:
            return None
        if found.seen_at < moment - min(_SEEN_ANEW, idle / _TIMES_WHILE_IDLE):
            # Users are locked before their sessions. The session may have ended while this waited.
            begin(connection, User.locks({found.user_id: False}))
            if not _SEEN.all(connection, found=found.id, moment=moment):
                return None
        return SignedIn(found.user_id, found.username)

    @staticmethod
    def end(session: Session, value: str) -> bool:
        """End the session with this id, without locking its user; tell whether there was one."""
        ended = delete(BrowserSession).where(BrowserSession.hash == digest(value))
        return session.scalar(ended.returning(BrowserSession.id)) is not None


_FOUND = Prepared(
    select(
        BrowserSession.id,
        BrowserSession.user_id,
        BrowserSession.seen_at,
        User.username,
        User.is_active,
    )
    .join(User, User.id == BrowserSession.user_id)
    .where(
        BrowserSession.hash == bindparam("hashed"),
        BrowserSession.expires_at > bindparam("moment"),
        BrowserSession.seen_at > bindparam("seen_after"),
    )
)
_SEEN = Prepared(
    update(BrowserSession)
    .where(BrowserSession.id == bindparam("found"))
    .values(seen_at=bindparam("moment"))
    .returning(BrowserSession.id)
)
Index(None, BrowserSession.user_id, BrowserSession.expires_at)

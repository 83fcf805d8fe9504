"""Authorization codes (RFC 6749 section 4.1), each of which is used once."""

from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    delete,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database.base import Base, Id, Identified, now

# How many codes are deleted at most when one is added.
_SURPLUS = 100


class Code(Identified, Base):
    """An authorization code, with the values of the request to which it is bound.

    `redirect_uri_given` tells whether the authorization request had a redirect URI; then the token
    request has to repeat it. `grant_id` is the grant that the code was exchanged for; the code is
    deleted with it.
    """

    __tablename__ = "codes"

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    client_id: Mapped[int] = mapped_column(
        Id, ForeignKey("clients.id", ondelete="CASCADE"), index=True
    )
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    redirect_uri: Mapped[str] = mapped_column(Text)
    redirect_uri_given: Mapped[bool]
    code_challenge: Mapped[str] = mapped_column(String(43))
    scope: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    grant_id: Mapped[int | None] = mapped_column(
        Id, ForeignKey("grants.id", ondelete="CASCADE"), index=True
    )

    def is_for(self, redirect_uri: str | None) -> bool:
        """Tell whether a token request has the right redirect URI, or none (section 4.1.3)."""
        if redirect_uri is None:
            return not self.redirect_uri_given
        return redirect_uri == self.redirect_uri

    @classmethod
    def make_room(cls, session: Session, user_id: int, client_id: int, most: int) -> None:
        """Delete the oldest unused codes of a user and a client, so that fewer than `most` remain.

        No more than _SURPLUS are deleted at once.
        """
        waiting = (cls.user_id == user_id, cls.client_id == client_id, cls.grant_id.is_(None))
        oldest_last = select(cls.id).where(*waiting).order_by(cls.id.desc())
        surplus = session.scalars(oldest_last.offset(most - 1).limit(_SURPLUS)).all()
        if surplus:
            cls.end(session, cls.id.in_(surplus))

    @classmethod
    def end(cls, session: Session, which: ColumnElement[bool]) -> None:
        """Lock codes in the order of their ids, and delete them."""
        session.execute(select(cls.id).where(which).order_by(cls.id).with_for_update()).all()
        session.execute(delete(cls).where(which))


# Used codes stay as long as their grant: the purge does not look for them.
Index(
    "ix_codes_unredeemed_expires_at",
    Code.expires_at,
    sqlite_where=Code.grant_id.is_(None),
    postgresql_where=Code.grant_id.is_(None),
)
Index(
    "ix_codes_unredeemed_client_id",
    Code.client_id,
    Code.user_id,
    Code.id,
    sqlite_where=Code.grant_id.is_(None),
    postgresql_where=Code.grant_id.is_(None),
)

"""What a client was granted: the family that all tokens of one authorization belong to."""

from datetime import datetime

from sqlalchemy import ColumnElement, ForeignKey, Text, delete, select, union_all
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Id, Identified, now
from models.client import Client


class Grant(Identified, Base):
    """An authorization grant that was redeemed for tokens (RFC 6749 section 1.3).

    `scope` is the whole scope, which a refresh may narrow for one access token only. All
    tokens end at `expires_at` at the latest, and with the grant when its row is deleted.
    A grant without user is one of client credentials.
    """

    __tablename__ = "grants"

    client_id: Mapped[int] = mapped_column(
        Id, ForeignKey("clients.id", ondelete="CASCADE"), index=True
    )
    user_id: Mapped[int | None] = mapped_column(
        Id, ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    scope: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)

    @classmethod
    def end_all(cls, session: Session, user_id: int, keep: int | None = None) -> None:
        """End every grant that a user gave, but for the one with the id `keep`."""
        mine = cls.user_id == user_id
        cls._end(session, mine if keep is None else mine & (cls.id != keep))

    @classmethod
    def end_account(cls, session: Session, user_id: int) -> None:
        """End every grant that a user gave, and every grant of the clients that it owns."""
        owned = select(Client.id).where(Client.user_id == user_id)
        session.execute(owned.order_by(Client.id).with_for_update()).all()
        # Two selects rather than an OR, so that an index serves each.
        given = select(cls.id).where(cls.user_id == user_id)
        received = select(cls.id).where(cls.client_id.in_(owned))
        cls._end(session, cls.id.in_(union_all(given, received)))

    @classmethod
    def _end(cls, session: Session, which: ColumnElement[bool]) -> None:
        # Locked in the order of ids first: others may be about to end some of the same grants.
        session.execute(select(cls.id).where(which).order_by(cls.id).with_for_update()).all()
        session.execute(delete(cls).where(which))

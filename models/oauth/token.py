"""Access and refresh tokens, found by their hash."""

from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    case,
    false,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.database.base import Base, Id, Identified, now
from models.oauth.secret import digest, generate

__all__ = ["ACCESS", "REFRESH", "Token", "digest", "generate"]

ACCESS = "access"
REFRESH = "refresh"


class Token(Identified, Base):
    """A token of a grant; `used_at` is the time when a refresh token was used."""

    __tablename__ = "tokens"

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    kind: Mapped[str] = mapped_column(String(7))
    grant_id: Mapped[int] = mapped_column(
        Id, ForeignKey("grants.id", ondelete="CASCADE"), index=True
    )
    scope: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    @classmethod
    def is_unused(cls) -> ColumnElement[bool]:
        """Return the condition that a token was not used, for one that is found by its hash.

        It is written so that the index of unused tokens does not serve it. In a new database, which
        has no statistics yet, PostgreSQL would take that one instead of the hash's.
        """
        return case((cls.used_at.is_(None), true()), else_=false())


# Used refresh tokens stay until their grant ends: the purge does not look for them.
Index(
    "ix_tokens_unused_expires_at",
    Token.expires_at,
    sqlite_where=Token.used_at.is_(None),
    postgresql_where=Token.used_at.is_(None),
)

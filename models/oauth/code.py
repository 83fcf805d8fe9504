"""Authorization codes (RFC 6749 section 4.1), each of which is used once."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql.dml import ReturningUpdate

from models.database.base import Base, Id, Identified, now
from models.database.prepared import Prepared
from models.errors import OAuthError

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

    @classmethod
    def make_room(cls, connection: Connection, user_id: int, client_id: int, most: int) -> None:
        """Delete the oldest unused codes of a user and a client, so that fewer than `most` remain.

        No more than _SURPLUS are deleted at once.
        """
        surplus = _OLDEST.all(connection, user=user_id, client=client_id, most=most - 1)
        # One by one, for there is one, unless the quota is lower than it was. They are locked in
        # the order of their ids.
        for row in sorted(surplus):
            _DELETE.all(connection, code=row.id)

    @staticmethod
    def store(
        connection: Connection,
        *,
        code_hash: bytes,
        client_id: int,
        user_id: int,
        redirect_uri: str,
        redirect_uri_given: bool,
        code_challenge: str,
        scope: str,
        created: datetime,
        expires_at: datetime,
    ) -> None:
        """Store a code that has just been made."""
        _INSERT.write_later(
            connection,
            new_hash=code_hash,
            client=client_id,
            user=user_id,
            uri=redirect_uri,
            given=redirect_uri_given,
            challenge=code_challenge,
            new_scope=scope,
            moment=created,
            ends=expires_at,
        )

    @classmethod
    def end(cls, session: Session, which: ColumnElement[bool]) -> None:
        """Lock codes in the order of their ids, and delete them."""
        session.execute(select(cls.id).where(which).order_by(cls.id).with_for_update()).all()
        session.execute(delete(cls).where(which))


class CodeRow(NamedTuple):
    """The columns of a code that its exchange needs."""

    id: int
    user_id: int
    redirect_uri: str
    redirect_uri_given: bool
    code_challenge: str
    scope: str
    expires_at: datetime
    used_at: datetime | None
    grant_id: int | None

    def is_for(self, redirect_uri: str | None) -> bool:
        """Tell whether a token request has the right redirect URI, or none (section 4.1.3)."""
        if redirect_uri is None:
            return not self.redirect_uri_given
        return redirect_uri == self.redirect_uri

    def redeem(self, connection: Connection, grant_id: int, moment: datetime) -> None:
        """Mark the code as used, and bind it to the grant that it was exchanged for.

        :raises OAuthError: `invalid_grant`, where it has just ended, or been used.
        """
        if not _REDEEM.all(connection, code=self.id, grant=grant_id, moment=moment):
            raise self.ended()

    @staticmethod
    def ended() -> OAuthError:
        """Return the error for a code that has ended since it was found."""
        return OAuthError("invalid_grant", "The code has just ended.")


def redeeming(grant: Any) -> ReturningUpdate[tuple[int]]:
    """Return the statement that marks a code as used, if it can be, and binds it to a grant."""
    return (
        update(Code)
        .where(
            Code.id == bindparam("code"),
            Code.used_at.is_(None),
            Code.expires_at > bindparam("moment"),
        )
        .values(used_at=bindparam("moment"), grant_id=grant)
        .returning(Code.id)
    )


_OLDEST = Prepared(
    select(Code.id)
    .where(
        Code.user_id == bindparam("user"),
        Code.client_id == bindparam("client"),
        Code.grant_id.is_(None),
    )
    .order_by(Code.id.desc())
    .offset(bindparam("most"))
    .limit(_SURPLUS)
)
_DELETE = Prepared(delete(Code).where(Code.id == bindparam("code")))
_INSERT = Prepared(
    insert(Code)
    .values(
        hash=bindparam("new_hash"),
        client_id=bindparam("client"),
        user_id=bindparam("user"),
        redirect_uri=bindparam("uri"),
        redirect_uri_given=bindparam("given"),
        code_challenge=bindparam("challenge"),
        scope=bindparam("new_scope"),
        created=bindparam("moment"),
        expires_at=bindparam("ends"),
    )
    .inline()  # nobody asks for the new id
)
_REDEEM = Prepared(redeeming(bindparam("grant")))

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

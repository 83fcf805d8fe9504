"""Consents: which clients a user has authorised, and to what."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, Self

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database.base import Base, Id, Identified, Words, now
from models.database.connections import Question
from models.database.pagination import Listing
from models.database.prepared import Prepared
from models.errors import NotFound
from models.oauth.client import Client
from models.oauth.code import Code
from models.oauth.grant import Grant
from models.oauth.token import Token
from models.users.user import User


class Consent(Identified, Base):
    """An authorised client of a user, since the first consent or token.

    `scope` is the remembered consent: the user is not asked for it again. It is empty if the client
    got its tokens without asking the user, or if nothing is remembered.
    """

    __tablename__ = "consents"
    __table_args__: Any = (UniqueConstraint("user_id", "client_id"), {"sqlite_autoincrement": True})

    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    client_id: Mapped[int] = mapped_column(Id, ForeignKey("clients.id", ondelete="CASCADE"))
    scope: Mapped[str] = mapped_column(Text, default="")
    created: Mapped[datetime] = mapped_column(default=now)

    @classmethod
    def begin(cls, session: Session, user_id: int, client_id: int) -> Self:
        """Store that a client is authorised from now on, unless it already is; lock the row.

        A transaction that adds a grant or a code of the two takes this lock, and so does one that
        ends all of them. The rows of user and client are locked before.
        """
        insert = (
            postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        )
        while True:
            found = cls.lock_between(session, user_id, client_id)
            if found is not None:
                if session.scalar(select(cls.id).where(cls.id == found.id, _is_live(now()))):
                    return found
                # A consent that has ended is no longer the first one: `created` starts again.
                session.execute(delete(cls).where(cls.id == found.id))
            row = {"user_id": user_id, "client_id": client_id, "scope": "", "created": now()}
            made = insert(cls).values(**row).on_conflict_do_nothing().returning(cls)
            begun = session.scalar(made, execution_options={"populate_existing": True})
            if begun is not None:
                return begun
            # Another transaction has inserted the row: use that.

    @classmethod
    def lock_between(cls, session: Session, user_id: int, client_id: int) -> Self | None:
        """Lock the consent of a user and a client, and return it; None if there is none."""
        between = (cls.user_id == user_id, cls.client_id == client_id)
        locked = select(cls).where(*between).with_for_update(of=cls)
        return session.scalar(locked, execution_options={"populate_existing": True})

    @staticmethod
    def locks(user_id: int, client_id: int) -> list[Question]:
        """Return the select that locks a consent, if there is one, as `lock_between` does."""
        return [(_BETWEEN, (user_id, client_id))]

    @classmethod
    def remember(
        cls,
        session: Session,
        user_id: int,
        client_id: int,
        scopes: Iterable[str],
        refused: Iterable[str] = (),
    ) -> None:
        """Remember that the user allowed the client these scopes, in addition to earlier ones.

        Scopes that were `refused` at the same time are removed.
        """
        found = cls.begin(session, user_id, client_id)
        found.scope = " ".join(sorted({*found.scope.split(), *scopes}.difference(refused)))
        session.flush()

    @classmethod
    def covers(
        cls, connection: Connection, user_id: int, client_id: int, scopes: Iterable[str]
    ) -> bool:
        """Tell whether the user has already allowed the client all these scopes."""
        found = _REMEMBERED.first(connection, user=user_id, client=client_id)
        return set(scopes) <= set(found.scope.split() if found else ())

    @staticmethod
    def is_live(moment: Any) -> ColumnElement[bool]:
        """Return the condition that a consent is remembered, or there is a live token."""
        return _is_live(moment)

    @classmethod
    def forget(cls, session: Session, client_id: int) -> None:
        """Delete the remembered consents of a client; its tokens stay valid."""
        remembered = (cls.client_id == client_id, cls.is_remembered())
        session.execute(update(cls).where(*remembered).values(scope=""))

    @classmethod
    def is_remembered(cls) -> ColumnElement[bool]:
        """Return the condition that a scope is remembered, written as in its index."""
        return cls.scope != literal_column("''")

    @classmethod
    def authorised(cls, user_id: int) -> Listing:
        """List the clients that a user has authorised: with live tokens or a remembered consent.

        The rows have `client_id` (as clients know it), `name`, `scopes` (with repetitions)
        and `created`.
        """
        return _authorised().given(user_id=user_id, moment=now())

    @classmethod
    def is_authorised(cls, session: Session, user_id: int, client_id: str) -> bool:
        """Tell whether a user has authorised a client."""
        mine = (cls.user_id == user_id, cls.client_id == Client.id, Client.client_id == client_id)
        return session.scalar(select(cls.id).where(*mine, _is_live(now()))) is not None

    @classmethod
    def withdraw(cls, session: Session, user_id: int, client_id: str) -> None:
        """End the tokens, the codes and the remembered consent of a user and a client.

        Raise NotFound if the client is not authorised.
        """
        User.lock_shared(session, user_id)
        client = Client.find(session, client_id)
        held = client and Client.lock_shared(session, client.id)
        # Every new grant and code takes this lock, so none is added until this transaction ends.
        found = held and cls.lock_between(session, user_id, held.id)
        live = found and session.scalar(select(cls.id).where(cls.id == found.id, _is_live(now())))
        if not held or not found or live is None:
            raise NotFound("There is no such authorised application.")
        Grant.end_between(session, user_id, held.id)
        mine = (Code.user_id == user_id) & (Code.client_id == held.id)
        Code.end(session, mine & Code.grant_id.is_(None))
        session.execute(delete(cls).where(cls.id == found.id))


_BETWEEN = "SELECT 1 FROM consents WHERE user_id = $1 AND client_id = $2 FOR UPDATE"
_REMEMBERED = Prepared(
    select(Consent.scope).where(
        Consent.user_id == bindparam("user"), Consent.client_id == bindparam("client")
    )
)
Index(None, Consent.client_id, Consent.id)
Index(
    "ix_consents_remembered_client_id",
    Consent.client_id,
    Consent.id,
    sqlite_where=Consent.is_remembered(),
    postgresql_where=Consent.is_remembered(),
)


def _has_live_token(moment: Any) -> ColumnElement[bool]:
    return exists().where(
        Token.grant_id == Grant.id, Token.used_at.is_(None), Token.expires_at > moment
    )


def _is_live(moment: Any) -> ColumnElement[bool]:
    grants = exists().where(
        Grant.user_id == Consent.user_id,
        Grant.client_id == Consent.client_id,
        Grant.expires_at > moment,
        _has_live_token(moment),
    )
    return or_(Consent.scope != "", grants)


@cache
def _authorised() -> Listing:
    moment: BindParameter[Any] = bindparam("moment")
    granted = (
        select(func.aggregate_strings(Grant.scope, literal_column("' '")))  # type: ignore[arg-type]
        .where(
            Grant.user_id == Consent.user_id,
            Grant.client_id == Consent.client_id,
            Grant.expires_at > moment,
            _has_live_token(moment),
        )
        .correlate(Consent)
        .scalar_subquery()
    )
    scopes = type_coerce(Consent.scope + " " + func.coalesce(granted, ""), Words).label("scopes")
    rows = (
        select(Client.client_id, Client.name, scopes, Consent.created)
        .join(Client, Client.id == Consent.client_id)
        .where(Consent.user_id == bindparam("user_id"), _is_live(moment))
    )
    return Listing.of(rows, Consent.id)

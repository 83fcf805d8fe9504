"""What users have authorised clients to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ForeignKey,
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

from models.base import Base, Id, Identified, Words, now
from models.client import Client
from models.code import Code
from models.errors import NotFound
from models.grant import Grant
from models.pages import Listing
from models.token import Token
from models.user import User


class Consent(Identified, Base):
    """An authorised client of a user, from the first consent or token between the two.

    `scope` is what the user need not be asked about again; it is empty where the client got its
    tokens without asking, or where nothing is remembered.
    """

    __tablename__ = "consents"
    __table_args__: Any = (UniqueConstraint("user_id", "client_id"), {"sqlite_autoincrement": True})

    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    client_id: Mapped[int] = mapped_column(
        Id, ForeignKey("clients.id", ondelete="CASCADE"), index=True
    )
    scope: Mapped[str] = mapped_column(Text, default="")
    created: Mapped[datetime] = mapped_column(default=now)

    @classmethod
    def begin(cls, session: Session, user_id: int, client_id: int) -> None:
        """Note that a client is authorised from now on, unless it already is."""
        between = (cls.user_id == user_id, cls.client_id == client_id)
        # What has ended, and nobody has looked at since, does not count as a beginning.
        ended = select(cls.id).where(*between, ~_is_live(now())).scalar_subquery()
        session.execute(delete(cls).where(cls.id == ended))
        insert = (
            postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
        )
        row = {"user_id": user_id, "client_id": client_id, "scope": "", "created": now()}
        session.execute(insert(cls).values(**row).on_conflict_do_nothing())

    @classmethod
    def remember(
        cls,
        session: Session,
        user_id: int,
        client_id: int,
        scopes: Iterable[str],
        refused: Iterable[str] = (),
    ) -> None:
        """Remember that the user allowed the client some scopes, besides those of before.

        Those that were `refused` at the same time are remembered no longer.
        """
        cls.begin(session, user_id, client_id)
        between = (cls.user_id == user_id, cls.client_id == client_id)
        locked = select(cls).where(*between).with_for_update()
        found = session.scalars(locked.execution_options(populate_existing=True)).one()
        found.scope = " ".join(sorted({*found.scope.split(), *scopes}.difference(refused)))
        session.flush()

    @classmethod
    def covers(cls, session: Session, user_id: int, client_id: int, scopes: Iterable[str]) -> bool:
        """Tell whether the user has already allowed the client all these scopes."""
        between = (cls.user_id == user_id, cls.client_id == client_id)
        remembered = session.scalar(select(cls.scope).where(*between)) or ""
        return set(scopes) <= set(remembered.split())

    @classmethod
    def forget(cls, session: Session, client_id: int) -> None:
        """Forget what users allowed a client; its tokens live on."""
        session.execute(update(cls).where(cls.client_id == client_id).values(scope=""))

    @classmethod
    def authorised(cls, user_id: int) -> Listing:
        """List the clients that a user has authorised: those of live tokens or remembered.

        The rows have `client_id` (as clients know it), `name`, `scopes` (with repetitions)
        and `created`.
        """
        return _authorised().given(user_id=user_id, moment=now())

    @classmethod
    def withdraw(cls, session: Session, user_id: int, client_id: str) -> None:
        """End all that is between a user and a client: tokens, codes, what is remembered.

        Raise NotFound where the client is not authorised.
        """
        # Every new grant holds its user, so none can begin between what follows.
        User.lock(session, user_id)
        client = Client.find(session, client_id)
        live = _is_live(now())
        found = client and session.scalar(
            select(cls.id).where(cls.user_id == user_id, cls.client_id == client.id, live)
        )
        if client is None or found is None:
            raise NotFound("There is no such authorised application.")
        for table in (Code, Grant, cls):
            mine = (table.user_id == user_id, table.client_id == client.id)
            session.execute(delete(table).where(*mine))


def _has_live_token(moment: Any) -> ColumnElement[bool]:
    return exists().where(
        Token.grant_id == Grant.id, Token.used_at.is_(None), Token.expires_at > moment
    )


def _is_live(moment: Any) -> ColumnElement[bool]:
    grants = exists().where(
        Grant.user_id == Consent.user_id,
        Grant.client_id == Consent.client_id,
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

"""Grants: the family of all tokens of one authorization."""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    ForeignKey,
    Function,
    Index,
    Select,
    Text,
    any_,
    bindparam,
    delete,
    func,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from models.database.base import Base, Id, Identified, now
from models.database.prepared import Prepared
from models.oauth.client import Client

# How many grants end at most when one is added.
_SURPLUS = 100


class Grant(Identified, Base):
    """An authorization grant that was redeemed for tokens (RFC 6749 section 1.3).

    `scope` is the full scope, which a refresh may narrow for one access token only. All tokens
    end at `expires_at` at the latest, and are deleted with the grant. A grant of client
    credentials has no user.
    """

    __tablename__ = "grants"

    client_id: Mapped[int] = mapped_column(Id, ForeignKey("clients.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    scope: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)

    @classmethod
    def end_all(cls, session: Session, user_id: int, keep: int | None = None) -> None:
        """End every live grant that a user gave, except the one with the id `keep`."""
        mine = (cls.user_id == user_id) & (cls.expires_at > now())
        cls._end(session, mine if keep is None else mine & (cls.id != keep))

    @classmethod
    def end_account(cls, session: Session, user_id: int) -> None:
        """End every grant that a user gave, and every grant of the clients that it owns.

        `models.oauth.ending` ends most of them before, if they may be too many for one transaction.
        """
        owned = select(Client.id).where(Client.user_id == user_id)
        session.execute(owned.order_by(Client.id).with_for_update()).all()
        # Two selects rather than an OR, so that an index serves each.
        given = select(cls.id).where(cls.user_id == user_id)
        received = select(cls.id).where(cls.client_id.in_(owned))
        cls._end(session, cls.id.in_(union_all(given, received)))

    @classmethod
    def end_with_scopes(cls, session: Session, client_id: int, scopes: Collection[str]) -> None:
        """End every grant of a client whose scope is one of these texts."""
        cls._end(session, (cls.client_id == client_id) & cls.scope.in_(scopes))

    @classmethod
    def end_between(cls, session: Session, user_id: int, client_id: int) -> None:
        """End every live grant that a user gave to a client.

        The others, of which there may be any number, are left to the purge.
        """
        mine = (cls.user_id == user_id) & (cls.client_id == client_id)
        cls._end(session, mine & (cls.expires_at > now()))

    @classmethod
    def make_room(cls, connection: Connection, user_id: int, client_id: int, most: int) -> None:
        """End the oldest live grants of a user and a client, so that fewer than `most` remain.

        No more than _SURPLUS end at once. They expire, and the purge deletes them: a grant may have
        more tokens than one request should delete.
        """
        moment = now()
        values = {"client": client_id, "user": user_id, "moment": moment, "most": most - 1}
        surplus = _OLDEST_OF_USER.all(connection, **values)
        # One by one, for there is one, unless the quota is lower than it was. They are locked in
        # the order of their ids.
        for row in sorted(surplus):
            _END.all(connection, grant=row.id, moment=moment)

    @classmethod
    def make_room_for_service(cls, connection: Connection, client_id: int, most: int) -> None:
        """End the oldest live grants of a client's own, so that about `most` remain.

        It counts them once for as many calls as are a twentieth of `most`, at random, and ends all
        that are too many then, up to _SURPLUS. A service may get hundreds of tokens a second: for
        each of them to count a thousand grants, and to wait for those who end the same one, takes
        longer than all the rest.
        """
        if secrets.randbelow(min(max(most // 20, 1), _SURPLUS // 2)):
            return
        end = _END_SURPLUS[connection.dialect.name]
        end.all(connection, client=client_id, moment=now(), most=most - 1)

    @staticmethod
    def end_one(connection: Connection, grant_id: int) -> bool:
        """End a grant; tell whether it was there."""
        return bool(_DELETE.all(connection, grant=grant_id))

    @classmethod
    def scopes_of(cls, session: Session, client_id: int) -> list[str]:
        """Return the different scopes of a client's grants, of which there are few.

        Each one is searched in the index after the last one, so equal scopes are skipped.
        """
        first = select(func.min(cls.scope).label("scope")).where(cls.client_id == client_id)
        found = first.cte("found", recursive=True)
        after = select(func.min(cls.scope))
        after = after.where(cls.client_id == client_id, cls.scope > found.c.scope)
        following = select(after.correlate(found).scalar_subquery())
        found = found.union_all(following.where(found.c.scope.is_not(None)))
        return list(session.scalars(select(found.c.scope).where(found.c.scope.is_not(None))))

    @classmethod
    def _end(cls, session: Session, which: ColumnElement[bool]) -> None:
        # Locked in the order of ids: another transaction may be ending some of the same grants.
        session.execute(select(cls.id).where(which).order_by(cls.id).with_for_update()).all()
        session.execute(delete(cls).where(which))


class GrantRow(NamedTuple):
    """The columns of a grant that issuing its tokens needs."""

    id: int
    user_id: int | None
    scope: str
    expires_at: datetime


def _oldest(mine: ColumnElement[bool]) -> Select[int]:
    """Select the live grants of a user, or none, and a client that are more than `most`."""
    living = (mine, Grant.client_id == bindparam("client"), Grant.expires_at > bindparam("moment"))
    # All grants of the two have the same lifetime: the one that ends first is the oldest. The
    # user is the same in all of them, and named so that PostgreSQL reads the index of these
    # columns, and not all users' grants in the order of their ends.
    order = (Grant.user_id.desc(), Grant.expires_at.desc(), Grant.id.desc())
    found = select(Grant.id).where(*living).order_by(*order)
    return found.offset(bindparam("most")).limit(_SURPLUS)


def _ending(which: ColumnElement[bool]) -> Prepared:
    return Prepared(update(Grant).where(which).values(expires_at=bindparam("moment")))


_OLDEST_OF_USER = Prepared(_oldest(Grant.user_id == bindparam("user")))
_DELETE = Prepared(delete(Grant).where(Grant.id == bindparam("grant")).returning(Grant.id))
_END = _ending(Grant.id == bindparam("grant"))


def _one_of(grant: Any, ids: Select[int]) -> ColumnElement[bool]:
    """Return the condition that a grant is one of a few, for PostgreSQL.

    Of an IN it would not know how few they are, and read all grants for it.
    """
    array: Function[Any] = func.array(ids.scalar_subquery())
    return cast("ColumnElement[bool]", grant.id == any_(array))


_surplus = _oldest(Grant.user_id.is_(None))
_free = aliased(Grant)
# Locked apart from the order: PostgreSQL locks the rows that an offset skips, too. Those that
# another request is ending are left to it.
_locked = select(_free.id).where(_one_of(_free, _surplus)).with_for_update(skip_locked=True)
_END_SURPLUS = {
    "sqlite": _ending(Grant.id.in_(_surplus)),
    "postgresql": _ending(_one_of(Grant, _locked)),
}

# A client's grants by scope, for a client that gets fewer scopes.
Index(None, Grant.client_id, Grant.scope, Grant.id)
# The live grants of a user, or none, and a client.
Index(None, Grant.user_id, Grant.client_id, Grant.expires_at)

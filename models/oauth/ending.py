"""Ending more rows than one transaction should delete, in batches, each to be committed.

It is called before a client or an account is deleted, or a client gets fewer scopes or other
redirect URIs. That last step ends the few rows that were added in between.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from models.database.base import now
from models.oauth.client import Client
from models.oauth.code import Code
from models.oauth.consent import Consent
from models.oauth.grant import Grant
from models.oauth.token import Token

# Rows and tokens of one batch: some milliseconds' work.
BATCH = 100
_TOKENS = 3 * BATCH
# Less than a batch of grants is left to the last step, unless they have so many tokens.
_HEAVY = 10 * BATCH
# How often rows are searched again that were added in the meantime, until they are few.
_ROUNDS = 5

# Deals with rows of some ids, and yields after each transaction.
_End = Callable[[Session, Sequence[int]], Iterator[None]]


def of_client(session: Session, client_id: int, keep: int | None = None) -> Iterator[None]:
    """End the grants, codes and consents of a client.

    The grant with the id `keep`, that of the current request, stays.
    """
    yield from of_scopes(session, client_id, Grant.scopes_of(session, client_id), keep)
    yield from _codes(session, Code.client_id == client_id)
    consents = [Consent.client_id == client_id]
    yield from _end_all(session, Consent, [Consent.id], consents, _delete(Consent))


def of_wider(
    session: Session, client_id: int, scopes: Collection[str], keep: int | None = None
) -> Iterator[None]:
    """End the grants and codes of a client that have more than these scopes."""
    wider = too_wide(Grant.scopes_of(session, client_id), scopes)
    yield from of_scopes(session, client_id, wider, keep)
    of_codes = select(Code.scope).where(Code.client_id == client_id, Code.grant_id.is_(None))
    wider = too_wide(session.scalars(of_codes.distinct()), scopes)
    is_over = or_(Code.expires_at <= now(), Code.scope.in_(wider))
    yield from _codes(session, Code.client_id == client_id, is_over)


def of_scopes(
    session: Session, client_id: int, scopes: Collection[str], keep: int | None = None
) -> Iterator[None]:
    """End the grants of a client that have one of these scopes, to the letter."""
    for scope in scopes:
        which = [Grant.client_id == client_id, Grant.scope == scope, *_others(keep)]
        yield from _end_all(session, Grant, [Grant.id], which, _end_grants)


def of_account(session: Session, user_id: int, keep: int | None = None) -> Iterator[None]:
    """End the grants that a user gave, and those, with codes and consents, of its clients."""
    owned = select(Client.id).where(Client.user_id == user_id).order_by(Client.id)
    for client_id in session.scalars(owned).all():
        yield from of_client(session, client_id, keep)
    key = [Grant.client_id, Grant.expires_at, Grant.id]
    yield from _end_all(
        session, Grant, key, [Grant.user_id == user_id, *_others(keep)], _end_grants
    )


def of_moved(session: Session, client_id: int) -> Iterator[None]:
    """Delete the remembered consents and the unused codes of a client; its tokens stay valid."""
    which = [Consent.client_id == client_id, Consent.is_remembered()]
    yield from _end_all(session, Consent, [Consent.id], which, _forget)
    yield from _codes(session, Code.client_id == client_id)


def end_by_change(
    session: Session, client_id: int, *, scopes: Collection[str] | None, has_moved: bool
) -> None:
    """End, as the last step, what a client may have no longer after a change of its own.

    With other scopes (None stands for no change), these are the grants and codes that have more. A
    client that `has_moved` to other redirect URIs loses the remembered consents and all codes: a
    code must not lead to an application that the user can neither see nor withdraw.
    """
    waiting = (Code.client_id == client_id) & Code.grant_id.is_(None)
    # Consents are locked before grants, and codes after them.
    if has_moved:
        Consent.forget(session, client_id)
    if scopes is not None:
        wider = too_wide(Grant.scopes_of(session, client_id), scopes)
        Grant.end_with_scopes(session, client_id, wider)
    if has_moved:
        Code.end(session, waiting)
    elif scopes is not None:
        found = session.scalars(select(Code.scope).where(waiting).distinct()).all()
        Code.end(session, waiting & Code.scope.in_(too_wide(found, scopes)))


def too_wide(found: Iterator[str] | Collection[str], scopes: Collection[str]) -> list[str]:
    """Return those texts of scopes that have more than the given scopes."""
    return [text for text in found if not set(text.split()).issubset(scopes)]


def _others(keep: int | None) -> list[ColumnElement[bool]]:
    return [] if keep is None else [Grant.id != keep]


def _codes(session: Session, *which: ColumnElement[bool]) -> Iterator[None]:
    """End unused codes; used ones are deleted with their grants."""
    waiting = [*which, Code.grant_id.is_(None)]
    yield from _end_all(session, Code, [Code.user_id, Code.id], waiting, _end_codes)


def _end_all(
    session: Session,
    table: Any,
    key: Sequence[InstrumentedAttribute[Any]],
    which: Sequence[ColumnElement[bool]],
    end: _End,
) -> Iterator[None]:
    """End rows of a table in the order of an index; `key` are the columns after `which`."""
    for _ in range(_ROUNDS):
        # No further than this: or rows that are added all the time would keep this running.
        newest = session.scalar(select(func.max(table.id))) or 0
        total, last = 0, None
        while rows := _find(session, table, key, [*which, table.id <= newest], last):
            if len(rows) < BATCH and not total and not _is_heavy(session, table, rows):
                return  # few enough for the last step, in one transaction
            yield from end(session, [row.found_id for row in rows])
            total, last = total + len(rows), rows[-1]
        if total < BATCH:
            return


def _is_heavy(session: Session, table: Any, rows: Sequence[Row[Any]]) -> bool:
    """Tell whether rows are grants with more tokens than one transaction should delete."""
    if table is not Grant:
        return False
    tokens = select(Token.id).where(Token.grant_id.in_([row.found_id for row in rows]))
    return len(session.scalars(tokens.limit(_HEAVY)).all()) == _HEAVY


def _find(
    session: Session,
    table: Any,
    key: Sequence[InstrumentedAttribute[Any]],
    which: Sequence[ColumnElement[bool]],
    last: Row[Any] | None,
) -> Sequence[Row[Any]]:
    rows = select(table.id.label("found_id"), *key).where(*which)
    if last is not None:
        # Earlier rows are deleted, but PostgreSQL's index keeps them for a while.
        reached: Sequence[Any] = last[1:]
        pairs = zip(key, reached, strict=True)
        values = [bindparam(None, value, column.type) for column, value in pairs]
        rows = rows.where(tuple_(*key) > tuple_(*values))
    return session.execute(rows.order_by(*key).limit(BATCH)).all()


def _end_grants(session: Session, ids: Sequence[int]) -> Iterator[None]:
    """Delete grants, and before that their tokens: a grant may have any number of them."""
    some = select(Token.id).where(Token.grant_id.in_(ids)).limit(_TOKENS)
    _lock(session, Grant, ids)
    while len(tokens := session.scalars(some).all()) == _TOKENS:
        session.execute(delete(Token).where(Token.id.in_(tokens)))
        yield
        _lock(session, Grant, ids)
    session.execute(delete(Grant).where(Grant.id.in_(ids)))
    yield


def _end_codes(session: Session, ids: Sequence[int]) -> Iterator[None]:
    """End codes, but for those that have been used since they were found."""
    Code.end(session, Code.id.in_(ids) & Code.grant_id.is_(None))
    yield


def _delete(table: Any) -> _End:
    def end(session: Session, ids: Sequence[int]) -> Iterator[None]:
        _lock(session, table, ids)
        session.execute(delete(table).where(table.id.in_(ids)))
        yield

    return end


def _forget(session: Session, ids: Sequence[int]) -> Iterator[None]:
    _lock(session, Consent, ids)
    session.execute(update(Consent).where(Consent.id.in_(ids)).values(scope=""))
    yield


def _lock(session: Session, table: Any, ids: Sequence[int]) -> None:
    session.execute(
        select(table.id).where(table.id.in_(ids)).order_by(table.id).with_for_update()
    ).all()

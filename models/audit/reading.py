"""Reading the audit trail: pages of events, by time and by one thing that they have in common."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast

from sqlalchemy import BindParameter, Connection, Select, bindparam, case, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from models.audit.event import AuditEvent
from models.database.base import MAX_ID
from models.database.pagination import Listing, Page, Window
from models.database.prepared import Prepared
from models.errors import Unprocessable

_ONE_ALONE = "Events are found by their action, by who acted, or by the target: by one of these."


class Question(NamedTuple):
    """What the events of a list have in common: their action, their actor or their target.

    The target is a kind and an id with a colon between, such as `team:3`.
    """

    action: str | None
    actor_id: int | None
    target: str | None


def of_all(
    connection: Connection,
    window: Window,
    question: Question,
    since: str | None = None,
    until: str | None = None,
) -> Page:
    """Return a page of the events of everybody, from `since` and before `until`.

    Each question has an index, two at once have none: raise Unprocessable for them, and for a time
    that is none.
    """
    return _page(connection, window, _listing(question), since, until)


def of_user(
    connection: Connection,
    window: Window,
    user_id: int,
    since: str | None = None,
    until: str | None = None,
) -> Page:
    """Return a page of a user's own acts, and of those that concerned it.

    Of another user's act it tells who and what, but not from where and with which client. Raise
    Unprocessable for a time that is none.
    """
    return _page(connection, window, _of_user().given(user_id=user_id), since, until)


def position(connection: Connection, moment: datetime) -> int:
    """Return the id from which on events are as late as a timestamp.

    Ids grow with time, so halves are left out until one id remains: some twenty reads by the
    primary key, however many events there are. An index on the time would cost each write more.
    """
    first, last = (each.first(connection) for each in (_FIRST, _LAST))
    if first is None or last is None:
        return 1
    low, high = first.id, last.id + 1
    while low < high:
        middle = (low + high) // 2
        found = _FROM.first(connection, least=middle)
        if found is None or found.created >= moment:
            high = middle
        else:
            low = found.id + 1
    return int(low)


def _listing(question: Question) -> Listing:
    given = [name for name, value in question._asdict().items() if value is not None]
    if len(given) > 1:
        raise Unprocessable(_ONE_ALONE, [(f"/{given[1]}", "This goes without the other.")])
    if question.action is not None:
        return _of_action().given(action=question.action)
    if question.actor_id is not None:
        return _of_actor().given(actor_id=question.actor_id)
    if question.target is not None:
        kind, _, id = question.target.partition(":")
        return _of_target().given(target_kind=kind, target_id=id)
    return _everything()


def _page(
    connection: Connection, window: Window, listing: Listing, since: str | None, until: str | None
) -> Page:
    after, last = window.after or 0, MAX_ID
    if since is not None:
        after = max(after, position(connection, _moment(since, "/since")) - 1)
    if until is not None:
        last = position(connection, _moment(until, "/until")) - 1
    by_key = replace(window, offset=None, after=after, counted=False)
    return by_key.of(connection, listing.given(**listing.values, last=last))


def _moment(text: str, pointer: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:  # such as a leap second
        found = None
    if found is None or found.tzinfo is None:
        raise Unprocessable("This is no time to search for.", [(pointer, "This is no such time.")])
    return found


_COLUMNS = list(AuditEvent.__table__.c)
_until = AuditEvent.id <= bindparam("last")
_BY_ID = select(AuditEvent.id).limit(1)
_FIRST = Prepared(_BY_ID.order_by(AuditEvent.id))
_LAST = Prepared(_BY_ID.order_by(AuditEvent.id.desc()))
_FROM = Prepared(
    select(AuditEvent.id, AuditEvent.created)
    .where(AuditEvent.id >= bindparam("least"))
    .order_by(AuditEvent.id)
    .limit(1)
)


def _events(*which: Any, columns: Iterable[Any] = _COLUMNS) -> Select[*tuple[Any, ...]]:
    return select(*columns).where(*which, _until)


def _for_others(column: Any) -> Any:
    """Return a column as it may be shown to somebody whom the act of another user concerned."""
    if column.key not in {"address", "client_id", "request_id"}:
        return column
    return case((AuditEvent.actor_id.is_(None), column), else_=None).label(column.key)


def _list_of(make: Callable[[], Any]) -> Callable[[], Listing]:
    return cache(lambda: Listing.of(_events(*make()), AuditEvent.id))


_everything = _list_of(lambda: ())
_of_action = _list_of(lambda: (AuditEvent.action == bindparam("action"),))
_of_actor = _list_of(lambda: (AuditEvent.actor_id == bindparam("actor_id"),))
_of_target = _list_of(
    lambda: (
        AuditEvent.target_id == bindparam("target_id"),
        AuditEvent.target_kind == bindparam("target_kind"),
    )
)


@cache
def _of_user() -> Listing:
    # Each event is in one of the two: what concerned the actor itself has no `user_id`.
    parts = [
        _events(AuditEvent.actor_id == bindparam("user_id")),
        _events(AuditEvent.user_id == bindparam("user_id"), columns=map(_for_others, _COLUMNS)),
    ]
    both = union_all(*parts).subquery("both")
    whole = Listing.of(select(*both.c), cast("InstrumentedAttribute[int]", both.c.id))
    # PostgreSQL reads no further than the page only where each part says so.
    most: BindParameter[int] = bindparam("page_limit")
    later = AuditEvent.id > bindparam("page_after")
    pages = [part.where(later).order_by(AuditEvent.id).limit(most).subquery() for part in parts]
    merged = union_all(*(select(*page.c) for page in pages)).subquery("both")
    page = select(*merged.c, merged.c.id.label("page_key")).order_by(merged.c.id).limit(most)
    return replace(whole, by_key=Prepared(page))

"""The purge of the audit trail: what is old goes in batches, everything else stays."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import AuditEvent
from models.audit.purge import purge
from models.database.base import now


def store(session: Session, *days: float) -> None:
    """Store events of so many days ago."""
    for each in days:
        created = now() - timedelta(days=each)
        session.add(AuditEvent(created=created, action="team.changed", details={}))
        session.flush()
    session.commit()


def purge_all(session: Session, days: int, batch: int = 100) -> list[int]:
    """Purge; return how many rows went in each batch."""
    batches = []
    for purged in purge(session, days, batch):
        session.commit()
        batches.append(purged)
    return batches


def ids(session: Session) -> list[int]:
    return list(session.scalars(select(AuditEvent.id).order_by(AuditEvent.id)))


def test_old_events_go_and_young_ones_stay(session: Session) -> None:
    store(session, 400, 366, 364, 1)
    assert purge_all(session, 365) == [2]
    assert ids(session) == [3, 4]
    assert purge_all(session, 365) == []


def test_they_go_in_batches(session: Session) -> None:
    store(session, *[400] * 7, 1)
    assert purge_all(session, 365, batch=3) == [3, 3, 1]
    assert ids(session) == [8]


def test_an_event_of_a_clock_that_was_wrong_keeps_no_other(session: Session) -> None:
    store(session, 400, -4000, 399, 398, 1)
    assert purge_all(session, 365, batch=2) == [1, 2]
    assert ids(session) == [2, 5]


def test_ids_are_never_used_twice(session: Session) -> None:
    store(session, 400, 400)
    purge_all(session, 365)
    store(session, 1)
    assert ids(session) == [3]


def test_nothing_is_purged_of_an_empty_trail(session: Session) -> None:
    assert purge_all(session, 1) == []

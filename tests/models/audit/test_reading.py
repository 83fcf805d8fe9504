"""Finding events by time: ids grow with it, gaps and equal times included."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from models import AuditEvent
from models.audit.reading import position

START = datetime(2026, 1, 31, tzinfo=UTC)


def store(session: Session, events: dict[int, int]) -> None:
    """Store events by their ids, each with its seconds after START."""
    for id, seconds in events.items():
        created = START + timedelta(seconds=seconds)
        session.add(AuditEvent(id=id, created=created, action="team.changed", details={}))
    session.commit()


@pytest.mark.parametrize(
    "events",
    [
        {},
        {7: 3},
        {1: 0, 2: 0, 3: 0},
        {1: 0, 2: 1, 3: 1, 4: 2, 5: 5},
        {3: 1, 90: 2, 91: 2, 4000: 3, 1_000_000: 4, 2**40: 5},
        {2**62: 1, 2**63 - 2: 2},
    ],
)
def test_the_first_event_from_a_time_on_is_found(session: Session, events: dict[int, int]) -> None:
    store(session, events)
    for half_seconds in range(-1, 13):
        seconds = half_seconds / 2
        found = position(session.connection(), START + timedelta(seconds=seconds))
        later = {id for id in events if id >= found}
        assert later == {id for id, moment in events.items() if moment >= seconds}

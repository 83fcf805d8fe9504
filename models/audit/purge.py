"""The purge of the audit trail: deleting events that were kept long enough, in batches."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from models.audit.event import AuditEvent
from models.database.base import now


def purge(session: Session, days: int, batch: int = 100) -> Iterator[int]:
    """Delete events that are older than some days; yield the number of each batch, to be committed.

    The oldest have the lowest ids. The purge ends with the first batch in which nothing is old
    enough, so a clock that was wrong for a while keeps nobody waiting.
    """
    before = now() - timedelta(days=days)
    last = 0
    while True:
        oldest = select(AuditEvent.id, AuditEvent.created).where(AuditEvent.id > last)
        rows = session.execute(
            oldest.order_by(AuditEvent.id).limit(batch).with_for_update(skip_locked=True)
        ).all()
        old = [row.id for row in rows if row.created < before]
        if not old:
            return
        session.execute(delete(AuditEvent).where(AuditEvent.id.in_(old)))
        last = rows[-1].id
        yield len(old)

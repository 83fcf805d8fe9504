"""The audit trail: who did what to whom."""

from sqlalchemy import Connection

from handlers.schemas.audit import audit_events
from models import Caller
from models.audit import reading
from models.database.pagination import Page, Window


def list_audit_events(
    connection: Connection,
    window: Window,
    since: str | None,
    until: str | None,
    action: str | None,
    actor_id: int | None,
    target: str | None,
) -> Page:
    """List the events of everybody, or those with one thing in common."""
    asked = reading.Question(action, actor_id, target)
    return reading.of_all(connection, window, asked, since, until).map(audit_events.dump)


def list_my_audit_events(
    connection: Connection, caller: Caller, window: Window, since: str | None, until: str | None
) -> Page:
    """List the caller's own acts, and what others did to the caller."""
    page = reading.of_user(connection, window, caller.account.id, since, until)
    return page.map(audit_events.dump)

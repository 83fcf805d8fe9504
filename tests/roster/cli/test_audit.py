"""The audit events of the command line: the operator's acts, and the purge of what is old."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import AuditEvent, User
from models.database.base import now
from tests.commands import CLIENT, MORE, PASSWORD, Migrated, Run


def events(migrated: Migrated) -> list[AuditEvent]:
    """Read the trail."""

    def read(session: Session) -> list[AuditEvent]:
        return list(session.scalars(select(AuditEvent).order_by(AuditEvent.id)))

    found: list[AuditEvent] = migrated.ask(read)
    return found


def test_commands_about_users_are_told(migrated: Migrated, run: Run, ada: User) -> None:
    new = "another pass phrase"
    assert run("users", "set", "ada", "--internal", "--password", stdin=new).status == 0
    assert run("users", "set", "ada", "--no-admin").status == 1  # the last one

    created, changed = events(migrated)
    assert (created.action, changed.action) == ("user.created", "user.changed")
    for event in (created, changed):
        assert (event.actor_id, event.actor_name, event.client_id) == (None, None, None)
        assert (event.address, event.request_id) == (None, None)
        assert (event.user_id, event.target_kind, event.target_id) == (ada.id, "user", str(ada.id))
        assert event.details["operation"] == "command line"
        assert event.details["operator"]
    assert created.details["is_admin"] == "true"
    assert changed.details["changed"] == "is_internal password"
    assert changed.details["is_internal"] == "true"
    assert not any(each in str(event.details) for event in (created, changed) for each in (new,))


@pytest.mark.usefixtures("ada")
def test_commands_about_clients_are_told(migrated: Migrated, run: Run) -> None:
    made = json.loads(run(*CLIENT, *MORE).out)
    client_id = made["client_id"]
    assert run("clients", "set", client_id, "--add-scope", "teams:read").status == 0
    assert run("clients", "delete", client_id).status == 0
    assert run("clients", "delete", client_id).status == 1

    _, created, changed, deleted = events(migrated)
    assert [event.action for event in (created, changed, deleted)] == [
        "client.created",
        "client.changed",
        "client.deleted",
    ]
    assert {event.target_id for event in (created, changed, deleted)} == {client_id}
    assert changed.details["changed"] == "scopes"
    assert "teams:read" in changed.details["scopes"]
    assert made["client_secret"] not in str([event.details for event in events(migrated)])


def test_a_command_that_fails_leaves_no_event(migrated: Migrated, run: Run, ada: User) -> None:
    again = run("users", "create", "ADA", "--email", "b@example.com", stdin=PASSWORD)

    assert again.status == 1
    assert [event.target_id for event in events(migrated)] == [str(ada.id)]


def test_the_purge_takes_old_events(
    migrated: Migrated, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(session: Session) -> None:
        for days in (40, 31, 29):
            created = now() - timedelta(days=days)
            session.add(AuditEvent(created=created, action="team.changed", details={}))
            session.flush()
        session.commit()

    migrated.ask(fill)
    assert run("tokens", "purge").out == "0 removed\n"
    monkeypatch.setenv("ROSTER_AUDIT_DAYS", "30")
    assert run("tokens", "purge").out == "2 removed\n"

    assert [event.id for event in events(migrated)] == [3]

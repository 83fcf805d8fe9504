"""Audit events: their columns, and how an act leaves one in its own transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    Index,
    String,
    Text,
    bindparam,
    func,
    insert,
    select,
    type_coerce,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from models.database.base import Base, Id, Identified, is_storable, now
from models.database.prepared import Prepared
from models.oauth.client import Client
from models.users.names import USERNAME_LENGTH

MAX_ACTION = 64
MAX_ADDRESS = 64
MAX_REQUEST_ID = 64
MAX_KIND = 32
MAX_TARGET_ID = 64
# Characters of the details of one event, as they are stored, and of one value; and how many.
MAX_DETAILS = 2000
MAX_VALUE = 500
MAX_ITEMS = 50


class Details(TypeDecorator[dict[str, str]]):
    """Store names with texts as one JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, str] | None, dialect: Dialect) -> str | None:
        """Write the JSON text."""
        return None if value is None else _as_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, str] | None:
        """Read the JSON text."""
        return None if value is None else json.loads(value)


class AuditEvent(Identified, Base):
    """An act that was carried out, or a login that failed.

    It outlives all that it names: nothing in it is a foreign key, and the actor's username stays
    as it was. `user_id` is the user whom the act concerned, where that is another one than the
    actor. There are no other personal data: no e-mail address, and no value that was typed.
    Ids grow with `created`: what asks for a time searches an id.
    """

    __tablename__ = "audit_events"

    created: Mapped[datetime] = mapped_column(default=now)
    action: Mapped[str] = mapped_column(String(MAX_ACTION))
    actor_id: Mapped[int | None] = mapped_column(Id)
    actor_name: Mapped[str | None] = mapped_column(String(USERNAME_LENGTH))
    client_id: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(MAX_ADDRESS))
    request_id: Mapped[str | None] = mapped_column(String(MAX_REQUEST_ID))
    user_id: Mapped[int | None] = mapped_column(Id)
    target_kind: Mapped[str | None] = mapped_column(String(MAX_KIND))
    target_id: Mapped[str | None] = mapped_column(String(MAX_TARGET_ID))
    details: Mapped[dict[str, str]] = mapped_column(Details)


def _index(name: str, *columns: Any) -> None:
    """Index the events that have a first column, in the order of the list.

    Most events lack it, and are left out: each index costs a write of a page.
    """
    known = columns[0].is_not(None)
    Index(name, *columns, AuditEvent.id, sqlite_where=known, postgresql_where=known)


# One for each question that can be asked.
Index(None, AuditEvent.action, AuditEvent.id)
_index("ix_audit_events_actor_id", AuditEvent.actor_id)
_index("ix_audit_events_user_id", AuditEvent.user_id)
_index("ix_audit_events_target", AuditEvent.target_id, AuditEvent.target_kind)


@dataclass(slots=True)
class Act:
    """What an event tells of an act.

    `client` is the id of the row of the client with which it was done, for who does not know its
    `client_id`. The texts of `details` are cut where they are too long.
    """

    action: str
    actor_id: int | None = None
    actor_name: str | None = None
    client: int | None = None
    client_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    user_id: int | None = None
    target_kind: str | None = None
    target_id: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    def write(self, connection: Connection) -> None:
        """Write the event in the transaction of the connection, which begins if need be."""
        _INSERT.all(
            connection,
            new_created=now(),
            new_action=self.action,
            new_actor=self.actor_id,
            new_name=self.actor_name,
            client=self.client,
            known_client=self.client_id,
            new_address=_short(self.address, MAX_ADDRESS),
            new_request=_short(self.request_id, MAX_REQUEST_ID),
            new_user=None if self.user_id == self.actor_id else self.user_id,
            new_kind=self.target_kind,
            new_target=_short(self.target_id, MAX_TARGET_ID),
            new_details=self.details,
        )


def client_named(connection: Connection, client: int) -> str | None:
    """Return the client identifier of the client with that row id."""
    found = _CLIENT_ID.first(connection, client=client)
    return None if found is None else str(found.client_id)


def _short(text: str | None, most: int) -> str | None:
    if text is None or (text.isascii() and "\0" not in text):  # as nearly all are
        return text and text[:most]
    return text[:most] if is_storable(text) else None


def _as_json(details: Mapping[str, str]) -> str:
    if not details:
        return "{}"
    short = {
        name[:MAX_VALUE]: _short(value, MAX_VALUE) or ""
        for name, value in islice(details.items(), MAX_ITEMS)
    }
    while len(written := json.dumps(short, ensure_ascii=False)) > MAX_DETAILS:
        short.popitem()
    return written


_CLIENT_ID = Prepared(select(Client.client_id).where(Client.id == bindparam("client")))
_named: Any = select(Client.client_id).where(Client.id == bindparam("client")).scalar_subquery()
_INSERT = Prepared(
    insert(AuditEvent)
    .inline()
    .values(
        created=bindparam("new_created"),
        action=bindparam("new_action"),
        actor_id=bindparam("new_actor"),
        actor_name=bindparam("new_name"),
        client_id=func.coalesce(type_coerce(bindparam("known_client"), String), _named),
        address=bindparam("new_address"),
        request_id=bindparam("new_request"),
        user_id=bindparam("new_user"),
        target_kind=bindparam("new_kind"),
        target_id=bindparam("new_target"),
        details=bindparam("new_details"),
    )
)

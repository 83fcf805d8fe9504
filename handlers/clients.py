"""Clients: the OAuth applications of a user."""

from collections.abc import Generator
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from handlers.schemas.clients import client as client_schema
from handlers.schemas.clients import clients as clients_schema
from models import Caller, Client
from models.database.pagination import Page, Window
from models.oauth import registration
from models.patch import Operation
from models.quotas import Quotas


def list_clients(
    connection: Connection, caller: Caller, window: Window, user_id: int | None
) -> Page:
    """List the caller's clients; an admin may list those of any user."""
    return window.of(connection, Client.visible_to(caller, user_id)).map(clients_schema.dump)


def create_client(
    session: Session, caller: Caller, definition: Any, quotas: Quotas, body: dict[str, Any]
) -> Any:
    """Register a client; only this answer shows the secret of a confidential one."""
    bounds = {"all_scopes": definition.scopes, "most": quotas.clients}
    client, secret = registration.register(session, caller, **bounds, **body)
    return {**client_schema.dump(client), **({"client_secret": secret} if secret else {})}


def read_client(client: Client) -> Any:
    """Show a client."""
    return client_schema.dump(client)


def change_client(
    session: Session, caller: Caller, client: Client, definition: Any, body: list[Operation]
) -> Generator[None, None, Any]:
    """Change a client by a JSON Patch."""
    asked = (session, client, body, caller)
    yield from registration.end_before_change(*asked, all_scopes=definition.scopes)
    registration.change(*asked, all_scopes=definition.scopes)
    return client_schema.dump(client)


def delete_client(session: Session, caller: Caller, client: Client) -> Generator[None, None, None]:
    """Delete a client, with its tokens."""
    yield from registration.end_before_removal(session, client, caller)
    registration.remove(session, client)


def create_client_secret(session: Session, caller: Caller, client: Client) -> Any:
    """Replace a client's secret."""
    secret = registration.replace_secret(session, client, caller)
    return {"client_id": client.client_id, "client_secret": secret}

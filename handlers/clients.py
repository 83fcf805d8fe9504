"""Clients: the OAuth applications of a user."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from handlers.schemas.clients import client as client_schema
from handlers.schemas.clients import clients as clients_schema
from models import Caller, Client, registration
from models.pages import Page, Window
from models.patch import Operation


def list_clients(
    connection: Connection, caller: Caller, window: Window, user_id: int | None
) -> Page:
    """List the caller's clients, or to an admin anybody's."""
    return window.of(connection, Client.visible_to(caller, user_id)).map(clients_schema.dump)


def create_client(session: Session, caller: Caller, definition: Any, body: dict[str, Any]) -> Any:
    """Register a client; a confidential one's secret is in this answer only."""
    scopes = definition.scopes
    client, secret = registration.register(session, caller, all_scopes=scopes, **body)
    return {**client_schema.dump(client), **({"client_secret": secret} if secret else {})}


def read_client(client: Client) -> Any:
    """Show a client."""
    return client_schema.dump(client)


def change_client(session: Session, caller: Caller, client: Client, body: list[Operation]) -> Any:
    """Change a client by a JSON Patch."""
    registration.change(session, client, body, caller)
    return client_schema.dump(client)


def delete_client(session: Session, client: Client) -> None:
    """Delete a client, with its tokens."""
    registration.remove(session, client)


def create_client_secret(session: Session, caller: Caller, client: Client) -> Any:
    """Replace a client's secret."""
    secret = registration.replace_secret(session, client, caller)
    return {"client_id": client.client_id, "client_secret": secret}

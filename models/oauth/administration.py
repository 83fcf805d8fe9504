"""How an operator changes clients: as their owners do, but whatever any token has."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models.errors import NotFound
from models.oauth import ending
from models.oauth.client import Client
from models.users.user import User

# Clients that are read at once.
BATCH = 500


@dataclass(frozen=True)
class ClientChanges:
    """What a client has after a change."""

    name: str
    user_id: int
    scopes: tuple[str, ...]
    grant_types: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    by_operator: bool


def clients_with_owners(session: Session) -> Iterator[tuple[Client, str]]:
    """Yield every client with its owner's username, in the order of their creation."""
    all_clients = select(Client, User.username).join(User, User.id == Client.user_id)
    last = 0
    while True:
        some = all_clients.where(Client.id > last).order_by(Client.id).limit(BATCH)
        rows = session.execute(some).all()
        for client, username in rows:
            yield client, username
            last = client.id
        if len(rows) < BATCH:
            return


def end_before_change(session: Session, client: Client, changes: ClientChanges) -> Iterator[None]:
    """End by batches, each to be committed, what a change will end: there may be any number."""
    if changes.scopes != client.scopes:
        yield from ending.of_wider(session, client.id, changes.scopes)
    if changes.redirect_uris != client.redirect_uris:
        yield from ending.of_moved(session, client.id)


def change(session: Session, client: Client, changes: ClientChanges) -> None:
    """Change a client, whose row is locked.

    Other redirect URIs end what users let the server remember, and all codes; fewer scopes end the
    grants and codes that have more. Raise NotFound where the new owner has just gone.
    """
    scopes = None if changes.scopes == client.scopes else changes.scopes
    has_moved = changes.redirect_uris != client.redirect_uris
    client.scopes, client.redirect_uris = changes.scopes, changes.redirect_uris
    ending.end_by_change(session, client.id, scopes=scopes, has_moved=has_moved)
    client.name, client.user_id = changes.name, changes.user_id
    client.grant_types, client.by_operator = changes.grant_types, changes.by_operator
    try:
        session.flush()
    except IntegrityError:
        raise NotFound("The owner's account no longer exists.") from None

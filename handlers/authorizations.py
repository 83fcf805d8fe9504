"""Authorizations: the applications that a user has authorised."""

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from handlers.schemas.clients import authorizations as authorizations_schema
from models import Caller, Consent
from models.database.pagination import Page, Window


def list_authorizations(connection: Connection, caller: Caller, window: Window) -> Page:
    """List the applications that the caller has authorised."""
    authorised = Consent.authorised(caller.account.id)
    return window.of(connection, authorised).map(authorizations_schema.dump)


def withdraw_authorization(session: Session, caller: Caller, client_id: str) -> None:
    """Withdraw the caller's authorization of one application."""
    Consent.withdraw(session, caller.account.id, client_id)

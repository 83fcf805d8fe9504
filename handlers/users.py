"""Users: signing up, reading, changing and deleting accounts."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from handlers.schemas.users import base_users
from handlers.schemas.users import user as user_schema
from models import Caller, User, accounts
from models.database.pagination import Page, Window
from models.oauth import ending
from models.patch import Operation


def list_users(connection: Connection, window: Window) -> Page:
    """List all users."""
    return window.of(connection, User.everyone()).map(base_users.dump)


def sign_up(session: Session, caller: Caller, settings: Any, body: dict[str, Any]) -> Any:
    """Create an account: the own one, or as an admin any."""
    created = User.create(session, **body, is_active=caller.is_admin or settings.signup == "open")
    return user_schema.dump(created)


def read_signup_form(captcha: Any) -> dict[str, str]:
    """Return what a sign-up form needs."""
    return {"recaptcha_server_key": captcha.site_key}


def read_me(caller: Caller) -> Any:
    """Show the caller's user."""
    return user_schema.dump(caller.account)


def read_user(user: User) -> Any:
    """Show a user."""
    return user_schema.dump(user)


def change_user(
    session: Session, caller: Caller, attempts: Any, user: User, body: list[Operation]
) -> Any:
    """Change a user by a JSON Patch."""
    accounts.change(session, user, body, caller, attempts)
    return user_schema.dump(user)


def delete_user(session: Session, caller: Caller, user: User) -> Iterator[None]:
    """Delete a user with its clients, tokens and teams without other members."""
    yield from accounts.leave_teams(session, user, caller)
    yield from ending.of_account(session, user.id, caller.grant_id)
    accounts.delete_account(session, user, caller)

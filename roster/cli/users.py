"""The commands for users."""

import sys

import click

from models import User, accounts
from models.errors import Unprocessable
from models.users.names import EMAIL_RULE, USERNAME_RULE
from roster import settings
from roster.cli import audit
from roster.cli.arguments import check_by
from roster.cli.database import opened


@click.group()
def users() -> None:
    """Create and change users."""


@users.command("create")
@click.argument("username", callback=check_by("Username", USERNAME_RULE, Unprocessable))
@click.option("--email", required=True, callback=check_by("Email", EMAIL_RULE, Unprocessable))
@click.option("--admin", is_flag=True, help="Make the user an admin.")
@click.option("--internal", is_flag=True, help="Make the user an internal one.")
@click.option("--inactive", is_flag=True, help="Leave the user inactive.")
def create_user(username: str, email: str, *, admin: bool, internal: bool, inactive: bool) -> None:
    """Create a user; the password is asked for, or read as one line from standard input."""
    current = settings.load()
    password = _password()
    with opened(current) as session:
        made = User.create(
            session,
            username=username,
            email=email,
            password=password,
            is_admin=admin,
            is_internal=internal,
            is_active=not inactive,
        )
        flags = {"is_active": not inactive, "is_admin": admin, "is_internal": internal}
        audit.record(session, "user.created", ("user", made.id), audit.changed(flags))
        click.echo(made.id)


@users.command("set")
@click.argument("username")
@click.option("--password", is_flag=True, help="Set a new password; all the user's tokens end.")
@click.option("--admin/--no-admin", default=None)
@click.option("--internal/--no-internal", default=None)
@click.option("--active/--no-active", default=None)
def set_user(
    username: str, *, password: bool, admin: bool | None, internal: bool | None, active: bool | None
) -> None:
    """Change a user's password or roles."""
    if not password and admin is internal is active is None:
        raise click.UsageError("say what to change, such as --password or --no-active")
    current = settings.load()
    new_password = _password() if password else None
    with opened(current) as session:
        user = User.find_by_login(session, username)
        if user is None:
            raise click.ClickException("there is no such user")
        flags = {"is_admin": admin, "is_internal": internal, "is_active": active}
        accounts.administer(session, user, password=new_password, **flags)
        given = {**flags, "password": new_password}
        audit.record(session, "user.changed", ("user", user.id), audit.changed(given))


def _password() -> str:
    if sys.stdin is None:  # closed
        raise click.ClickException("the password is read from standard input, which is closed")
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.ClickException("the password is not text in this terminal's encoding") from None

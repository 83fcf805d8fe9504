"""The command line: `roster`, for those who run the server."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from models import Client, User, accounts, development
from models.database import connections, migrate
from models.database.base import is_storable
from models.errors import Unprocessable
from models.oauth.client import CONFIDENTIAL, GRANT_TYPES, PUBLIC
from models.oauth.redirect_uris import check as check_redirect_uri
from models.users.names import EMAIL_RULE, USERNAME_RULE
from roster import settings
from roster.cli.check import check
from roster.cli.database import NEWER, db, opened, tokens
from roster.cli.mistakes import told_in_one_line
from roster.contract import loader
from roster.contract.operation import Operation
from roster.contract.schemas import Schema
from roster.server import memory, serving
from roster.settings import Settings, SettingsError

_NAME_RULE = (
    "a name has {minLength} to {maxLength} characters that can be seen, and no blank at an end"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def roster() -> None:
    """Serve the API, and look after its database, users and clients."""


roster.add_command(db)
roster.add_command(tokens)
roster.add_command(check)


def main() -> None:
    """Run the command line; an operator's mistake is one line, not a traceback."""
    with told_in_one_line():
        roster(standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()  # what fails then is told too


@roster.command()
def serve() -> None:
    """Check the definition, migrate the database, load development data if due, and serve."""
    current = settings.load()
    with ExitStack() as stack:
        sockets = serving.listen(current.host, current.port)
        for each in sockets:
            stack.callback(each.close)
        with memory.starting():
            serving.build()
            _prepare(current)
        _say_what_is_missing(current)
        stack.enter_context(_shared_metrics(current))
        serving.run(current, sockets)


def _prepare(current: Settings) -> None:
    engine = connections.connect(current.database_url, prepares=current.prepares)
    try:
        migrate.upgrade(engine)
        if migrate.is_newer(engine):
            click.echo(f"roster: {NEWER}", err=True)
        with connections.session_factory(engine)() as session:
            if current.is_development:
                for sentence in migrate.lacking(engine):
                    click.echo(f"roster: {sentence}", err=True)
                development.load(session, current.origin, current.port)
                session.commit()
            elif current.docs_client_id and not Client.find(session, current.docs_client_id):
                click.echo("roster: ROSTER_DOCS_CLIENT_ID: there is no such client", err=True)
    finally:
        engine.dispose()


def _say_what_is_missing(current: Settings) -> None:
    if current.captcha == "on" and not current.captcha_verify_url and not current.is_development:
        click.echo(
            "roster: ROSTER_CAPTCHA_VERIFY_URL is not set: only admins can create users", err=True
        )
    if current.workers > 1 and not current.limits_url:
        click.echo(
            "roster: ROSTER_LIMITS_URL is not set: each worker counts failed logins by itself, so"
            f" that all limits are {current.workers} times as high",
            err=True,
        )


@contextmanager
def _shared_metrics(current: Settings) -> Iterator[None]:
    """Let several workers add up their figures in a folder that goes when they do."""
    given = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if given is not None and not (Path(given).is_dir() and os.access(given, os.W_OK | os.X_OK)):
        raise SettingsError("PROMETHEUS_MULTIPROC_DIR: there is no such folder that can be written")
    if current.workers == 1 or given is not None:
        yield
        return
    try:
        made = tempfile.TemporaryDirectory(prefix="roster-metrics-")
    except OSError:
        raise SettingsError("TMPDIR: there is no folder in which a file can be made") from None
    with made as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


@roster.group()
def users() -> None:
    """Create and change users."""


def _check_by(
    schema: str, sentence: str, error: Callable[[str], Exception]
) -> Callable[[click.Context, click.Parameter, str], str]:
    """Make the callback that refuses what the API refuses, by a schema of the definition."""

    def check(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
        schemas = loader.load("production").document["components"]["schemas"]
        if not is_storable(value) or Schema(schemas[schema]).errors(value):
            raise error(sentence.format_map(schemas[schema]))
        return value

    return check


@users.command("create")
@click.argument("username", callback=_check_by("Username", USERNAME_RULE, Unprocessable))
@click.option("--email", required=True, callback=_check_by("Email", EMAIL_RULE, Unprocessable))
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
    current = settings.load()
    new_password = _password() if password else None
    with opened(current) as session:
        user = User.find_by_login(session, username)
        if user is None:
            raise click.ClickException("there is no such user")
        flags = {"is_admin": admin, "is_internal": internal, "is_active": active}
        accounts.administer(session, user, password=new_password, **flags)


def _password() -> str:
    if sys.stdin is None:  # closed
        raise click.ClickException("the password is read from standard input, which is closed")
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.ClickException("the password is not text in this terminal's encoding") from None


@roster.group()
def clients() -> None:
    """Register and change OAuth clients."""


def _check_uris(
    _context: click.Context, _parameter: click.Parameter, uris: tuple[str, ...]
) -> tuple[str, ...]:
    try:
        for uri in uris:
            check_redirect_uri(uri, "")
    except Unprocessable as error:
        raise click.BadParameter(error.errors[0][1]) from None
    return uris


@clients.command("create")
@click.option("--owner", required=True, help="The username of the user to whom the client belongs.")
@click.option(
    "--name", required=True, callback=_check_by("ClientName", _NAME_RULE, click.BadParameter)
)
@click.option("--grant", "grants", multiple=True, required=True, type=click.Choice(GRANT_TYPES))
@click.option("--scope", "scopes", multiple=True, required=True)
@click.option("--redirect-uri", "redirect_uris", multiple=True, callback=_check_uris)
@click.option("--public", is_flag=True, help="Register a public client, such as an app on a phone.")
@click.option("--secret", is_flag=True, help="Give a public client a secret too.")
def create_client(
    owner: str,
    name: str,
    grants: tuple[str, ...],
    scopes: tuple[str, ...],
    redirect_uris: tuple[str, ...],
    *,
    public: bool,
    secret: bool,
) -> None:
    """Register a client, and print its id and, this once, its secret."""
    current = settings.load()
    unknown = set(scopes) - loader.load("production").scopes.keys()
    if unknown:
        raise click.ClickException(f"--scope: there is no scope {min(unknown)}")
    if "authorization_code" in grants and not redirect_uris:
        raise click.ClickException("--redirect-uri: needed with the authorization_code grant")
    with opened(current) as session:
        user = User.find_by_login(session, owner)
        if user is None:
            raise click.ClickException("--owner: there is no such user")
        client, made_secret = Client.create(
            session,
            user_id=user.id,
            name=name,
            client_type=PUBLIC if public else CONFIDENTIAL,
            scopes=scopes,
            grant_types=grants,
            redirect_uris=redirect_uris,
            with_secret=secret,
            by_operator=True,
        )
        printed = {"client_id": client.client_id} | (
            {"client_secret": made_secret} if made_secret else {}
        )
    click.echo(json.dumps(printed, indent=2))


@clients.command("set")
@click.argument("client_id")
@click.option(
    "--by-operator/--no-by-operator",
    default=None,
    help="Let it use its grants whoever owns it, or only while an active admin does.",
)
def set_client(client_id: str, *, by_operator: bool | None) -> None:
    """Tell whether a client counts as one that this command line made."""
    if by_operator is None:
        raise click.UsageError("say --by-operator or --no-by-operator")
    with opened(settings.load()) as session:
        client = Client.find(session, client_id)
        if client is None or not Client.lock(session, client.id):
            raise click.ClickException("there is no such client")
        client.by_operator = by_operator


@roster.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of YAML.")
def spec(*, as_json: bool) -> None:
    """Print the definition, bundled as it is served."""
    defined = loader.load(settings.load().environment)
    click.echo(defined.as_json if as_json else defined.as_yaml, nl=False)


@roster.command()
def routes() -> None:
    """Print a table of the operations: method, path, operation, scopes, and who may call."""
    rows = [("METHOD", "PATH", "OPERATION", "SCOPES", "WHO")]
    rows += (
        (each.method, each.path, each.id, _scopes(each), each.permission.who)
        for each in loader.load(settings.load().environment).operations
    )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _scopes(operation: Operation) -> str:
    """Name the scopes without which the operation cannot be called."""
    return "none" if operation.is_open else " ".join(sorted(operation.scopes))

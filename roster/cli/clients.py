"""The commands for OAuth clients: what users do over the API, without its limits on who may."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy.orm import Session

from models import Client, User
from models.errors import Unprocessable
from models.oauth import administration, ending, registration
from models.oauth.administration import ClientChanges
from models.oauth.client import CONFIDENTIAL, GRANT_TYPES, PUBLIC
from models.oauth.redirect_uris import check as check_redirect_uri
from roster import settings
from roster.cli import audit
from roster.cli.arguments import CommandOfClient, check_by
from roster.cli.database import commit_each, opened
from roster.cli.table import print_table
from roster.contract import loader
from roster.contract.errors import nearest

_NAME_RULE = (
    "a name has {minLength} to {maxLength} characters that can be seen, and no blank at an end"
)
_check_name = check_by("ClientName", _NAME_RULE, click.BadParameter)


@click.group()
def clients() -> None:
    """Register, show, change and delete OAuth clients."""


def _check_uris(
    _context: click.Context, _parameter: click.Parameter, uris: tuple[str, ...]
) -> tuple[str, ...]:
    try:
        for uri in uris:
            check_redirect_uri(uri, "")
    except Unprocessable as error:
        raise click.BadParameter(error.errors[0][1]) from None
    return uris


def _check_scopes(
    _context: click.Context, parameter: click.Parameter, scopes: tuple[str, ...]
) -> tuple[str, ...]:
    if scopes:
        _check_known(scopes, loader.load("production").scopes, parameter.opts[0])
    return scopes


def _check_known(scopes: Iterable[str], known: Iterable[str], option: str) -> None:
    for scope in sorted(set(scopes).difference(known)):
        raise click.ClickException(f"{option}: there is no scope {scope}{nearest(scope, known)}")


@clients.command("create")
@click.option("--owner", required=True, help="The username of the user to whom the client belongs.")
@click.option("--name", required=True, callback=_check_name)
@click.option("--grant", "grants", multiple=True, required=True, type=click.Choice(GRANT_TYPES))
@click.option("--scope", "scopes", multiple=True, required=True, callback=_check_scopes)
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
    _check_together(grants, redirect_uris, has_secret=secret or not public)
    with opened(current) as session:
        client, made_secret = Client.create(
            session,
            user_id=_owner(session, owner).id,
            name=name,
            client_type=PUBLIC if public else CONFIDENTIAL,
            scopes=scopes,
            grant_types=grants,
            redirect_uris=redirect_uris,
            with_secret=secret,
            by_operator=True,
        )
        audit.record(
            session,
            "client.created",
            ("client", client.client_id),
            {"grant_types": " ".join(client.grant_types), "scopes": " ".join(client.scopes)},
        )
        printed = {"client_id": client.client_id} | (
            {"client_secret": made_secret} if made_secret else {}
        )
    click.echo(json.dumps(printed, indent=2))


@clients.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_clients(*, as_json: bool) -> None:
    """Print all clients, in the order of their creation."""
    with opened(settings.load()) as session:
        found = [_described(*pair) for pair in administration.clients_with_owners(session)]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    print_table(
        ("CLIENT", "OWNER", "TYPE", "BY OPERATOR", "GRANTS", "SCOPES", "NAME"),
        (
            (
                *(each["client_id"], each["owner"], each["client_type"]),
                "yes" if each["by_operator"] else "no",
                *(",".join(each["grant_types"]), ",".join(each["scopes"]), each["name"]),
            )
            for each in found
        ),
    )


@clients.command("show", cls=CommandOfClient)
@click.argument("client_id")
def show_client(client_id: str) -> None:
    """Print a client as JSON, without its secret, which nobody can read."""
    with opened(settings.load()) as session:
        client = _find(session, client_id)
        owner = session.get_one(User, client.user_id)
        printed = _described(client, owner.username)
    click.echo(json.dumps(printed, indent=2))


@clients.command("set", cls=CommandOfClient)
@click.argument("client_id")
@click.option("--name", callback=lambda *given: given[2] and _check_name(*given))
@click.option("--owner", help="The username of the user to whom it shall belong.")
@click.option(
    *("--scope", "scopes"),
    multiple=True,
    callback=_check_scopes,
    help="The most that it may get; give all its scopes.",
)
@click.option(
    *("--add-scope", "added"),
    multiple=True,
    callback=_check_scopes,
    help="A scope that it may get from now on.",
)
@click.option("--remove-scope", "removed", multiple=True, help="A scope that it may get no longer.")
@click.option(
    "--grant", "grants", multiple=True, type=click.Choice(GRANT_TYPES), help="Give all its grants."
)
@click.option(
    *("--redirect-uri", "redirect_uris"),
    multiple=True,
    callback=_check_uris,
    help="Give all its redirect URIs.",
)
@click.option(
    "--by-operator/--no-by-operator",
    default=None,
    help="Let it use its grants whoever owns it, or only while an active admin does.",
)
def set_client(
    client_id: str,
    name: str | None,
    owner: str | None,
    scopes: tuple[str, ...],
    added: tuple[str, ...],
    removed: tuple[str, ...],
    grants: tuple[str, ...],
    redirect_uris: tuple[str, ...],
    *,
    by_operator: bool | None,
) -> None:
    """Change a client; what is not given stays.

    Tokens with more than its scopes end. Other redirect URIs end what users let the server
    remember. A token that it got by a grant which it loses lives until it expires.
    """
    if scopes and (added or removed):
        raise click.UsageError("--scope gives all scopes: it goes without --add-scope and the like")
    given = (name, owner, scopes, added, removed, grants, redirect_uris)
    if not any(given) and by_operator is None:
        raise click.UsageError("say what to change, such as --scope or --by-operator")

    def changes(session: Session, client: Client) -> ClientChanges:
        _check_known(removed, client.scopes, "--remove-scope")
        kept = set(scopes or client.scopes).union(added).difference(removed)
        if not kept:
            raise click.ClickException("--remove-scope: a client has one scope or more")
        _check_together(
            grants or client.grant_types,
            redirect_uris or client.redirect_uris,
            # One that has been there stays as it is: what it cannot use does no harm.
            has_secret=not grants or client.secret_hash is not None,
        )
        return ClientChanges(
            name=name or client.name,
            user_id=_owner(session, owner).id if owner else client.user_id,
            scopes=tuple(sorted(kept)),
            grant_types=tuple(sorted(set(grants or client.grant_types))),
            redirect_uris=tuple(dict.fromkeys(redirect_uris or client.redirect_uris)),
            by_operator=client.by_operator if by_operator is None else by_operator,
        )

    with opened(settings.load()) as session:
        client = _find(session, client_id)
        wanted = changes(session, client)
        commit_each(session, administration.end_before_change(session, client, wanted))
        # The owner's row comes before the client's, in the order in which all lock them.
        User.lock(session, client.user_id, wanted.user_id)
        client = _locked(session, client)
        wanted = changes(session, client)
        names = [name for name in asdict(wanted) if getattr(wanted, name) != getattr(client, name)]
        administration.change(session, client, wanted)
        told = {
            "changed": " ".join(sorted(names)),
            "by_operator": str(client.by_operator).lower(),
            "grant_types": " ".join(client.grant_types),
            "scopes": " ".join(client.scopes),
        }
        audit.record(session, "client.changed", ("client", client.client_id), told)


@clients.command("delete", cls=CommandOfClient)
@click.argument("client_id")
def delete_client(client_id: str) -> None:
    """Delete a client, with its tokens and what users allowed to it."""
    with opened(settings.load()) as session:
        client = _find(session, client_id)
        commit_each(session, ending.of_client(session, client.id))
        registration.remove(session, _locked(session, client))
        audit.record(session, "client.deleted", ("client", client.client_id))


def _find(session: Session, client_id: str) -> Client:
    client = Client.find(session, client_id)
    if client is None:
        raise click.ClickException("there is no such client")
    return client


def _locked(session: Session, client: Client) -> Client:
    for locked in Client.lock(session, client.id):
        return locked
    raise click.ClickException("there is no such client")


def _owner(session: Session, username: str) -> User:
    user = User.find_by_login(session, username)
    if user is None:
        raise click.ClickException("--owner: there is no such user")
    return user


def _check_together(
    grants: Sequence[str], redirect_uris: Sequence[str], *, has_secret: bool
) -> None:
    if "authorization_code" in grants and not redirect_uris:
        raise click.ClickException("--redirect-uri: needed with the authorization_code grant")
    try:
        registration.check_credentials(grants, has_secret=has_secret)
    except Unprocessable as error:
        raise click.ClickException(f"--grant: {error.errors[0][1]}") from None


def _described(client: Client, owner: str) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "owner": owner,
        "client_type": client.client_type,
        "grant_types": list(client.grant_types),
        "scopes": list(client.scopes),
        "redirect_uris": list(client.redirect_uris),
        "by_operator": client.by_operator,
        "created": client.created.isoformat(),
        "updated": client.updated.isoformat(),
    }

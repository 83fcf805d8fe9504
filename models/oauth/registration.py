"""Registering, changing and deleting clients: no client gets more rights than its caller has."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import patch
from models.caller import Caller
from models.errors import Conflict, Forbidden, NotFound, Unprocessable
from models.oauth import ending
from models.oauth.client import ADMINS_GRANTS, CONFIDENTIAL, PUBLIC, Client
from models.oauth.redirect_uris import check
from models.oauth.secret import digest, generate
from models.quotas import Quotas, check_room
from models.users.user import User


def register(
    session: Session,
    caller: Caller,
    *,
    all_scopes: Collection[str],
    name: str,
    client_type: str = CONFIDENTIAL,
    redirect_uris: Sequence[str] = (),
    default_scopes: Iterable[str] | None = None,
    grant_types: Iterable[str] = ("authorization_code", "refresh_token"),
    most: int = Quotas.clients,
) -> tuple[Client, str | None]:
    """Register a client of the caller's; return it and its secret, if it has one.

    Without `default_scopes` it gets the scopes of the caller's token. Raise Forbidden if it would
    get more, or a grant that only an admin with `all_scopes` may give; Unprocessable if its type
    and grants do not fit or a redirect URI is unsafe; Conflict if the caller has `most` clients.
    """
    scopes = set(caller.scopes if default_scopes is None else default_scopes)
    grants = set(grant_types)
    _check_scopes(caller, scopes, "/default_scopes")
    _check_admins_grants(caller, grants, all_scopes, "/grant_types")
    check_credentials(grants, has_secret=client_type != PUBLIC)
    _check_redirect_uris(redirect_uris, grants, "/redirect_uris")
    owner_id = caller.account.id
    own = select(Client.id).where(Client.user_id == owner_id)
    check_room(session, owner_id, own, most, ("You have as many clients as one user may have.", ()))
    return Client.create(
        session,
        user_id=owner_id,
        name=name,
        client_type=client_type,
        scopes=scopes,
        grant_types=grants,
        redirect_uris=redirect_uris,
    )


def check_credentials(grant_types: Collection[str], *, has_secret: bool) -> None:
    """Check that a client has the secret that its grants need.

    A public one has none, unless an operator gave it one. Raise Unprocessable.
    """
    if "client_credentials" in grant_types and not has_secret:
        raise Unprocessable(
            "A public client has no credentials.",
            [("/grant_types", "A public client cannot use client_credentials.")],
        )


def end_before_change(
    session: Session,
    client: Client,
    operations: Sequence[patch.Operation],
    caller: Caller,
    *,
    all_scopes: Collection[str],
) -> Iterator[None]:
    """End in batches, each to be committed, the rows that a change will end: there may be many.

    The client is not changed. Raise the errors of `change` before anything ends.
    """
    after = _judge(client, operations, caller, all_scopes)
    if after["default_scopes"] != list(client.scopes):
        yield from ending.of_wider(session, client.id, after["default_scopes"], caller.grant_id)
    if after["redirect_uris"] != list(client.redirect_uris):
        yield from ending.of_moved(session, client.id)


def change(
    session: Session,
    client: Client,
    operations: Sequence[patch.Operation],
    caller: Caller,
    *,
    all_scopes: Collection[str],
) -> None:
    """Apply a JSON Patch to a client's `/name`, `/redirect_uris` and `/default_scopes`.

    Raise Conflict if a test fails; Forbidden if the caller's token lacks a scope that the client
    has or would get, or if a client with grants that only an admin may give would get more scopes
    from a caller who is no admin with `all_scopes`; Unprocessable for an unsafe redirect URI. Other
    redirect URIs delete the remembered consents and all codes; fewer scopes end the grants and
    codes that have more.
    """
    _lock(session, client)
    after = _judge(client, operations, caller, all_scopes)
    scopes = None
    if after["default_scopes"] != list(client.scopes):
        scopes = client.scopes = tuple(sorted(set(after["default_scopes"])))
    has_moved = after["redirect_uris"] != list(client.redirect_uris)
    if has_moved:
        client.redirect_uris = tuple(dict.fromkeys(after["redirect_uris"]))
    ending.end_by_change(session, client.id, scopes=scopes, has_moved=has_moved)
    client.name = after["name"]
    session.flush()


def replace_secret(session: Session, client: Client, caller: Caller) -> str:
    """Replace a client's secret and return the new one; its tokens stay valid.

    Raise Conflict for a public client; Forbidden if the caller's token lacks a scope of the client,
    or if the client's grants need an active admin as its owner, which it no longer has.
    """
    owner = User.lock_shared(session, client.user_id)
    _lock(session, client)
    _check_scopes(caller, client.scopes)
    if ADMINS_GRANTS.intersection(client.grant_types) and not client.is_backed_by(owner):
        raise Forbidden("The client has grants that need an active admin as its owner.")
    if client.is_public:
        raise Conflict("A public client has no secret.")
    secret = generate()
    client.secret_hash = digest(secret)
    session.flush()
    return secret


def end_before_removal(session: Session, client: Client, caller: Caller) -> Iterator[None]:
    """End in batches, each to be committed, the rows of a client: there may be many."""
    yield from ending.of_client(session, client.id, caller.grant_id)


def remove(session: Session, client: Client) -> None:
    """Delete a client, with its tokens and codes."""
    _lock(session, client)
    session.delete(client)
    session.flush()


def _judge(
    client: Client,
    operations: Sequence[patch.Operation],
    caller: Caller,
    all_scopes: Collection[str],
) -> dict[str, Any]:
    """Return the values of a client after a patch that the caller may apply."""
    _check_scopes(caller, client.scopes)
    before = {
        "name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "default_scopes": list(client.scopes),
    }
    after = patch.apply(before, operations)
    if after["default_scopes"] != before["default_scopes"]:
        pointer = patch.pointer(operations, "/default_scopes")
        _check_scopes(caller, after["default_scopes"], pointer)
        if not set(after["default_scopes"]).issubset(client.scopes):
            _check_admins_grants(caller, client.grant_types, all_scopes, pointer)
    if after["redirect_uris"] != before["redirect_uris"]:
        pointer = patch.pointer(operations, "/redirect_uris")
        _check_redirect_uris(after["redirect_uris"], client.grant_types, pointer)
    return after


def _lock(session: Session, client: Client) -> None:
    if not Client.lock(session, client.id):
        raise NotFound("There is no such client.")


def _check_scopes(caller: Caller, scopes: Iterable[str], pointer: str | None = None) -> None:
    if not caller.scopes.issuperset(scopes):
        reason = "The scopes of a client are at most those of the token."
        errors = [] if pointer is None else [(pointer, reason)]
        raise Forbidden("The token has not all the scopes of the client.", errors)


def _check_admins_grants(
    caller: Caller, grant_types: Iterable[str], all_scopes: Collection[str], pointer: str
) -> None:
    """Check that the caller may give scopes to a client with these grants."""
    if ADMINS_GRANTS.isdisjoint(grant_types):
        return
    if not (caller.is_admin and caller.scopes.issuperset(all_scopes)):
        raise Forbidden(
            "Only an admin, with all scopes, may give anything to a client with these grants.",
            [(pointer, "This needs an admin's token with all scopes.")],
        )


def _check_redirect_uris(uris: Sequence[str], grant_types: Collection[str], pointer: str) -> None:
    if "authorization_code" in grant_types and not uris:
        raise Unprocessable(
            "A redirect URI is missing.", [(pointer, "The code grant needs a redirect URI.")]
        )
    for index, uri in enumerate(uris):
        check(uri, f"{pointer}/{index}")

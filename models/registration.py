"""How users register clients and change them: nobody gives a client more than they have."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from models import patch
from models.caller import Caller
from models.client import CONFIDENTIAL, PUBLIC, Client
from models.code import Code
from models.consent import Consent
from models.errors import Conflict, Forbidden, NotFound, Unprocessable
from models.grant import Grant
from models.redirect_uris import check
from models.secret import digest, generate

# Grants that need no consent of a user's at the time, which only an admin may hand out.
_ADMINS_GRANTS = {"client_credentials", "password"}


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
) -> tuple[Client, str | None]:
    """Register a client of the caller's; return it and its secret, if it has one.

    It gets the scopes of the caller's token, where `default_scopes` says nothing else. Raise
    Forbidden where it would get more, or a grant that only an admin with `all_scopes` may give;
    Unprocessable where what is asked does not go together or a redirect URI is not safe.
    """
    scopes = set(caller.scopes if default_scopes is None else default_scopes)
    _check_scopes(caller, scopes, "/default_scopes")
    grants = set(grant_types)
    if grants & _ADMINS_GRANTS and not (caller.is_admin and caller.scopes.issuperset(all_scopes)):
        raise Forbidden(
            "Only an admin, with all scopes, may give these grants.",
            [("/grant_types", "This needs an admin's token with all scopes.")],
        )
    if "client_credentials" in grants and client_type == PUBLIC:
        raise Unprocessable(
            "A public client has no credentials.",
            [("/grant_types", "A public client cannot use client_credentials.")],
        )
    _check_redirect_uris(redirect_uris, grants, "/redirect_uris")
    return Client.create(
        session,
        user_id=caller.account.id,
        name=name,
        client_type=client_type,
        scopes=scopes,
        grant_types=grants,
        redirect_uris=redirect_uris,
    )


def change(
    session: Session, client: Client, operations: Sequence[patch.Operation], caller: Caller
) -> None:
    """Apply a JSON Patch to a client's `/name`, `/redirect_uris` and `/default_scopes`.

    Raise Conflict where a test fails, Forbidden where the caller's token has not all the scopes
    that the client has or would get, Unprocessable for an unsafe redirect URI. Other redirect URIs
    end what users let the server remember; fewer scopes end the grants that have more.
    """
    _lock(session, client)
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
        client.scopes = tuple(sorted(set(after["default_scopes"])))
        _end_wider(session, client)
    if after["redirect_uris"] != before["redirect_uris"]:
        pointer = patch.pointer(operations, "/redirect_uris")
        _check_redirect_uris(after["redirect_uris"], client.grant_types, pointer)
        client.redirect_uris = tuple(dict.fromkeys(after["redirect_uris"]))
        Consent.forget(session, client.id)
    client.name = after["name"]
    session.flush()


def replace_secret(session: Session, client: Client, caller: Caller) -> str:
    """Replace a client's secret, which ends at once, and return the new one; its tokens live on.

    Raise Conflict for a public client, Forbidden where the caller's token has not all the
    client's scopes.
    """
    _lock(session, client)
    _check_scopes(caller, client.scopes)
    if client.is_public:
        raise Conflict("A public client has no secret.")
    secret = generate()
    client.secret_hash = digest(secret)
    session.flush()
    return secret


def remove(session: Session, client: Client) -> None:
    """Delete a client, with its tokens and codes."""
    _lock(session, client)
    session.delete(client)
    session.flush()


def _lock(session: Session, client: Client) -> None:
    if not Client.lock(session, client.id):
        raise NotFound("There is no such client.")


def _check_scopes(caller: Caller, scopes: Iterable[str], pointer: str | None = None) -> None:
    if not caller.scopes.issuperset(scopes):
        reason = "The scopes of a client are at most those of the token."
        errors = [] if pointer is None else [(pointer, reason)]
        raise Forbidden("The token has not all the scopes of the client.", errors)


def _check_redirect_uris(uris: Sequence[str], grant_types: Collection[str], pointer: str) -> None:
    if "authorization_code" in grant_types and not uris:
        raise Unprocessable(
            "A redirect URI is missing.", [(pointer, "The code grant needs a redirect URI.")]
        )
    for index, uri in enumerate(uris):
        check(uri, f"{pointer}/{index}")


def _end_wider(session: Session, client: Client) -> None:
    """End the grants and codes with more scopes than the client may now get."""
    for table in (Code, Grant):
        rows = session.execute(select(table.id, table.scope).where(table.client_id == client.id))
        wider = [row.id for row in rows if not set(row.scope.split()) <= set(client.scopes)]
        session.execute(delete(table).where(table.id.in_(wider)))

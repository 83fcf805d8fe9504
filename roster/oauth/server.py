"""The authorization server: composes oauthlib's endpoints and calls them with a request's form."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from oauthlib.oauth2 import (
    AuthorizationCodeGrant,
    BearerToken,
    ClientCredentialsGrant,
    OAuth2Error,
    RefreshTokenGrant,
    ResourceOwnerPasswordCredentialsGrant,
)

from models import TokenStore
from models.errors import OAuthError
from models.oauth import secret
from models.oauth.client import INVALID_CLIENT, ClientRow
from models.oauth.client_hooks import Person
from models.oauth.introspection import introspect
from roster.http.audit import record
from roster.http.context import RequestContext
from roster.oauth import oauthlib_bypass
from roster.oauth.forms import read_form, refuse, uses_basic
from roster.settings import Settings

_DESCRIPTIONS = {
    "invalid_client": INVALID_CLIENT,
    "invalid_grant": "The credentials or the refresh token are invalid, expired or used.",
    "invalid_scope": "A scope is unknown, malformed or more than the client or the grant has.",
    "unauthorized_client": "The client may not use this grant.",
}

_GRANTS = {
    "authorization_code": AuthorizationCodeGrant,
    "password": ResourceOwnerPasswordCredentialsGrant,
    "refresh_token": RefreshTokenGrant,
    "client_credentials": ClientCredentialsGrant,
}

# RFC 7636 section 4.1.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)


@dataclass(frozen=True)
class AuthorizationServer:
    """Answer the requests to the token, revocation and introspection endpoints."""

    context: RequestContext
    settings: Settings

    def token(self) -> dict[str, Any]:
        """Answer a token request (RFC 6749 §3.2) with the body of §5.1.

        :raises OAuthError: with the error of §5.2.
        """
        form = self._form()
        store = self._store()
        bearer = BearerToken(store, secret.generate, store.lifetimes.access)
        if "grant_type" not in form:
            raise refuse("The parameter grant_type is missing.")
        make_grant = _GRANTS.get(form["grant_type"])
        if make_grant is None:
            raise OAuthError("unsupported_grant_type", "This grant type is not supported.")
        if form["grant_type"] == "authorization_code":
            _check_verifier(form.get("code_verifier", ""))
        with self._refusing_client():
            answered = oauthlib_bypass.create_token_response(make_grant(store), bearer, form)
            issued = self._judge(answered, store)
        if form["grant_type"] == "password" and store.user is not None:
            name = store.user.username
            self._record("login.succeeded", store, actor_id=store.user.id, actor_name=name)
        return issued

    def introspect(self) -> dict[str, Any]:
        """Answer an introspection request (RFC 7662 section 2) of a client about its own tokens.

        :raises OAuthError: with the error of RFC 6749 §5.2.
        """
        form = self._form()
        with self._refusing_client():
            if "client_secret" not in form:
                # RFC 7662 section 2.1.
                raise OAuthError("invalid_client", INVALID_CLIENT)
            if "token" not in form:
                raise refuse("The parameter token is missing.")
            claims = introspect(
                self.context.connection,
                form.get("client_id", ""),
                form["client_secret"],
                form["token"],
                self.context.attempts,
            )
        if claims is None:
            return {"active": False}
        return {"active": True, **claims, "iss": self.settings.origin}

    def revoke(self) -> None:
        """Answer a revocation request (RFC 7009 §2); another client's token is not an error.

        :raises OAuthError: with the error of RFC 6749 §5.2.
        """
        form = self._form()
        store = self._store()
        with self._refusing_client():
            try:
                oauthlib_bypass.revoke(store, form)
            except OAuth2Error as error:
                raise _refusal(error.error, error.description) from None
        if store.revoked:
            what, user_id = store.revoked
            self._record("token.revoked", store, user_id=user_id, what=what)

    def _form(self) -> dict[str, str]:
        return read_form(self.context, from_url=self.settings.is_development)

    def _store(self) -> TokenStore:
        return token_store(self.context, self.settings)

    @contextmanager
    def _refusing_client(self) -> Iterator[None]:
        """Have a refused client told by 401 where it used HTTP Basic, and by 400 where it did not.

        401 comes with a challenge (RFC 9110 section 15.5.2), for which browsers ask their user for
        a name and a password; so RFC 6749 section 5.2 wants it for that header only.
        """
        try:
            yield
        except OAuthError as error:
            if error.error == "invalid_client" and uses_basic(self.context):
                error.status = 401
            raise

    def _judge(
        self, answered: tuple[dict[str, str], str, int], store: TokenStore
    ) -> dict[str, Any]:
        """Return the tokens that were issued, or raise the error of oauthlib's response."""
        if store.issued is not None:
            return store.issued
        found = json.loads(answered[1])
        if store.reused:
            what, user_id = store.reused
            self._record("token.reused", store, user_id=user_id, what=what)
        raise _refusal(
            found["error"], found.get("error_description"), consequence=store.consequence
        )

    def _record(self, action: str, store: TokenStore, what: str = "", **known: Any) -> None:
        """Write an audit event of the store's client, about a user's tokens or its own."""
        details = {"operation": self.context.operation.id} if self.context.operation else {}
        details |= {"what": what} if what else {}
        client_id, user_id = store.client.client_id, known.get("user_id")
        known |= {"client_id": client_id, "target_kind": "client", "target_id": client_id}
        if user_id is not None:
            known |= {"target_kind": "user", "target_id": str(user_id)}
        record(self.context, action, details=details, **known)


def _refusal(error: Any, description: Any, *, consequence: bool = False) -> OAuthError:
    """Make an error of oauthlib's this server's, with a description where it has none."""
    described = description or _DESCRIPTIONS.get(error, "The request is not valid.")
    return OAuthError(error, described, consequence=consequence)


def _check_verifier(verifier: str) -> None:
    if not _VERIFIER.fullmatch(verifier):
        raise refuse("The code_verifier is missing or not as RFC 7636 section 4.1 defines it.")


def token_store(
    context: RequestContext,
    settings: Settings,
    user: Person | None = None,
    client: ClientRow | None = None,
) -> TokenStore:
    """Make the store; `user` is the signed-in user to whom a code is issued to `client`."""
    return TokenStore(context, settings.lifetimes, context.attempts, user, settings.quotas, client)

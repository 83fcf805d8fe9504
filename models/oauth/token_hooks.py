"""Hooks of oauthlib that issue, refresh and revoke tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from oauthlib.common import Request
from sqlalchemy import bindparam, delete, select, update

from models.database.base import now
from models.database.prepared import Prepared
from models.errors import OAuthError
from models.oauth.client import ClientRow
from models.oauth.client_hooks import UNBACKED, ClientHooks, asked_scope
from models.oauth.consent import Consent
from models.oauth.grant import Grant, GrantRow
from models.oauth.issuing import NewGrant, NewToken, add_tokens, begin_grant
from models.oauth.token import ACCESS, REFRESH, Token, digest
from models.users.user import User

if TYPE_CHECKING:
    from oauthlib.oauth2.rfc6749.request_validator import _BearerToken

# All instances of a service share its grants, each with one access token. With so many times the
# grants of a user, hundreds of instances keep their token for its hour. A client that requests
# tokens faster ends its oldest ones, gets a 401 for them, and requests new ones.
_SERVICE_SHARE = 10


class TokenHooks(ClientHooks):
    """The hooks by which tokens are issued and ended."""

    def validate_refresh_token(
        self,
        refresh_token: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Mark a refresh token of the client's as used.

        A second use shows that the token was stolen: it ends the whole family.
        Called by the refresh token grant (RFC 6749 section 6, RFC 9700 section 4.14.2).
        """
        connection = self.connection
        hashed, moment = digest(refresh_token), now()
        found = _FAMILY.begin(connection, hashed=hashed, client=self.client.id)
        if not found:
            return False
        grant = GrantRow(*found[0])
        is_live = grant.expires_at > moment
        if is_live and _CLAIM.first(connection, hashed=hashed, moment=moment) is not None:
            self._grant = grant
            self._original_scopes = grant.scope.split()
            return True
        if _IS_USED.first(connection, hashed=hashed) is not None:
            Grant.end_one(connection, grant.id)
            self.consequence = True
            self.reused = ("refresh_token", grant.user_id)
        return False

    def get_original_scopes(
        self, refresh_token: str, request: Request, *args: object, **kwargs: object
    ) -> list[str]:
        """Return the grant's scope, and sort the requested part of it.

        Called by the refresh token grant (RFC 6749 section 6).
        """
        request.scope = " ".join(asked_scope(request, self._original_scopes))
        return self._original_scopes

    def save_bearer_token(
        self, token: _BearerToken, request: Request, *args: object, **kwargs: object
    ) -> None:
        """Store the new tokens in the grant of the used refresh token, or in a new grant.

        No token outlives its grant, and `expires_in` says so; a client without the refresh
        token grant gets no refresh token. Called by every grant (RFC 6749 section 5.1).
        """
        if "refresh_token" not in self.client.grant_types:
            token.pop("refresh_token", None)
        moment = now()
        grant = self._grant or self._new_grant(token, moment)
        ends = min(moment + timedelta(seconds=self.lifetimes.access), grant.expires_at)
        token["expires_in"] = ceil((ends - moment).total_seconds())
        issued = [NewToken(token["access_token"], ACCESS, token["scope"], ends)]
        if "refresh_token" in token:
            ends = min(moment + timedelta(seconds=self.lifetimes.refresh_idle), grant.expires_at)
            issued.append(NewToken(token["refresh_token"], REFRESH, grant.scope, ends))
        if isinstance(grant, GrantRow):
            add_tokens(self.connection, grant.id, issued, moment)
        else:
            begin_grant(self.connection, grant, issued, self._code)
        self.issued = dict(token)

    def _new_grant(self, token: _BearerToken, moment: datetime) -> NewGrant:
        """Lock what a new grant depends on, make room for it, and return it, not stored yet."""
        connection, scope = self.connection, token["scope"]
        user_id = None if self._user is None else self._user.id
        if self._code is None:
            self._lock_client(user_id)
        client = self.client
        if not set(scope.split()).issubset(client.scopes):
            raise OAuthError("invalid_scope", "The client may no longer get these scopes.")
        most = self.quotas.grants
        if user_id is None:
            Grant.make_room_for_service(connection, client.id, most * _SERVICE_SHARE)
        else:
            Grant.make_room(connection, user_id, client.id, most)
        lifetimes = self.lifetimes
        seconds = lifetimes.refresh_total if "refresh_token" in token else lifetimes.access
        return NewGrant(client.id, user_id, scope, moment, moment + timedelta(seconds=seconds))

    def _lock_client(self, user_id: int | None) -> None:
        """Lock the client, its owner where the grant needs one, and the consent of a user.

        With these locks, a transaction that changes or deletes the client, or takes the admin's
        role from its owner, is either visible here or waits until this one ends. A code has locked
        the client before, and needs no owner.
        """
        before, connection = self.client, self.connection
        owner = {} if before.by_operator else {before.user_id: False}
        client = ClientRow.lock_shared(connection, before.id, User.locks(owner))
        if client is None:
            raise OAuthError("invalid_client", "The client no longer exists.")
        # What is said of an owner that is not locked may have changed.
        is_held = client.by_operator or client.user_id in owner
        if not is_held or not client.is_backed:
            raise OAuthError("unauthorized_client", UNBACKED)
        if user_id is not None:
            Consent.begin(self.database.session, user_id, client.id)
        self.client = client

    def revoke_token(
        self, token: str, token_type_hint: str, request: Request, *args: object, **kwargs: object
    ) -> None:
        """End a token of the client's: an access token alone, a refresh token with its family.

        Any other token is ignored without an error. Called by revocation (RFC 7009 section 2.1);
        the hint is not needed.
        """
        connection = self.connection
        found = _TOKEN.first(connection, hashed=digest(token), client=self.client.id)
        if found is None:
            return
        if found.kind == REFRESH:
            has_ended = Grant.end_one(connection, found.grant_id)
        else:
            has_ended = bool(_END_TOKEN.all(connection, token=found.id))
        if has_ended:
            self.revoked = (f"{found.kind}_token", found.user_id)


_FAMILY = Prepared(
    select(Grant.id, Grant.user_id, Grant.scope, Grant.expires_at)
    .select_from(Token)
    .join(Grant, Grant.id == Token.grant_id)
    .join(User, User.id == Grant.user_id)
    .where(
        Token.hash == bindparam("hashed"),
        Token.kind == REFRESH,
        Grant.client_id == bindparam("client"),
        User.is_active,
    )
    .with_for_update(of=Grant)
)
_CLAIM = Prepared(
    update(Token)
    .where(
        Token.hash == bindparam("hashed"),
        Token.is_unused(),
        Token.expires_at > bindparam("moment"),
    )
    .values(used_at=bindparam("moment"))
    .returning(Token.id)
)
_IS_USED = Prepared(
    select(Token.id).where(Token.hash == bindparam("hashed"), Token.used_at.is_not(None))
)
_TOKEN = Prepared(
    select(Token.id, Token.kind, Token.grant_id, Grant.user_id)
    .join(Grant, Grant.id == Token.grant_id)
    .where(Token.hash == bindparam("hashed"), Grant.client_id == bindparam("client"))
)
_END_TOKEN = Prepared(delete(Token).where(Token.id == bindparam("token")).returning(Token.id))

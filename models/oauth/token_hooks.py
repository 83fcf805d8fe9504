"""Hooks of oauthlib that issue, refresh and revoke tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from oauthlib.common import Request
from sqlalchemy import delete, select, update

from models.database.base import now
from models.errors import OAuthError
from models.oauth.client import Client
from models.oauth.client_hooks import UNBACKED, ClientHooks, asked_scope
from models.oauth.consent import Consent
from models.oauth.grant import Grant
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
        mine = (Token.hash == digest(refresh_token), Token.kind == REFRESH)
        family = (
            select(Grant)
            .join(Token, Token.grant_id == Grant.id)
            .join(User, User.id == Grant.user_id)
            .where(*mine, Grant.client_id == self.client.id, User.is_active)
            .with_for_update(of=Grant)
        )
        grant = self.session.scalar(family)
        if grant is None:
            return False
        moment = now()
        claim = update(Token).where(*mine, Token.used_at.is_(None), Token.expires_at > moment)
        claimed = claim.values(used_at=moment).returning(Token.id)
        if grant.expires_at > moment and self.session.scalar(claimed) is not None:
            self._grant = grant
            self._original_scopes = grant.scope.split()
            return True
        if self.session.scalar(select(Token.used_at).where(*mine)) is not None:
            self.session.execute(delete(Grant).where(Grant.id == grant.id))
            self.consequence = True
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
        grant = self._grant or self._begin_grant(token, moment)
        ends = min(moment + timedelta(seconds=self.lifetimes.access), grant.expires_at)
        token["expires_in"] = ceil((ends - moment).total_seconds())
        issued = [(token["access_token"], ACCESS, token["scope"], ends)]
        if "refresh_token" in token:
            ends = min(moment + timedelta(seconds=self.lifetimes.refresh_idle), grant.expires_at)
            issued.append((token["refresh_token"], REFRESH, grant.scope, ends))
        self.session.add_all(
            Token(
                hash=digest(value),
                kind=kind,
                grant_id=grant.id,
                scope=scope,
                issued_at=moment,
                expires_at=expires_at,
            )
            for value, kind, scope, expires_at in issued
        )
        self.session.flush()

    def _begin_grant(self, token: _BearerToken, moment: datetime) -> Grant:
        lifetimes = self.lifetimes
        seconds = lifetimes.refresh_total if "refresh_token" in token else lifetimes.access
        grant = Grant(
            client_id=self.client.id,
            user_id=None if self._user is None else self._user.id,
            scope=token["scope"],
            created=moment,
            expires_at=moment + timedelta(seconds=seconds),
        )
        # With these locks, a transaction that changes or deletes the client, or takes the admin's
        # role from its owner, is either visible here or waits until this one ends.
        by_code, by_operator = self._code is not None, self.client.by_operator
        needs_owner = not by_code and not by_operator
        owner = User.lock_shared(self.session, self.client.user_id) if needs_owner else None
        client = Client.lock_shared(self.session, self.client.id)
        if client is None:
            raise OAuthError("invalid_client", "The client no longer exists.")
        if not by_code and not client.is_backed_by(owner):
            raise OAuthError("unauthorized_client", UNBACKED)
        if not set(grant.scope.split()).issubset(client.scopes):
            raise OAuthError("invalid_scope", "The client may no longer get these scopes.")
        most = self.quotas.grants
        if grant.user_id is None:
            most *= _SERVICE_SHARE
        else:
            Consent.begin(self.session, grant.user_id, client.id)
        Grant.make_room(self.session, grant.user_id, client.id, most)
        self.session.add(grant)
        self.session.flush()
        if self._code is not None:
            self._code.grant_id = grant.id
            self.session.flush()
        return grant

    def revoke_token(
        self, token: str, token_type_hint: str, request: Request, *args: object, **kwargs: object
    ) -> None:
        """End a token of the client's: an access token alone, a refresh token with its family.

        Any other token is ignored without an error. Called by revocation (RFC 7009 section 2.1);
        the hint is not needed.
        """
        found = self.session.execute(
            select(Token.id, Token.kind, Token.grant_id)
            .join(Grant, Grant.id == Token.grant_id)
            .where(Token.hash == digest(token), Grant.client_id == self.client.id)
        ).one_or_none()
        if found is None:
            return
        if found.kind == REFRESH:
            self.session.execute(delete(Grant).where(Grant.id == found.grant_id))
        else:
            self.session.execute(delete(Token).where(Token.id == found.id))

"""Hooks of oauthlib for the authorization code grant (RFC 6749 section 4.1, RFC 7636)."""

from datetime import timedelta
from typing import Any, cast

from oauthlib.common import Request
from sqlalchemy import delete, select

from models.database.base import now
from models.oauth.client import Client
from models.oauth.client_hooks import ClientHooks
from models.oauth.code import Code
from models.oauth.consent import Consent
from models.oauth.grant import Grant
from models.oauth.redirect_uris import matches
from models.oauth.token import digest
from models.users.user import User


class CodeHooks(ClientHooks):
    """The hooks by which codes are issued and redeemed."""

    def validate_client_id(
        self, client_id: str, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Find the client of an authorization request (RFC 6749 section 4.1.1).

        Called by the authorization endpoint.
        """
        client = Client.find(self.session, client_id)
        if client is None:
            return False
        self.client = request.client = client
        return True

    def validate_redirect_uri(
        self,
        client_id: str,
        redirect_uri: str,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Tell whether the client has registered this redirect URI (RFC 6749 section 3.1.2.3).

        Called by the authorization endpoint.
        """
        return any(matches(registered, redirect_uri) for registered in self.client.redirect_uris)

    def get_default_redirect_uri(
        self, client_id: str, request: Request, *args: object, **kwargs: object
    ) -> Any:
        """Return the redirect URI of a request without one.

        It is the client's only one at the authorization endpoint, and the code's at the
        token endpoint (RFC 6749 sections 3.1.2.3 and 4.1.3).
        """
        if self._code is not None:
            return self._code.redirect_uri
        uris = self.client.redirect_uris
        return uris[0] if len(uris) == 1 else None

    def validate_response_type(
        self,
        client_id: str,
        response_type: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Tell whether the client may ask for codes (RFC 6749 section 4.1.2.1).

        Called by the authorization endpoint.
        """
        return response_type == "code" and "authorization_code" in self.client.grant_types

    def is_pkce_required(self, client_id: str, request: Request) -> bool:
        """Require a code challenge of every client (RFC 9700 section 2.1.1).

        Called by the authorization code grant.
        """
        return True

    def save_authorization_code(
        self, client_id: str, code: Any, request: Request, *args: object, **kwargs: object
    ) -> None:
        """Store a code after the signed-in user's consent (RFC 6749 section 4.1.2).

        The rows of user, client and consent are locked before. Called by the authorization
        endpoint.
        """
        user = cast("User", self._user)
        moment = now()
        Code.make_room(self.session, user.id, self.client.id, self.quotas.grants)
        self.session.add(
            Code(
                hash=digest(code["code"]),
                client_id=self.client.id,
                user_id=user.id,
                redirect_uri=request.redirect_uri,
                redirect_uri_given=not request.using_default_redirect_uri,
                code_challenge=request.code_challenge,
                scope=" ".join(request.scopes or ()),
                created=moment,
                expires_at=moment + timedelta(seconds=self.lifetimes.code),
            )
        )
        self.session.flush()

    def validate_code(
        self,
        client_id: str,
        code: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Mark a code of the client's as used (RFC 6749 section 4.1.3).

        A second use ends the tokens that the first one issued (section 4.1.2). Called by the
        authorization code grant.
        """
        mine = select(Code).where(Code.hash == digest(code), Code.client_id == self.client.id)
        mine = mine.execution_options(populate_existing=True)
        unlocked = self.session.scalar(mine)
        user = unlocked and self._lock_between(unlocked.user_id)
        found = user and self.session.scalar(mine)
        if not user or not found:
            return False
        if found.used_at is not None:
            # The code is deleted with its grant, and locked after it.
            self.session.execute(delete(Grant).where(Grant.id == found.grant_id))
            self.consequence = True
            self.reused = ("code", user.id)
            return False
        found = self.session.scalar(mine.with_for_update())
        if found is None or found.expires_at <= now() or not user.is_active:
            return False
        if not found.is_for(request.redirect_uri):
            return False
        found.used_at = now()
        self._code, self._user = found, user
        request.scopes = found.scope.split()
        return True

    def _lock_between(self, user_id: int) -> User | None:
        """Lock user, client and consent, so that codes are used one by one; return the user.

        Return None if user or client was deleted.
        """
        user = User.lock_shared(self.session, user_id)
        if user is None or Client.lock_shared(self.session, self.client.id) is None:
            return None
        Consent.begin(self.session, user.id, self.client.id)
        return user

    def get_code_challenge(self, code: str, request: Request) -> Any:
        """Return the challenge of the code (RFC 7636 section 4.4).

        Called by the authorization code grant after `validate_code`.
        """
        return None if self._code is None else self._code.code_challenge

    def get_code_challenge_method(self, code: str, request: Request) -> str:
        """Return the only supported method (RFC 7636 section 4.2).

        Called by the authorization code grant.
        """
        return "S256"

    def confirm_redirect_uri(
        self,
        client_id: str,
        code: str,
        redirect_uri: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Return true: `validate_code` has compared it, and gives the right error.

        Called by the authorization code grant.
        """
        return True

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: object, **kwargs: object
    ) -> None:
        """Do nothing: `validate_code` has marked it as used.

        Called by the authorization code grant.
        """

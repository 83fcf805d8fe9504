"""Hooks of oauthlib for the authorization code grant (RFC 6749 section 4.1, RFC 7636)."""

from datetime import timedelta
from typing import Any, NamedTuple, cast

from oauthlib.common import Request
from sqlalchemy import bindparam, select

from models.database.base import now
from models.database.prepared import Prepared
from models.oauth.client import Client, ClientRow
from models.oauth.client_hooks import ClientHooks, Person
from models.oauth.code import Code, CodeRow
from models.oauth.consent import Consent
from models.oauth.grant import Grant
from models.oauth.redirect_uris import matches
from models.oauth.token import digest
from models.users.user import User


class _Owner(NamedTuple):
    """The user to whom a code was issued."""

    id: int
    username: str


class CodeHooks(ClientHooks):
    """The hooks by which codes are issued and redeemed."""

    def validate_client_id(
        self, client_id: str, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Find the client of an authorization request (RFC 6749 section 4.1.1).

        It is not read again where it is known already. Called by the authorization endpoint.
        """
        known = getattr(self, "client", None)
        if known is None or known.client_id != client_id:
            known = ClientRow.find(self.connection, client_id)
        if known is None:
            return False
        self.client = request.client = known
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
        user = cast("Person", self._user)
        moment = now()
        Code.make_room(self.connection, user.id, self.client.id, self.quotas.grants)
        Code.store(
            self.connection,
            code_hash=digest(code["code"]),
            client_id=self.client.id,
            user_id=user.id,
            redirect_uri=str(request.redirect_uri),
            redirect_uri_given=not request.using_default_redirect_uri,
            code_challenge=str(request.code_challenge),
            scope=" ".join(request.scopes or ()),
            created=moment,
            expires_at=moment + timedelta(seconds=self.lifetimes.code),
        )

    def validate_code(
        self,
        client_id: str,
        code: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Find a code of the client's that can be used (RFC 6749 section 4.1.3).

        It is marked as used when the tokens are stored. Until then it can be deleted, but not used
        by another request. A second use ends the tokens that the first one issued (section 4.1.2).
        Called by the authorization code grant.
        """
        connection, hashed = self.connection, digest(code)
        unlocked = _OWNER_OF_CODE.first(connection, hashed=hashed)
        if unlocked is None or unlocked.client_id != self.client.id:
            return False
        found = self._hold(unlocked.user_id, hashed)
        if found is None:
            return False
        redeemed = CodeRow(*found[: len(_COLUMNS)])
        if redeemed.used_at is not None:
            # The code is deleted with its grant, and locked after it.
            Grant.end_one(connection, cast("int", redeemed.grant_id))
            self.consequence = True
            self.reused = ("code", redeemed.user_id)
            return False
        if redeemed.expires_at <= now() or not found.is_active:
            return False
        if not redeemed.is_for(request.redirect_uri):
            return False
        self.client = self.client._replace(scopes=found.scopes)
        self._code, self._user = redeemed, _Owner(redeemed.user_id, found.username)
        request.scopes = redeemed.scope.split()
        return True

    def _hold(self, user_id: int, hashed: bytes) -> Any:
        """Lock user, client and consent, so that codes are used one by one.

        Return the code with what the exchange needs of the three, as they are now; None where one
        of them was deleted.
        """
        connection, client_id = self.connection, self.client.id
        locks = [*User.locks({user_id: False}), *ClientRow.locks(client_id)]
        locks += Consent.locks(user_id, client_id)
        rows = _HELD.begin(connection, locks, hashed=hashed, moment=now())
        if rows and rows[0].is_live:
            return rows[0]
        if _OWNER_OF_CODE.first(connection, hashed=hashed) is None:
            return None
        # There is no consent yet, or it has ended: the rare case.
        Consent.begin(self.database.session, user_id, client_id)
        return _HELD.first(connection, hashed=hashed, moment=now())

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
        """Do nothing: `save_bearer_token` has marked it as used.

        Called by the authorization code grant.
        """


_COLUMNS = (
    Code.id,
    Code.user_id,
    Code.redirect_uri,
    Code.redirect_uri_given,
    Code.code_challenge,
    Code.scope,
    Code.expires_at,
    Code.used_at,
    Code.grant_id,
)
# By the hash alone: in a new database, which has no statistics yet, PostgreSQL would look through
# all codes of the client for it.
_OWNER_OF_CODE = Prepared(
    select(Code.user_id, Code.client_id).where(Code.hash == bindparam("hashed"))
)
_HELD = Prepared(
    select(
        *_COLUMNS,
        Client.scopes.label("scopes"),
        User.username,
        User.is_active,
        Consent.is_live(bindparam("moment")).label("is_live"),
    )
    .select_from(Code)
    .join(Client, Client.id == Code.client_id)
    .join(User, User.id == Code.user_id)
    .join(Consent, (Consent.user_id == Code.user_id) & (Consent.client_id == Code.client_id))
    .where(Code.hash == bindparam("hashed"))
    # The row that was locked before may have been replaced while its lock was waited for.
    .with_for_update(of=Consent)
)

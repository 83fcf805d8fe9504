"""What oauthlib asks of a server's storage, answered from the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, cast

from oauthlib.common import Request
from oauthlib.oauth2 import RequestValidator
from oauthlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from sqlalchemy import Connection, bindparam, delete, or_, select, update
from sqlalchemy.orm import Session

from models.caller import Caller
from models.database.base import now
from models.database.prepared import Prepared
from models.errors import OAuthError
from models.gate import Gate, OpenGate
from models.oauth.client import ADMINS_GRANTS, Client
from models.oauth.code import Code
from models.oauth.consent import Consent
from models.oauth.grant import Grant
from models.oauth.redirect_uris import matches
from models.oauth.token import ACCESS, REFRESH, Token, digest
from models.quotas import Quotas
from models.users.user import User

if TYPE_CHECKING:
    from oauthlib.oauth2.rfc6749.request_validator import _BearerToken


@dataclass(frozen=True)
class Lifetimes:
    """How long tokens live, in seconds.

    A refresh token ends after `refresh_idle` without use, and all that were made from the
    first one end after `refresh_total`.
    """

    access: int = 3600
    refresh_idle: int = 14 * 24 * 3600
    refresh_total: int = 90 * 24 * 3600
    code: int = 60


# All instances of a service share its grants, each of one access token. So many times as many as
# one user has let hundreds of them keep theirs for its hour; what a client fetches faster than
# that pushes out the oldest, and it sees a 401 and fetches another.
_SERVICE_SHARE = 10

_UNBACKED = (
    "This client may not use this grant, as only an admin may give it, and its owner is not an"
    " active admin."
)


def _of_live_token(*columns: Any) -> Prepared:
    """Select columns of the live access token with a hash, of its grant and its user."""
    return Prepared(
        select(*columns)
        .select_from(Token)
        .join(Grant, Grant.id == Token.grant_id)
        .outerjoin(User, User.id == Grant.user_id)
        .where(
            Token.hash == bindparam("hash"),
            Token.kind == ACCESS,
            Token.expires_at > bindparam("moment"),
            Grant.expires_at > bindparam("moment"),
            or_(Grant.user_id.is_(None), User.is_active),
        )
    )


# Every request brings a token: one read, and of columns only, which cost a fraction of objects. The
# user's have their own names, so that the row is the caller's account.
_BEARER = _of_live_token(
    *User.account_columns(),
    Grant.client_id.label("grant_client"),
    Grant.id.label("grant_id"),
    Token.scope.label("token_scope"),
)
_RIGHTS = _of_live_token(
    User.id, User.is_active, User.is_regular_user, User.is_admin, User.is_internal
)


class TokenStore(RequestValidator):
    """The storage behind the token and revocation endpoints, for one request.

    Any parameter of a request becomes an attribute of oauthlib's Request, `user` and
    `client` too: what one hook finds out for the next is therefore kept here. Where
    `consequence` is true after a refusal, what was written has to be committed. `client` is
    there once it was authenticated.
    """

    client: Client

    def __init__(
        self,
        session: Session,
        lifetimes: Lifetimes | None = None,
        gate: Gate | None = None,
        user: User | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self.session = session
        self.lifetimes = lifetimes or Lifetimes()
        self.quotas = quotas or Quotas()
        self.gate = gate or OpenGate()
        self.consequence = False
        self._by_secret = False
        self._user = user
        self._code: Code | None = None
        self._grant: Grant | None = None
        self._original_scopes: list[str] = []

    @staticmethod
    def bearer(connection: Connection, token: str) -> Caller | None:
        """Return the caller whose access token this is, where the token lives (RFC 6750)."""
        row = _BEARER.first(connection, hash=digest(token), moment=now())
        if row is None:
            return None
        account = None if row.id is None else row
        return Caller(account, row.grant_client, row.grant_id, frozenset(row.token_scope.split()))

    @staticmethod
    def still_bears(
        connection: Connection, token: str, caller: Caller, found: list[Any] | None = None
    ) -> bool | None:
        """Tell whether a caller has the rights that it had; None where its token has ended.

        `found` is what the database answered to `question_of_rights`, where it was asked already.
        """
        if found is None:
            found = _RIGHTS.raw(connection, hash=digest(token), moment=now())
        return tuple(found[0]) == caller.rights if found else None

    @staticmethod
    def question_of_rights(connection: Connection, token: str) -> tuple[str, list[Any]]:
        """Return what `still_bears` asks the database."""
        return _RIGHTS.question(connection, hash=digest(token), moment=now())

    def client_authentication_required(
        self, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Have every client authenticated by `authenticate_client` (RFC 6749 section 3.2.1).

        Called by the refresh token and password grants and by revocation.
        """
        return True

    def authenticate_client(self, request: Request, *args: object, **kwargs: object) -> bool:
        """Authenticate the client (RFC 6749 section 2.3), a public one by its id alone.

        A secret that is sent is always checked; an empty one counts as none. Called by every
        grant and by revocation.
        """
        client = Client.find(self.session, request.client_id or "")
        if client is None:
            return False
        secret = getattr(request, "client_secret", None)
        if secret:
            self.gate.enter("secret", client.client_id)
            if not client.secret_matches(secret):
                return False
            self.gate.passed("secret", client.client_id)
            self._by_secret = True
        elif not client.is_public:
            return False
        self.client = request.client = client
        return True

    def validate_grant_type(
        self,
        client_id: str,
        grant_type: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Tell whether the client may use this grant (RFC 6749 section 5.2).

        Client credentials need a secret (section 4.4: confidential clients only), so a client
        that sent none was not authenticated for them. What only an admin may give needs one as the
        client's owner. Called by every grant; by the password grant only after `validate_user`,
        which therefore asks the same before.
        """
        if grant_type == "client_credentials" and not self._by_secret:
            raise InvalidClientError(request=request)
        if grant_type not in self.client.grant_types:
            return False
        if grant_type in ADMINS_GRANTS and not self.client.is_backed_by(self._owner()):
            raise UnauthorizedClientError(_UNBACKED, request=request)
        return True

    def _owner(self) -> User | None:
        """Return the client's owner, as it now seems: what is stored is judged again."""
        return None if self.client.by_operator else User.by_id(self.session, self.client.user_id)

    def validate_user(
        self,
        username: str,
        password: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Check the resource owner's password, for a client that may use it at all.

        Called by the password grant (RFC 6749 section 4.3.2).
        """
        if not self.validate_grant_type(self.client.client_id, "password", client, request):
            raise UnauthorizedClientError(request=request)
        # Held with the user, so that they are in order.
        owner = () if self.client.by_operator else (self.client.user_id,)
        self._user = User.authenticate(self.session, username, password, self.gate, owner)
        return self._user is not None

    def validate_client_id(
        self, client_id: str, request: Request, *args: object, **kwargs: object
    ) -> bool:
        """Find the client that asks for authorization (RFC 6749 section 4.1.1).

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
        """Tell whether the client may be answered there (RFC 6749 section 3.1.2.3).

        Called by the authorization endpoint.
        """
        return any(matches(registered, redirect_uri) for registered in self.client.redirect_uris)

    def get_default_redirect_uri(
        self, client_id: str, request: Request, *args: object, **kwargs: object
    ) -> Any:
        """Return the redirect URI of a request that names none.

        It is the client's only one at the authorization endpoint, and that of the code at the
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
        """Store a code that the user who is signed in allowed (RFC 6749 section 4.1.2).

        User and client are held by then, and the consent between them is locked. Called by the
        authorization endpoint.
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
        """Claim a code of the client's, which nobody can use again (RFC 6749 section 4.1.3).

        One that was used before ends what it was exchanged for (section 4.1.2). Called by the
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
            # The code goes with it, and is locked after it.
            self.session.execute(delete(Grant).where(Grant.id == found.grant_id))
            self.consequence = True
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
        """Let nobody else exchange a code between a user and the client; return the user.

        None where one of them is gone.
        """
        user = User.hold(self.session, user_id)
        if user is None or Client.hold(self.session, self.client.id) is None:
            return None
        Consent.begin(self.session, user.id, self.client.id)
        return user

    def get_code_challenge(self, code: str, request: Request) -> Any:
        """Return the challenge of the code (RFC 7636 section 4.4).

        Called by the authorization code grant, once the code is claimed.
        """
        return None if self._code is None else self._code.code_challenge

    def get_code_challenge_method(self, code: str, request: Request) -> str:
        """Return the only method there is (RFC 7636 section 4.2).

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
        """Agree, as `validate_code` has already compared it, with the right error.

        Called by the authorization code grant.
        """
        return True

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: object, **kwargs: object
    ) -> None:
        """Do nothing more, as `validate_code` has claimed it.

        Called by the authorization code grant.
        """

    def introspect_token(
        self, token: str, token_type_hint: str, request: Request, *args: object, **kwargs: object
    ) -> dict[str, Any] | None:
        """Tell what a live token of the client's is (RFC 7662 section 2.2); None for any other.

        Called by introspection.
        """
        moment = now()
        row = self.session.execute(
            select(Token, User)
            .join(Grant, Grant.id == Token.grant_id)
            .outerjoin(User, User.id == Grant.user_id)
            .where(
                Token.hash == digest(token),
                Token.used_at.is_(None),
                Token.expires_at > moment,
                Grant.expires_at > moment,
                Grant.client_id == self.client.id,
                or_(Grant.user_id.is_(None), User.is_active),
            )
        ).one_or_none()
        if row is None:
            return None
        found: Token = row[0]
        user: User | None = row[1]
        claims = {
            "scope": found.scope,
            "client_id": self.client.client_id,
            "sub": self.client.client_id if user is None else str(user.id),
            "exp": int(found.expires_at.timestamp()),
            "iat": int(found.issued_at.timestamp()),
        }
        if user is not None:
            claims["username"] = user.username
        if found.kind == ACCESS:
            claims["token_type"] = "Bearer"
        return claims

    def validate_refresh_token(
        self,
        refresh_token: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Claim a refresh token of the client's, which nobody can use again.

        One that was used before comes from a thief or a victim: it ends its whole family.
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
        """Return the grant's scope, and put the part of it that is asked in order.

        Called by the refresh token grant (RFC 6749 section 6).
        """
        request.scope = " ".join(_asked_scope(request, self._original_scopes))
        return self._original_scopes

    def get_default_scopes(
        self, client_id: str, request: Request, *args: object, **kwargs: object
    ) -> list[str]:
        """Return all scopes of the client, for a request that asks for none.

        Called by the password and client credentials grants (RFC 6749 section 3.3).
        """
        return list(self.client.scopes)

    def validate_scopes(
        self,
        client_id: str,
        scopes: list[str],
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Tell whether the client may get the scopes that it asks for, and put them in order.

        Called by the password and client credentials grants (RFC 6749 section 3.3).
        """
        request.scopes = _asked_scope(request, self.client.scopes)
        return bool(request.scopes)

    def save_bearer_token(
        self, token: _BearerToken, request: Request, *args: object, **kwargs: object
    ) -> None:
        """Store the new tokens, in the grant of the refresh token used or in a new one.

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
        # Who narrows the client or deletes it, or takes the admin's role from its owner, does so
        # after this, or it shows here.
        by_code, by_operator = self._code is not None, self.client.by_operator
        owner = None if by_code or by_operator else User.hold(self.session, self.client.user_id)
        client = Client.hold(self.session, self.client.id)
        if client is None:
            raise OAuthError("invalid_client", "The client no longer exists.", status=401)
        if not by_code and not client.is_backed_by(owner):
            raise OAuthError("unauthorized_client", _UNBACKED)
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

        Any other token is left as it is, without a word. Called by revocation (RFC 7009
        section 2.1); the hint is not needed.
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


def _asked_scope(request: Request, widest: Iterable[str]) -> list[str]:
    """Return the scopes that a request asks for, in order; all where it asks for none."""
    if not request.scope:
        return sorted(widest)
    asked = {scope for scope in request.scope.split(" ") if scope}
    if not asked or not asked.issubset(widest):
        raise InvalidScopeError(request=request)
    return sorted(asked)

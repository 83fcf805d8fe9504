"""Hooks of oauthlib that authenticate clients and users, and decide on grants and scopes."""

from collections.abc import Iterable
from typing import Any, Protocol

from oauthlib.common import Request
from oauthlib.oauth2 import RequestValidator
from oauthlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from models.attempt_limit import AttemptLimit, Unlimited
from models.oauth.client import ADMINS_GRANTS, ClientRow
from models.oauth.code import CodeRow
from models.oauth.grant import GrantRow
from models.oauth.lifetimes import Lifetimes
from models.quotas import Quotas
from models.users.user import User

UNBACKED = (
    "This client may not use this grant, as only an admin may give it, and its owner is not an"
    " active admin."
)


class Database(Protocol):
    """The database of one request, as a context of the request has it.

    Connection and session are those of the same transaction. The session costs time, and is asked
    for only where objects are needed.
    """

    @property
    def connection(self) -> Connection:
        """The connection."""

    @property
    def session(self) -> Session:
        """The session on the connection."""


class Person(Protocol):
    """A user, as far as codes and tokens are concerned."""

    @property
    def id(self) -> int:
        """The id of the user's row."""

    @property
    def username(self) -> str:
        """The username."""


class ClientHooks(RequestValidator):
    """The hooks about clients, users and scopes, and what all hooks know of one request.

    Results of one hook for the next are stored here, and not in oauthlib's Request, where any
    parameter of a request becomes an attribute, `user` and `client` too. If `consequence` is true
    after a refusal, the transaction has to be committed. `client` exists after it was
    authenticated. `issued` is the response with the tokens that were stored (section 5.1); `reused`
    and `revoked` are what was used twice and what was ended, each with the id of its user.
    """

    client: ClientRow

    def __init__(
        self,
        database: Database,
        lifetimes: Lifetimes | None = None,
        attempts: AttemptLimit | None = None,
        user: Person | None = None,
        quotas: Quotas | None = None,
        client: ClientRow | None = None,
    ) -> None:
        self.database = database
        self.connection = database.connection
        self.lifetimes = lifetimes or Lifetimes()
        self.quotas = quotas or Quotas()
        self.attempts = attempts or Unlimited()
        self.consequence = False
        self.issued: dict[str, Any] | None = None
        self.reused: tuple[str, int | None] | None = None
        self.revoked: tuple[str, int | None] | None = None
        if client is not None:
            self.client = client
        self._by_secret = False
        self._user = user
        self._code: CodeRow | None = None
        self._grant: GrantRow | None = None
        self._original_scopes: list[str] = []

    @property
    def user(self) -> Person | None:
        """The user to whom a code or tokens are issued, once the hooks know it."""
        return self._user

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
        client = ClientRow.find(self.connection, request.client_id or "")
        if client is None:
            return False
        secret = getattr(request, "client_secret", None)
        if secret:
            self.attempts.count("secret", client.client_id)
            if not client.secret_matches(secret):
                return False
            self.attempts.succeeded("secret", client.client_id)
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
        that sent none was not authenticated for them. A grant that only an admin may give needs an
        active admin as the client's owner. Called by every grant; by the password grant only after
        `validate_user`, which therefore calls this first.
        """
        if grant_type == "client_credentials" and not self._by_secret:
            raise InvalidClientError(request=request)
        if grant_type not in self.client.grant_types:
            return False
        # The owner is not locked here: `_new_grant` checks it again.
        if grant_type in ADMINS_GRANTS and not self.client.is_backed:
            raise UnauthorizedClientError(UNBACKED, request=request)
        return True

    def validate_user(
        self,
        username: str,
        password: str,
        client: object,
        request: Request,
        *args: object,
        **kwargs: object,
    ) -> bool:
        """Check the resource owner's password, if the client may use the password grant.

        Called by the password grant (RFC 6749 section 4.3.2).
        """
        if not self.validate_grant_type(self.client.client_id, "password", client, request):
            raise UnauthorizedClientError(request=request)
        # Locked together with the user, in the order of ids.
        owner = () if self.client.by_operator else (self.client.user_id,)
        session = self.database.session
        self._user = User.authenticate(session, username, password, self.attempts, owner)
        return self._user is not None

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
        """Tell whether the client may get the scopes that it asks for, and sort them.

        Called by the password and client credentials grants (RFC 6749 section 3.3).
        """
        request.scopes = asked_scope(request, self.client.scopes)
        return bool(request.scopes)


def asked_scope(request: Request, widest: Iterable[str]) -> list[str]:
    """Return the scopes that a request asks for, sorted; all if it asks for none."""
    if not request.scope:
        return sorted(widest)
    asked = {scope for scope in request.scope.split(" ") if scope}
    if not asked or not asked.issubset(widest):
        raise InvalidScopeError(request=request)
    return sorted(asked)

"""OAuth clients (RFC 6749 section 2)."""

import hmac
import secrets
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple, Self

from sqlalchemy import (
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    and_,
    bindparam,
    false,
    func,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.caller import Account, Caller
from models.database.base import Base, Id, Identified, Timestamps, is_storable
from models.database.connections import Question
from models.database.pagination import Listing
from models.database.prepared import Prepared
from models.errors import Forbidden
from models.named_objects import NamedDefaults
from models.oauth.secret import digest, generate
from models.users.user import User

CONFIDENTIAL = "confidential"
PUBLIC = "public"
GRANT_TYPES = ("authorization_code", "client_credentials", "password", "refresh_token")
# Grants without a user's consent, which only an admin may give to a client.
ADMINS_GRANTS = frozenset({"client_credentials", "password"})
INVALID_CLIENT = "The client is unknown or its secret is wrong or missing."


class ClientRules:
    """What follows from the columns of a client, of the object and of the row alike."""

    __slots__ = ()

    @property
    def is_public(self: Any) -> bool:
        """Whether the client cannot keep a secret (RFC 6749 section 2.1)."""
        return bool(self.client_type == PUBLIC)

    def secret_matches(self: Any, secret: str) -> bool:
        """Tell whether this is the client's secret, in constant time."""
        return self.secret_hash is not None and hmac.compare_digest(
            digest(secret), self.secret_hash
        )


class Client(ClientRules, Identified, Timestamps, NamedDefaults, Base):
    """A registered client (RFC 6749 section 2) and the user that owns it.

    `scopes` are the widest scope of its tokens, and the scope if it requests none. A public client
    may have a secret, a confidential one always has one. A client `by_operator` was created on the
    command line, and needs no admin as its owner, whatever its grants.
    """

    __tablename__ = "clients"

    client_id: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(80))
    client_type: Mapped[str] = mapped_column(String(12))
    secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    scopes: Mapped[tuple[str, ...]]
    grant_types: Mapped[tuple[str, ...]]
    redirect_uris: Mapped[tuple[str, ...]]
    by_operator: Mapped[bool] = mapped_column(default=False, server_default=false(), sort_order=2)

    @classmethod
    def create(
        cls,
        session: Session,
        *,
        user_id: int,
        name: str,
        client_type: str = CONFIDENTIAL,
        scopes: Iterable[str] = (),
        grant_types: Iterable[str] = (),
        redirect_uris: Iterable[str] = (),
        with_secret: bool = False,
        by_operator: bool = False,
    ) -> tuple[Self, str | None]:
        """Register a client; return it and its secret, which cannot be read later.

        A public client has a secret only `with_secret`. Raise Forbidden if the owner's account was
        deleted.
        """
        secret = generate() if with_secret or client_type == CONFIDENTIAL else None
        client = cls(
            client_id=_new_id(),
            user_id=user_id,
            name=name,
            client_type=client_type,
            secret_hash=None if secret is None else digest(secret),
            scopes=tuple(sorted(set(scopes))),
            grant_types=tuple(sorted(set(grant_types))),
            redirect_uris=tuple(dict.fromkeys(redirect_uris)),
            by_operator=by_operator,
        )
        session.add(client)
        try:
            session.flush()
        except IntegrityError:
            raise Forbidden("The user's account no longer exists.") from None
        return client, secret

    @classmethod
    def find(cls, session: Session, client_id: str) -> Self | None:
        """Return the client with that client identifier (RFC 6749 section 2.2)."""
        if not is_storable(client_id):
            return None
        return session.scalar(select(cls).where(cls.client_id == client_id))

    @classmethod
    def load(cls, session: Session, client_id: str) -> Self | None:
        """Return the client with that client identifier."""
        return cls.find(session, client_id)

    @classmethod
    def users_to_lock(cls, session: Session, **ids: Any) -> dict[int, bool]:
        """Return the owner, to be locked against changes only."""
        client = cls.load(session, **ids)
        return {} if client is None else {client.user_id: False}

    @classmethod
    def visible_to(cls, caller: Caller, user_id: int | None = None) -> Listing:
        """List the clients of a user, the caller's own by default.

        Raise Forbidden if they are another user's and the caller is no admin.
        """
        owner = caller.account.id if user_id is None else user_id
        if owner != caller.account.id and not caller.is_admin:
            raise Forbidden("Only an admin may see the clients of others.")
        return _clients().given(user_id=owner)

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles towards this client: `owner`."""
        is_owner = caller.user is not None and caller.user.id == self.user_id
        return frozenset({"owner"} if is_owner else ())

    def is_backed_by(self, owner: Account | None) -> bool:
        """Tell whether the client may use its ADMINS_GRANTS with this owner.

        The owner has to be an active admin, unless an operator created the client.
        """
        return self.by_operator or (owner is not None and owner.is_active and owner.is_admin)


CLIENT_COLUMNS = (
    Client.id,
    Client.client_id,
    Client.user_id,
    Client.name,
    Client.client_type,
    Client.secret_hash,
    Client.scopes,
    Client.grant_types,
    Client.redirect_uris,
    Client.by_operator,
    func.coalesce(and_(User.is_active, User.is_admin), false()).label("has_admin"),
)
# An outer join: a row that waited for its lock is still there, if it has another owner by then.
CLIENTS_WITH_OWNERS = (
    select(*CLIENT_COLUMNS).select_from(Client).outerjoin(User, User.id == Client.user_id)
)
_BY_CLIENT_ID = Prepared(CLIENTS_WITH_OWNERS.where(Client.client_id == bindparam("client")))
_LOCKED = Prepared(
    CLIENTS_WITH_OWNERS.where(Client.id == bindparam("id")).with_for_update(read=True, of=Client)
)
_BY_ID = "SELECT 1 FROM clients WHERE id = $1 FOR SHARE"


class _ClientColumns(NamedTuple):
    id: int
    client_id: str
    user_id: int
    name: str
    client_type: str
    secret_hash: bytes | None
    scopes: tuple[str, ...]
    grant_types: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    by_operator: bool
    has_admin: bool


class ClientRow(ClientRules, _ClientColumns):
    """The columns of a client that OAuth requests need, which cost a fraction of the object.

    `has_admin` tells whether its owner is an active admin.
    """

    __slots__ = ()

    @property
    def is_backed(self) -> bool:
        """Whether the client may use its ADMINS_GRANTS, as `Client.is_backed_by` tells."""
        return self.by_operator or self.has_admin

    @classmethod
    def find(cls, connection: Connection, client_id: str) -> Self | None:
        """Return the client with that client identifier (RFC 6749 section 2.2)."""
        if not is_storable(client_id):
            return None
        row = _BY_CLIENT_ID.first(connection, client=client_id)
        return None if row is None else cls(*row)

    @classmethod
    def lock_shared(cls, connection: Connection, id: int, locks: Sequence[Question]) -> Self | None:
        """Lock a client against changes and deletion, and before it what the selects lock.

        The transaction begins here, unless it has begun. Return the client as it is now; None where
        it was deleted. Its owner is not locked by this.
        """
        rows = _LOCKED.begin(connection, locks, id=id)
        return cls(*rows[0]) if rows else None

    @staticmethod
    def locks(id: int) -> list[Question]:
        """Return the select that locks a client as `lock_shared` does."""
        return [(_BY_ID, (id,))]


# For the list of a user's clients.
Index(None, Client.user_id, Client.id)


@cache
def _clients() -> Listing:
    hidden = {"secret_hash", "by_operator"}
    columns = [column for column in Client.__table__.c if column.key not in hidden]
    return Listing.of(select(*columns).where(Client.user_id == bindparam("user_id")), Client.id)


def _new_id() -> str:
    """Return a random id that does not begin like an option of a command line."""
    while (made := secrets.token_urlsafe(24)).startswith("-"):
        pass
    return made

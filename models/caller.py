"""The caller of a request: a user through a client, a client by itself, or anonymous."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any, Protocol

from models.errors import Forbidden


class Account(Protocol):
    """The user of a caller: the columns of its row, without those of the password.

    It is a row that was read together with the token, which costs a fraction of a mapped object. To
    change the user, load the mapped object.
    """

    id: int
    username: str
    email: str
    first_name: str
    middle_name: str
    last_name: str
    is_active: bool
    is_regular_user: bool
    is_admin: bool
    is_internal: bool
    created: datetime
    updated: datetime


@cache
def roles_by_flags(*, is_admin: bool, is_internal: bool) -> frozenset[str]:
    """Return the roles that these flags give: `admin`, `internal`."""
    flags = {"admin": is_admin, "internal": is_internal}
    return frozenset(role for role, has in flags.items() if has)


@dataclass(frozen=True)
class Caller:
    """The caller of one request, as its access token names it.

    `client` is the id of the client's row, `grant_id` that of the grant behind the token.
    """

    user: Account | None = None
    client: int | None = None
    grant_id: int | None = None
    scopes: frozenset[str] = frozenset()

    @classmethod
    def anonymous(cls) -> Caller:
        """Return the caller of a request without a token."""
        return cls()

    @cached_property
    def roles(self) -> frozenset[str]:
        """The roles that the caller has towards every object."""
        user = self.user
        if user is None:
            return frozenset() if self.client is None else frozenset({"service"})
        if not user.is_active:
            return frozenset()
        above = roles_by_flags(is_admin=user.is_admin, is_internal=user.is_internal)
        writer = {"writer"} if user.is_regular_user or above else set()
        return above | {"user"} | writer

    @property
    def rights(self) -> tuple[Any, ...]:
        """The user's id and the flags from which the roles follow."""
        user = self.user
        if user is None:
            return (None,) * 5
        return user.id, user.is_active, user.is_regular_user, user.is_admin, user.is_internal

    @property
    def account(self) -> Account:
        """The account of the calling user; Forbidden where a client acts for no user."""
        if self.user is None:
            raise Forbidden("This needs a user.")
        return self.user

    def has(self, *roles: str) -> bool:
        """Tell whether the caller has one of these roles."""
        return not self.roles.isdisjoint(roles)

    @property
    def is_admin(self) -> bool:
        """Whether the caller is an active admin."""
        return self.has("admin")

    @property
    def is_internal(self) -> bool:
        """Whether the caller is an active internal user."""
        return self.has("internal")

    @property
    def is_service(self) -> bool:
        """Whether the caller is a client that acts for no user (RFC 6749 section 4.4)."""
        return self.has("service")

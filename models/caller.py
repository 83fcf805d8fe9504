"""Who makes a request: a user through a client, a client alone, or nobody known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from models.errors import Forbidden

if TYPE_CHECKING:
    from models.user import User


@dataclass(frozen=True)
class Caller:
    """The caller of one request, as its access token names it.

    `client` is the id of the client's row, `grant_id` that of the grant behind the token.
    """

    user: User | None = None
    client: int | None = None
    grant_id: int | None = None
    scopes: frozenset[str] = frozenset()

    @classmethod
    def anonymous(cls) -> Caller:
        """Return the caller of a request without a token."""
        return cls()

    @cached_property
    def roles(self) -> frozenset[str]:
        """The roles that the caller has everywhere, whatever the object."""
        user = self.user
        if user is None:
            return frozenset() if self.client is None else frozenset({"service"})
        if not user.is_active:
            return frozenset()
        roles = {"user"} | user.standing
        if user.is_regular_user or user.standing:
            roles.add("writer")
        return frozenset(roles)

    @property
    def account(self) -> User:
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

"""Permissions: what the definition's `x-permission` says of who may call an operation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Self

_NOUNS = {
    "anyone": "anyone",
    "newcomer": "anyone, while sign-up is not closed",
    "user": "any active user",
    "writer": "a writer (a regular user, an admin or an internal user)",
    "admin": "an admin",
    "internal": "an internal user",
    "service": "a service",
    "self": "the user concerned",
    "member": "a member of the team",
    "leader": "a leader of the team",
    "owner": "the owner",
}


class Verdict(Enum):
    """What becomes of a request, as far as permission goes."""

    GRANTED = "granted"
    FORBIDDEN = "forbidden"
    ABSENT = "absent"


@dataclass(frozen=True)
class Permission:
    """Who may call an operation, in terms of roles.

    `sees` are the roles of which one is needed to know that the object exists at all, `may` those
    of which one is needed to act, `and_also` one that is needed besides, `or_else` one that
    suffices alone. `not_over` takes a role away again where the object itself has one of the roles
    listed.
    """

    may: tuple[str, ...]
    object: str | None = None
    sees: tuple[str, ...] = ()
    and_also: str | None = None
    or_else: str | None = None
    not_over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, declared: Mapping[str, Any]) -> Self:
        """Read an `x-permission` object.

        :raises ValueError: if it has an unknown key or role, or says of nobody that they may.
        """
        unknown = declared.keys() - {"object", "sees", "may", "and", "or", "not_over"}
        sees = tuple(declared.get("sees", ()))
        permission = cls(
            may=tuple(declared.get("may", sees)),
            object=declared.get("object"),
            sees=sees,
            and_also=declared.get("and"),
            or_else=declared.get("or"),
            not_over={role: tuple(over) for role, over in declared.get("not_over", {}).items()},
        )
        named = {
            *permission.sees,
            *permission.may,
            permission.and_also,
            permission.or_else,
            *permission.not_over,
        } - {None}
        if unknown or not permission.may or named - _NOUNS.keys():
            raise ValueError(f"x-permission cannot be understood: {dict(declared)}")
        return permission

    def judge(self, roles: frozenset[str], standing: frozenset[str] = frozenset()) -> Verdict:
        """Decide for a caller with these roles, over an object whose own roles are `standing`."""
        roles = roles | {"anyone"}
        if self.sees and roles.isdisjoint(self.sees):
            return Verdict.ABSENT
        if self.or_else in roles:
            return Verdict.GRANTED
        useful = {
            role
            for role in self.may
            if role in roles and standing.isdisjoint(self.not_over.get(role, ()))
        }
        if useful and (self.and_also is None or self.and_also in roles):
            return Verdict.GRANTED
        return Verdict.FORBIDDEN

    @cached_property
    def sentence(self) -> str:
        """The sentence about who may call, for the documentation."""
        who = _either(_NOUNS[role] for role in self.may)
        if self.and_also:
            who = f"{who}, who must also be {_NOUNS[self.and_also]}"
        if self.or_else:
            who = f"{who}; or {_NOUNS[self.or_else]}"
        lines = [f"**Who may call:** {who}."]
        for role, over in self.not_over.items():
            others = _either(_NOUNS[other] for other in over)
            lines.append(f"{_NOUNS[role].capitalize()} may not do this to {others}.")
        if self.sees:
            seen_by = (
                "anyone else"
                if self.sees == self.may
                else f"anyone but {_either(_NOUNS[role] for role in self.sees)}"
            )
            lines.append(f"To {seen_by} the {self.object} does not exist (404).")
        return " ".join(lines)

    @cached_property
    def who(self) -> str:
        """The same in short, for a table: a comma means *or*."""
        who = ", ".join(self.may)
        if self.and_also:
            who = (
                f"({who}) and {self.and_also}"
                if len(self.may) > 1
                else f"{who} and {self.and_also}"
            )
        return f"{who}, or {self.or_else}" if self.or_else else who


def _either(nouns: Any) -> str:
    *first, last = nouns
    return f"{', '.join(first)} or {last}" if first else last

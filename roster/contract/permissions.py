"""Permissions: what the definition's `x-permission` says of who may call an operation."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Self

from roster.contract.errors import DefinitionError, nearest

ROLES = "x-roles"
_ANYONE = frozenset({"anyone"})
_KEYS = ("object", "sees", "may", "and", "or", "not_over")


class Verdict(Enum):
    """The decision on a request, as far as permission goes."""

    GRANTED = "granted"
    FORBIDDEN = "forbidden"
    ABSENT = "absent"


@dataclass(frozen=True)
class Permission:
    """Who may call an operation, in terms of roles.

    `sees` are the roles of which one is needed to know that the object exists at all, `may` those
    of which one is needed to act, `and_also` one that is needed besides, `or_else` one that
    suffices alone. `not_over` takes a role away again where the object itself has one of the roles
    listed. `nouns` are the words for who has a role.
    """

    may: tuple[str, ...]
    object: str | None = None
    sees: tuple[str, ...] = ()
    and_also: str | None = None
    or_else: str | None = None
    not_over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nouns: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, declared: Mapping[str, Any], nouns: Mapping[str, str]) -> Self:
        """Read an `x-permission` object; `nouns` are the roles, each with the words for who has it.

        :raises DefinitionError: with the first of its `mistakes`.
        """
        for sentence in mistakes(declared, nouns):
            raise DefinitionError(sentence)
        sees = tuple(declared.get("sees", ()))
        return cls(
            may=tuple(declared.get("may", sees)),
            object=declared.get("object"),
            sees=sees,
            and_also=declared.get("and"),
            or_else=declared.get("or"),
            not_over={role: tuple(over) for role, over in declared.get("not_over", {}).items()},
            nouns=nouns,
        )

    def judge(self, roles: frozenset[str], own_roles: frozenset[str] = frozenset()) -> Verdict:
        """Decide for a caller with these roles, over an object whose own roles are `own_roles`."""
        roles = roles | _ANYONE
        if self.sees and roles.isdisjoint(self.sees):
            return Verdict.ABSENT
        if self.or_else in roles:
            return Verdict.GRANTED
        useful = roles.intersection(self.may)
        if own_roles:
            useful = frozenset(
                role for role in useful if own_roles.isdisjoint(self.not_over.get(role, ()))
            )
        if useful and (self.and_also is None or self.and_also in roles):
            return Verdict.GRANTED
        return Verdict.FORBIDDEN

    @cached_property
    def sentence(self) -> str:
        """The sentence about who may call, for the documentation."""
        who = _either(self.nouns[role] for role in self.may)
        if self.and_also:
            who = f"{who}, who must also be {self.nouns[self.and_also]}"
        if self.or_else:
            who = f"{who}; or {self.nouns[self.or_else]}"
        lines = [f"**Who may call:** {who}.", *map(self._limits, self.not_over)]
        return " ".join(filter(None, [*lines, self.absence]))

    @cached_property
    def absence(self) -> str:
        """The sentence on those to whom the object does not exist; empty where there are none."""
        if not self.sees:
            return ""
        seen_by = (
            "anyone else"
            if self.sees == self.may
            else f"anyone but {_either(self.nouns[role] for role in self.sees)}"
        )
        return f"To {seen_by} the {self.object} does not exist (404)."

    def conditions(self, roles: frozenset[str] | set[str]) -> Iterator[str]:
        """Yield in sentences what a caller who may call by one of these roles needs besides."""
        if self.or_else in roles or roles.isdisjoint(self.may):
            return
        if self.and_also and self.and_also not in roles:
            yield f"The caller must also be {self.nouns[self.and_also]}."
        yield from (self._limits(role) for role in self.not_over if role in roles)

    def _limits(self, role: str) -> str:
        others = _either(self.nouns[other] for other in self.not_over[role])
        return f"{self.nouns[role].capitalize()} may not do this to {others}."

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


def declared_roles(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the roles that a document declares, and `anyone`, with the words for who has them."""
    return {"anyone": "anyone", **document.get(ROLES, {})}


def mistakes(declared: Any, roles: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with an `x-permission`, in sentences."""
    if not isinstance(declared, dict):
        yield "x-permission must be an object"
        return
    for key in declared.keys() - {*_KEYS}:
        yield f"x-permission has no {key}{nearest(str(key), _KEYS)}"
    wrong = [*_of_types(declared)]
    yield from wrong
    if wrong:
        return
    if not declared.get("may", declared.get("sees", ())):
        yield "x-permission lets nobody in: may, or sees, has to name a role"
    if "sees" in declared and "object" not in declared:
        yield "x-permission: sees needs an object, which others do not see"
    yield from _of_roles(declared, roles)


def _of_roles(declared: Mapping[str, Any], roles: Collection[str]) -> Iterator[str]:
    over = declared.get("not_over", {})
    for key, named in (
        *((key, declared.get(key, ())) for key in ("sees", "may")),
        *((key, [declared[key]]) for key in ("and", "or") if key in declared),
        ("not_over", [*over, *(role for others in over.values() for role in others)]),
    ):
        for role in dict.fromkeys(named):
            if role not in roles:
                yield f"x-permission: {key}: x-roles has no role {role}{nearest(role, roles)}"
    may = declared.get("may", declared.get("sees", ()))
    for role in over:
        if role in roles and role not in may:
            yield f"x-permission: not_over: {role} is none of those who may{nearest(role, may)}"


def _of_types(declared: Mapping[str, Any]) -> Iterator[str]:
    for key in ("object", "and", "or"):
        if not isinstance(declared.get(key, ""), str):
            yield f"x-permission: {key} must be one word"
    for key in ("sees", "may"):
        if not _are_words(declared.get(key, [])):
            yield f"x-permission: {key} must be a list of roles"
    over = declared.get("not_over", {})
    if not isinstance(over, dict) or not all(map(_are_words, over.values())):
        yield "x-permission: not_over must have a list of roles for each role"


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)

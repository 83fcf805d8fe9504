"""The matrix: which role may call which operation, for tables of any form."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from roster.contract.operation import Operation
from roster.contract.permissions import Permission

MAY = "+"
SEES = "sees"
NOTHING = "."
# What the signs mean, in the order in which a table explains them.
SIGNS = {
    MAY: "may call it, under the conditions that the numbers name",
    SEES: "learns from a refusal that the object exists (403)",
    NOTHING: "allows nothing by itself; a caller has several roles, and one that may is enough",
}


@dataclass(frozen=True)
class Cell:
    """What one role allows: a sign, and the numbers of the notes with its conditions."""

    sign: str
    notes: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.sign} {','.join(map(str, self.notes))}".strip()


@dataclass(frozen=True)
class Row:
    """An operation with a cell for each role; its own notes hold whatever the role."""

    operation: Operation
    cells: tuple[Cell, ...]
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """The operations and the roles that occur in them, and the notes, numbered from 1."""

    roles: Mapping[str, str]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        operations: Sequence[Operation],
        more: Mapping[str, Sequence[str]],
        elsewhere: Mapping[str, str] | None = None,
    ) -> "Matrix":
        """Make the matrix of operations.

        :param more: the roles that a caller with a role has at any rate, by the role.
        :param elsewhere: for the ids of operations that ask for no role: who may call them.
        """
        permissions = [each.permission for each in operations]
        used = {role for each in permissions for role in _named(each)}
        nouns = permissions[0].nouns if permissions else {}
        roles = {role: noun for role, noun in nouns.items() if role in used}
        numbers: dict[str, int] = {}

        def number(sentence: str) -> int:
            return numbers.setdefault(sentence, len(numbers) + 1)

        rows = []
        for operation in operations:
            permission = operation.permission
            if operation.id in (elsewhere or {}):
                cells = tuple(Cell(NOTHING) for _ in roles)
                sentence = f"Only {(elsewhere or {})[operation.id]}."
                rows.append(Row(operation, cells, (number(sentence),)))
                continue
            cells = tuple(_cell(permission, {role, *more.get(role, ())}, number) for role in roles)
            notes = (number(permission.absence),) if permission.absence else ()
            rows.append(Row(operation, cells, notes))
        return cls(roles, rows, list(numbers))


def _cell(permission: Permission, roles: set[str], number: Callable[[str], int]) -> Cell:
    if "anyone" in permission.may or not roles.isdisjoint({*permission.may, permission.or_else}):
        return Cell(MAY, tuple(map(number, permission.conditions(roles))))
    return Cell(NOTHING if roles.isdisjoint(permission.sees) else SEES)


def _named(permission: Permission) -> set[str]:
    return {*permission.may, *permission.sees, permission.or_else or ""}

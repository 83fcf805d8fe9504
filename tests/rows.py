"""Rows for any mapped table, made from its columns, so that no test has to know a new table."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Column,
    Enum,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    TypeDecorator,
    UniqueConstraint,
    insert,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import Base
from models.database.base import Words, now

# How the values of a column are made, by its row's number, where its type does not tell: as
# "projects.state": lambda number: "open".
VALUES: dict[str, Callable[[int], Any]] = {
    "audit_events.action": lambda number: ("team.changed", "user.changed")[number % 2],
    # Half of them by one actor, and a third of them about that one.
    "audit_events.actor_id": lambda number: 1007 if number % 2 else number + 1,
    "audit_events.user_id": lambda number: 1007 if number % 3 else number + 1,
    "audit_events.target_kind": lambda _: "team",
    "audit_events.target_id": lambda number: str(number % 3),
    "audit_events.details": lambda _: {"changed": "title"},
}

# Half of the rows hang on one parent, so that what grows with a parent's rows is seen.
BUSY = 7
# A prime, so that rows which hang on several parents meet them in all combinations.
_STRIDE = 7919
_numbers = count(1)


def value(column: Column[Any], number: int) -> Any:
    """Make the value of a column that refers to no other table."""
    made = VALUES.get(f"{column.table.name}.{column.name}")
    if made is not None:
        return made(number)
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    if column.default is not None and column.default.is_scalar and kind.python_type is not bool:
        return column.default.arg  # type: ignore[attr-defined]
    if isinstance(kind, Enum):
        return kind.python_type[kind.enums[0]] if kind.enum_class else kind.enums[0]
    if isinstance(column.type, Words):
        return (f"{column.name}-{number}",)
    if isinstance(kind, JSON):
        return {}
    text = f"{column.name} {number}"
    length = getattr(kind, "length", None) or len(text)
    values: dict[type, Any] = {
        bool: number // 2 % 2 == 1,
        str: text[-length:],
        bytes: text.encode()[-length:],
        int: number,
        float: float(number),
        Decimal: Decimal(number),
        datetime: now() + timedelta(seconds=number),
        date: now().date(),
        time: time(number % 24),
        timedelta: timedelta(seconds=number),
        UUID: UUID(int=number),
    }
    if kind.python_type not in values:
        raise AssertionError(
            f"No value can be made of the type of {column.table.name}.{column.name}:"
            " say in VALUES in tests/rows.py how one is made."
        )
    return values[kind.python_type]


def written(table: Table) -> list[Column[Any]]:
    """Return the columns that a row is written with; the database makes the others."""
    return [column for column in table.columns if column.computed is None]


# One row


def make(session: Session, table: Table, parents: Mapping[str, int]) -> Any:
    """Insert a row, and those that it hangs on unless `parents` has their ids by their tables."""
    values, number = {}, next(_numbers)
    for column in written(table):
        if column is table.autoincrement_column:
            continue
        if column.foreign_keys:
            values[column.name] = _parent(session, column, {**parents, table.name: 0})
        else:
            values[column.name] = value(column, number)
    try:
        return session.execute(insert(table).values(values).returning(*table.columns)).one()
    except IntegrityError as error:
        raise AssertionError(_sentence(table)) from error


def _parent(session: Session, column: Column[Any], parents: Mapping[str, int]) -> int | None:
    """Return the id at the end of a chain of foreign keys."""
    [foreign] = column.foreign_keys
    target = foreign.column
    if target.foreign_keys:
        return _parent(session, target, parents)
    if target.table.name in parents:
        return parents[target.table.name] or None
    made: int = getattr(make(session, target.table, parents), target.name)
    return made


def _sentence(table: Table) -> str:
    return (
        f"No row of {table.name} can be made from its columns: say in VALUES in tests/rows.py how"
        " the values of those with rules of their own are made."
    )


# Many rows


def unknown_tables(known: Collection[str]) -> list[Table]:
    """Return the mapped tables that are not among the known ones, parents first."""
    return [table for table in Base.metadata.sorted_tables if table.name not in known]


def many(
    table: Table,
    how_many: int,
    first: int,
    parents: Callable[[Table, Sequence[str]], Sequence[Any]],
) -> Iterator[list[Any]]:
    """Make rows with ids from `first` on; `parents` gives rows of a table with these columns."""
    columns = written(table)
    keys = [each for each in table.constraints if isinstance(each, ForeignKeyConstraint)]
    found = [
        ()
        if key.referred_table is table
        else parents(key.referred_table, [each.column.name for each in key.elements])
        for key in keys
    ]
    unique = [[column.name for column in each.columns] for each in _unique(table)]
    seen: set[Any] = set()
    for number in range(how_many):
        row: dict[str, Any] = {}
        for place, (key, rows) in enumerate(zip(keys, found, strict=True)):
            turn = number * _STRIDE**place if number >> place & 1 else BUSY
            parent = rows[turn % len(rows)] if rows else [None] * len(key.columns)
            row |= dict(zip(key.column_keys, parent, strict=True))
        for column in columns:
            if column is table.autoincrement_column:
                row[column.name] = first + number
            elif not column.foreign_keys:
                row[column.name] = value(column, number)
        named = {(*names, *(row[name] for name in names)) for names in unique}
        if not named & seen:
            seen |= named
            yield [row[column.name] for column in columns]


def _unique(table: Table) -> list[PrimaryKeyConstraint | UniqueConstraint | Index]:
    constraints = (PrimaryKeyConstraint, UniqueConstraint)
    return [
        *(each for each in table.constraints if isinstance(each, constraints)),
        *(each for each in table.indexes if each.unique),
    ]

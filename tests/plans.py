"""What PostgreSQL's plans tell: which conditions the index that was chosen leaves to a filter."""

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint

from models import Base

# As the server writes that a column equals a value, or has none.
_EQUAL = re.compile(r"\b(\w+)(?:\)::\w+)? (?:= |IS NULL)")


def nodes(plan: Any) -> Iterator[Any]:
    """Yield a node of a plan, and all those below it."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def overlooked(plan: Any) -> Iterator[str]:
    """Tell where a plan reads rows by one index and drops most of them, as another fits better.

    That is one with more columns, at its begin, that have to equal a value. A row that is found by
    a unique key is one, whatever else is said of it.
    """
    for node in nodes(plan):
        table = Base.metadata.tables.get(node.get("Relation Name", ""))
        left = _equal(node.get("Filter", ""))
        if table is None or not left:
            continue
        found = set().union(*(_equal(each.get("Index Cond", "")) for each in _reading(node)))
        keys = list(_keys(table))
        if any(is_unique and found.issuperset(names) for names, is_unique in keys):
            continue
        if any(_fits(names, found | left) > _fits(names, found) for names, _ in keys):
            yield f"{node['Node Type']} by {node.get('Index Name')}, filter {node['Filter']}"


def _reading(node: Any) -> Iterator[Any]:
    """Yield a scan, and the scans of indexes that a bitmap is made of."""
    yield node
    for inner in node.get("Plans", ()):
        if inner["Node Type"].startswith("Bitmap"):
            yield from _reading(inner)


def _equal(conditions: str) -> set[str]:
    return set(_EQUAL.findall(conditions))


def _keys(table: Table) -> Iterator[tuple[list[str], bool]]:
    """Yield the columns of each index that has all rows, and whether they are unique together."""
    for each in (*table.constraints, *table.indexes):
        if isinstance(each, PrimaryKeyConstraint | UniqueConstraint):
            yield [column.name for column in each.columns], True
        elif isinstance(each, Index) and each.dialect_options["postgresql"]["where"] is None:
            yield [column.name for column in each.columns], bool(each.unique)


def _fits(names: list[str], equal: set[str]) -> int:
    """Count the columns at the begin of an index that have to equal a value."""
    return next((number for number, name in enumerate(names) if name not in equal), len(names))

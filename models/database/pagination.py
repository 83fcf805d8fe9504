"""Pagination: pages of a list, by offset or by keyset."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from sqlalchemy import Connection, Select, bindparam, func
from sqlalchemy.orm import InstrumentedAttribute

from models.database.base import MAX_ID
from models.database.prepared import Prepared


@dataclass(frozen=True)
class Page:
    """Some rows of a list.

    `total` is the length of the whole list, if it was counted. `next_after` is the key of the
    last row, if more rows follow.
    """

    rows: Any
    total: int | None
    next_after: int | None

    def map(self, function: Callable[[Sequence[Any]], Any]) -> "Page":
        """Return the same page with the function applied to its rows."""
        return replace(self, rows=function(self.rows))


@dataclass(frozen=True)
class Listing:
    """A list to paginate: its statements, prepared once, and the values of their parameters."""

    count: Prepared
    by_offset: Prepared
    by_key: Prepared
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, select: Select[*tuple[Any, ...]], key: InstrumentedAttribute[int]) -> Self:
        """Prepare the statements from one that selects columns of all rows.

        `key` orders the rows and is unique among them.
        """
        part = select.add_columns(key.label("page_key")).order_by(None).order_by(key)
        part = part.limit(bindparam("page_limit"))
        count = func.count().label("total")
        return cls(
            count=Prepared(
                select.with_only_columns(count, maintain_column_froms=True).order_by(None)
            ),
            by_offset=Prepared(part.offset(bindparam("page_offset"))),
            by_key=Prepared(part.where(key > bindparam("page_after"))),
        )

    def given(self, **values: Any) -> Self:
        """Return the list with these values of its parameters."""
        return replace(self, values=values)

    def total(self, connection: Connection) -> int:
        """Count the rows of the whole list, which takes the longer the more there are."""
        [counted] = self.count.all(connection, **self.values)
        total: int = counted.total
        return total


@dataclass(frozen=True)
class Window:
    """The requested part of a list: `limit` rows from `offset`, or with keys above `after`.

    A window that is not `counted`, or has `after`, goes by key and does not count the list.
    """

    limit: int
    offset: int | None = None
    after: int | None = None
    counted: bool = True

    def of(self, connection: Connection, listing: Listing) -> Page:
        """Return a page of the list; its rows have the selected columns as attributes."""
        values: dict[str, Any] = {**listing.values, "page_limit": self.limit + 1}
        total = None
        if self.counted and self.after is None:
            total = listing.total(connection)
            part, values["page_offset"] = listing.by_offset, min(self.offset or 0, MAX_ID)
        else:
            # All keys are above 0.
            part, values["page_after"] = listing.by_key, min(self.after or 0, MAX_ID)
        found = part.all(connection, **values)
        rows = found[: self.limit]
        more = len(found) > self.limit
        return Page(rows, total, rows[-1].page_key if more else None)

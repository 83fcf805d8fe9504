"""How a list is cut into pages, by offset or by keyset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, func
from sqlalchemy.orm import InstrumentedAttribute, Session

from models.base import MAX_ID


@dataclass(frozen=True)
class Page:
    """Some rows of a list.

    `total` is the length of the whole list, where it was counted. `next_after` is the key
    of the last row, where more rows are behind it.
    """

    rows: Any
    total: int | None
    next_after: int | None

    def map(self, function: Callable[[Sequence[Any]], Any]) -> "Page":
        """Return the same page with what the function makes of all its rows."""
        return replace(self, rows=function(self.rows))


@dataclass(frozen=True)
class Window:
    """The part of a list that is wanted: `limit` rows from `offset`, or with keys over `after`.

    A window that is not counted, or has `after`, goes by key and never counts.
    """

    limit: int
    offset: int | None = None
    after: int | None = None
    counted: bool = True

    def of(
        self, session: Session, select: Select[*tuple[Any, ...]], key: InstrumentedAttribute[int]
    ) -> Page:
        """Return the page of a select's rows, in the order of `key`.

        The key is unique among the rows, and each row has it under its own name. The rows of
        a select of one class are its objects.
        """
        total = None
        part = select.order_by(None).order_by(key).limit(self.limit + 1)
        if self.after is not None:
            part = part.where(key > min(self.after, MAX_ID))
        elif self.counted:
            total = session.scalar(
                select.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
            )
            part = part.offset(min(self.offset or 0, MAX_ID))
        result = session.execute(part)
        found = result.all() if len(select.column_descriptions) > 1 else result.scalars().all()
        rows = found[: self.limit]
        more = len(found) > self.limit
        return Page(rows, total, getattr(rows[-1], key.key) if more else None)

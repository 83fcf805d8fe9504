"""The basis of all mapped classes: the declarative base, column types, ids and timestamps."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, Text, select
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

MAX_ID = 2**63 - 1
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def is_storable(text: str) -> bool:
    """Tell whether the databases can store a text: it has no NUL and no lone surrogate."""
    return _UNSTORABLE.search(text) is None


class UTCDateTime(TypeDecorator[datetime]):
    """Store timestamps in UTC; in Python they are timezone-aware, whatever the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware timestamp to UTC; raise ValueError for a naive one."""
        if value is None:
            return None
        value = _in_utc(value)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        """Return the function that converts a timestamp for the driver.

        SQLite stores a text, which SQLAlchemy makes in several steps; this takes a third of the
        time.
        """
        return _as_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Return the function that converts the driver's value; the same holds for SQLite."""
        return (
            _from_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)
        )

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a stored timestamp to an aware one in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _as_text(value: datetime | None) -> str | None:
    """Write a timestamp in UTC as SQLAlchemy writes a naive one for SQLite."""
    return None if value is None else _in_utc(value).isoformat(" ", "microseconds")[:26]


def _from_text(text: str | None) -> datetime | None:
    """Read a timestamp of SQLite, which has no time zone."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("A timestamp without a time zone cannot be stored.")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


class Words(TypeDecorator[tuple[str, ...]]):
    """Store words without blanks (scopes, URIs) as one text, separated by blanks."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        """Join the words."""
        return None if value is None else " ".join(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...] | None:
        """Split the text into words."""
        return None if value is None else tuple(value.split())


# SQLite gives out AUTOINCREMENT ids to the type INTEGER only.
Id = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """The declarative base, with names for all constraints so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime, tuple[str, ...]: Words}


class Identified:
    """Give a mapped class an integer id that is never used twice."""

    __table_args__: Any = {"sqlite_autoincrement": True}  # noqa: RUF012 (SQLAlchemy reads it)

    id: Mapped[int] = mapped_column(Id, primary_key=True, sort_order=-1)

    @classmethod
    def by_id(cls, session: Session, id: int) -> Self | None:
        """Return the row with that id; None where there is none, whatever the size of the id."""
        return session.get(cls, id) if 0 < id <= MAX_ID else None

    @classmethod
    def lock(cls, session: Session, *ids: int) -> list[Self]:
        """Lock rows exclusively until the transaction ends; return them with their current values.

        They are locked in the order of their ids, so that no two transactions wait for each
        other. Deleted rows are left out. Tables are locked in an order too: users, clients, teams,
        consents, grants, codes, tokens. A grant comes before its code and its tokens because these
        are deleted with it.
        """
        statement = select(cls).where(cls.id.in_(ids)).order_by(cls.id)
        statement = statement.with_for_update(of=cls).execution_options(populate_existing=True)
        return list(session.scalars(statement))

    @classmethod
    def lock_shared(cls, session: Session, id: int, *others: int) -> Self | None:
        """Lock a row, and others, against changes and deletion until the transaction ends.

        Return the row with its current values; None where it was deleted. Other transactions can
        lock the same rows in this way at the same time.
        """
        if not 0 < id <= MAX_ID:
            return None
        statement = select(cls).where(cls.id.in_({id, *others})).order_by(cls.id)
        statement = statement.with_for_update(read=True, of=cls)
        held = session.scalars(statement.execution_options(populate_existing=True)).all()
        return next((row for row in held if row.id == id), None)


def _created(context: DefaultExecutionContext) -> datetime:
    created: datetime = context.get_current_parameters()["created"]
    return created


class Timestamps:
    """Give a mapped class timestamps of its creation and of its last change."""

    created: Mapped[datetime] = mapped_column(default=now, sort_order=1)
    updated: Mapped[datetime] = mapped_column(default=_created, onupdate=now, sort_order=1)

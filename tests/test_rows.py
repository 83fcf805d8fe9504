"""Rows that are made from a table's columns: any that the database takes, for any table."""

from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    insert,
)
from sqlalchemy.orm import Session

from models.database import connections
from models.database.base import UTCDateTime, Words
from tests import rows

METADATA = MetaData()
SHOPS = Table("shops", METADATA, Column("id", Integer, primary_key=True))
GOODS = Table(
    "goods",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("shop_id", ForeignKey("shops.id"), nullable=False),
    Column("better_id", ForeignKey("goods.id")),
    Column("name", String(8), nullable=False),
    Column("is_cheap", Boolean, nullable=False),
    Column("price", Numeric, nullable=False),
    Column("colours", Words, nullable=False),
    Column("details", JSON, nullable=False),
    Column("picture", LargeBinary(8), nullable=False),
    Column("number", Uuid, nullable=False),
    Column("since", Date, nullable=False),
    Column("seen_at", UTCDateTime, nullable=False),
    UniqueConstraint("shop_id", "name"),
)
# What is kept of which good in which box: two keys, one of them of two columns.
BOXES = Table(
    "boxes",
    METADATA,
    Column("shop_id", ForeignKey("shops.id"), primary_key=True),
    Column("good_id", ForeignKey("goods.id"), primary_key=True),
)
LABELS = Table(
    "labels",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("shop_id", Integer, nullable=False),
    Column("good_id", Integer, nullable=False),
    ForeignKeyConstraint(["shop_id", "good_id"], ["boxes.shop_id", "boxes.good_id"]),
)
STATES = Table(
    "states",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("state", String(6), CheckConstraint("state IN ('open', 'closed')"), nullable=False),
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Yield a database with the tables of this file."""
    engine = connections.connect(database_url)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


def test_a_row_is_made_with_all_that_it_hangs_on(engine: Engine) -> None:
    with Session(engine) as session:
        shop = rows.make(session, SHOPS, {})
        first, second = (rows.make(session, GOODS, {"shops": shop.id}) for _ in range(2))
        elsewhere = rows.make(session, GOODS, {})

    assert first.shop_id == second.shop_id == shop.id != elsewhere.shop_id
    assert first.name != second.name


def test_many_rows_hang_on_one_and_the_others_on_all(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(SHOPS), [{"id": number} for number in range(1, 51)])
        shops = [(number,) for number in range(1, 51)]
        names = [column.name for column in rows.written(GOODS)]
        made = [
            dict(zip(names, row, strict=True))
            for row in rows.many(GOODS, 400, 1000, lambda *_: shops)
        ]
        connection.execute(insert(GOODS), made)

    hanging = Counter(row["shop_id"] for row in made)
    assert hanging[shops[rows.BUSY][0]] >= 200
    assert len(hanging) > 20
    assert len({row["id"] for row in made}) == len(made) == 400
    assert Counter(row["is_cheap"] for row in made) == {True: 200, False: 200}


def test_rows_whose_keys_are_taken_are_left_out(engine: Engine) -> None:
    parents = {"shops": [(number,) for number in range(1, 51)], "goods": [(1,), (2,), (3,)]}

    made = list(rows.many(BOXES, 400, 1000, lambda table, _: parents[table.name]))

    assert 50 < len(made) < 400
    assert len({tuple(row) for row in made}) == len(made)


def test_a_key_of_several_columns_refers_to_one_row() -> None:
    boxes = [(1, 10), (2, 20), (3, 30)]

    made = list(rows.many(LABELS, 20, 1000, lambda *_: boxes))

    assert {(shop, good) for _, shop, good in made} <= set(boxes)


def test_a_table_with_rules_of_its_own_says_where_they_are_written(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(engine) as session:
        with pytest.raises(AssertionError, match=r"No row of states .* in VALUES in tests/rows.py"):
            rows.make(session, STATES, {})
        session.rollback()
        monkeypatch.setitem(rows.VALUES, "states.state", lambda _: "open")
        assert rows.make(session, STATES, {}).state == "open"

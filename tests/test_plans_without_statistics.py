"""The plans of prepared statements in a new PostgreSQL database, which has no statistics yet.

They serve until the first statistics are there, and the tables may have grown by then.
"""

import gc
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table

import roster.application  # noqa: F401 (imports all that has statements)
from models import Base
from models.database.connections import connect
from models.database.prepared import Prepared

TABLES: dict[str, Table] = dict(Base.metadata.tables)


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    engine = connect(migrated_url)
    yield engine
    engine.dispose()


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def prepared(connection: Connection) -> Iterator[str]:
    """Yield the prepared statements of the server, not those of other tests."""
    for each in gc.get_objects():
        if isinstance(each, Prepared):
            sql = each._form(connection).sql
            read = set(re.findall(r"\b(?:FROM|INTO|UPDATE|JOIN) (\w+)", sql))
            if read and read <= set(TABLES):
                yield sql


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
def test_a_row_is_found_by_its_unique_key(engine: Engine) -> None:
    """A key that only filters what another index has found means that all of that is read."""
    found, filtered = 0, []
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        statements = set(prepared(connection))
        for sql in statements:
            explained = driver.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}", prepare=False)
            for node in nodes(explained.fetchone()[0][0]["Plan"]):
                table = TABLES.get(node.get("Relation Name", ""))
                if table is None:
                    continue
                keys = [each.name for each in table.columns if each.unique or each.primary_key]
                by_key = re.compile(rf"\b({'|'.join(keys)}) = ")
                found += bool(by_key.search(node.get("Index Cond", "")))
                if by_key.search(node.get("Filter", "")):
                    filtered.append((sql, node.get("Index Name"), node["Filter"]))

    assert filtered == []
    assert found > len(statements) / 2

"""The plans of prepared statements in PostgreSQL, in a new database and in one that is used.

A plan serves for all values, until the statistics change. In a new database there are none, and
the tables may grow before there are.
"""

import gc
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, text, update

import roster.application  # noqa: F401 (imports all that has statements)
from models import Base, Code, Grant
from models.database.base import now
from models.database.connections import connect
from models.database.prepared import Prepared
from models.oauth.secret import digest
from tests.benchmarks import scale_data
from tests.benchmarks.scale_data import BUSY, FIRST, Size
from tests.plans import nodes, overlooked

# Those that the modules have made by now; the lists make theirs later.
PREPARED = [each for each in gc.get_objects() if isinstance(each, Prepared)]
SIZE = Size(users=10_000, teams=500, tokens=20_000)


def texts(connection: Connection) -> Iterator[str]:
    """Yield the prepared statements that read or write tables of the server."""
    for each in PREPARED:
        sql = each._form(connection).sql
        read = set(re.findall(r"\b(?:FROM|INTO|UPDATE|JOIN) (\w+)", sql))
        if read & set(Base.metadata.tables):
            yield sql


def fill(engine: Engine, clients: int) -> None:
    """Add users, grants and tokens, grants of a service, and codes that nobody exchanged.

    The grants and codes are of so many clients, one of them with most of them.
    """
    scale_data.fill(engine, SIZE)
    moment = now()
    grants = [
        {"client_id": FIRST + BUSY, "scope": "", "expires_at": moment + timedelta(seconds=number)}
        for number in range(-4000, 1000)
    ]
    code = {
        "redirect_uri": "",
        "redirect_uri_given": True,
        "code_challenge": "",
        "scope": "",
        "expires_at": moment + timedelta(seconds=60),
    }
    codes = [
        {
            **code,
            "hash": digest(f"unused-{number}"),
            "client_id": FIRST + (BUSY if number % 10 else 0),
            "user_id": FIRST + number % SIZE.users,
        }
        for number in range(2000)
    ]
    with engine.begin() as connection:
        connection.execute(insert(Grant), grants)
        connection.execute(insert(Code), codes)
        for table in (Grant, Code):
            few = FIRST + table.client_id % clients
            connection.execute(update(table).values(client_id=few))
        connection.execute(text("ANALYZE"))


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("clients", [0, 3, 1000], ids=["new", "few clients", "many clients"])
def test_rows_are_found_by_the_index_that_fits(migrated_url: str, clients: int) -> None:
    engine = connect(migrated_url)
    if clients:
        fill(engine, clients)
    found, wrong = 0, []
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        statements = set(texts(connection))
        for sql in statements:
            explained = driver.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}", prepare=False)
            plan = explained.fetchone()[0][0]["Plan"]
            found += any("Index Cond" in node for node in nodes(plan))
            wrong += [(sql, told) for told in overlooked(plan)]
    engine.dispose()

    assert wrong == []
    assert found > len(statements) / 2

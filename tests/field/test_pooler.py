"""Behind PgBouncer, which lends its server sessions: nothing fails, and nothing crosses."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, literal, select, text
from sqlalchemy.exc import OperationalError

from models.database.connections import TimeLimits, begin, connect
from models.database.prepared import Prepared
from tests.field.daemons import pgbouncer
from tests.field.traffic import MakePeople, lost, make_requests
from tests.live import serving

pytestmark = pytest.mark.field

NUMBERS = Prepared(select(literal(1).label("number")))
LIMITED = ("lock", "statement")


def left_behind(uri: str) -> Any:
    """Tell whether a connection leaves prepared statements, and limits, behind in its session."""
    engine = connect(uri, limits=TimeLimits(lock=7, statement=8))
    try:
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            for _ in range(10):  # after some times psycopg too has the server prepare a statement
                assert NUMBERS.all(connection) == [(1,)]
                assert connection.exec_driver_sql("SELECT %s", ("one",)).scalar() == "one"
            [count] = driver.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
            begin(connection, [NUMBERS.question(connection)])
            limits = [driver.execute(f"SHOW {name}_timeout").fetchone() for name in LIMITED]
            assert limits == [("7s",), ("8s",)]
            connection.rollback()
            after = [driver.execute(f"SHOW {name}_timeout").fetchone() for name in LIMITED]
            return count > 0, after == limits
    finally:
        engine.dispose()


def test_a_server_of_ones_own_prepares_statements_and_keeps_limits(uri: str) -> None:
    assert left_behind(uri) == (True, True)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_behind_a_pooler_nothing_is_left_behind_in_a_session(uri: str, mode: str) -> None:
    with pgbouncer(uri, mode=mode, pool=1) as url:
        assert left_behind(url) == (False, False)


def test_the_setting_goes_before_what_a_connection_finds_out(uri: str) -> None:
    for prepares in (True, False):
        engine = connect(uri, prepares=prepares)
        with engine.connect() as connection:
            NUMBERS.all(connection)
            asked = text("SELECT count(*) > 0 FROM pg_prepared_statements")
            assert connection.scalar(asked) is prepares
        engine.dispose()


def test_a_pooler_for_single_statements_is_refused(uri: str) -> None:
    with pgbouncer(uri, mode="statement", pool=1) as url:
        engine = connect(url)
        with pytest.raises(OperationalError, match="statement pooling mode"):
            engine.connect()
        engine.dispose()


def test_one_that_waits_too_long_for_the_pooler_is_told_so(uri: str) -> None:
    with pgbouncer(uri, mode="transaction", pool=1) as url:
        engine = connect(url, limits=TimeLimits(statement=1))
        with engine.connect() as one, engine.connect() as other:
            begin(one)
            with pytest.raises(OperationalError):
                other.scalar(select(func.now()))
            one.rollback()
        with engine.connect() as other:
            assert other.scalar(select(literal(1))) == 1
        engine.dispose()


@pytest.mark.parametrize(("pool", "requests"), [(2, 10_000), (20, 2_000)])
def test_all_requests_through_a_pooler_are_answered_right(
    uri: str, tmp_path: Path, pool: int, requests: int, people: MakePeople
) -> None:
    with (
        pgbouncer(uri, mode="transaction", pool=pool) as url,
        serving(tmp_path, DATABASE_URL=url, WORKERS="2") as server,
    ):
        crowd = people(server, uri, 16)
        answers = make_requests(crowd, requests)
        assert [wrong for each in crowd for wrong in each.wrong] == []
        assert {*answers} == {200, 201, 204, 404, 409}
        assert lost(crowd, uri) == {}

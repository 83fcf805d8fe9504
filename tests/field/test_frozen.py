"""A database that neither answers nor hangs up: who waits is told so, and all others go on."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError

from models.database.connections import TimeLimits, begin, connect
from models.database.prepared import Prepared
from tests.field.daemons import Proxy, proxy, socket_of
from tests.field.traffic import UNEXPECTED, MakePeople, lost, make_requests
from tests.live import PATIENCE_SECONDS, LiveServer, serving

pytestmark = pytest.mark.field

LIMITS = {
    "ROSTER_LIMIT_MEMBERS_ADDED": "100000",
    "ROSTER_QUOTA_TEAMS": "100000",
    "ROSTER_DATABASE_CONNECT_SECONDS": "2",
    "ROSTER_DATABASE_STATEMENT_SECONDS": "2",
    "ROSTER_DATABASE_LOCK_SECONDS": "2",
}
IMMEDIATE = (
    "/healthz",
    "/api/v1/openapi.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    "/auth/style.css",
)


@contextmanager
def behind(folder: Path, uri: str) -> Iterator[tuple[Proxy, str]]:
    """Put a proxy in front of a database; yield it, and its URL."""
    with proxy(folder, socket_of(uri)) as between:
        name = uri.partition("?")[0].rpartition("/")[2]
        yield between, f"postgresql://postgres@127.0.0.1:{between.port}/{name}"


@contextmanager
def frozen(between: Proxy) -> Iterator[None]:
    """Freeze a proxy for the time of the block."""
    between.freeze()
    try:
        yield
    finally:
        between.thaw()


@pytest.fixture
def limited(tmp_path: Path, uri: str) -> Iterator[tuple[Proxy, Engine]]:
    with behind(tmp_path, uri) as (between, url):
        engine = connect(url, limits=TimeLimits(connect=2, statement=1))
        yield between, engine
        engine.dispose()


NOW = Prepared(select(func.now().label("now")))


WAYS: dict[str, Any] = {
    "prepared": NOW.all,
    "at the begin": lambda connection: begin(connection, [NOW.question(connection)]),
    "by psycopg": lambda connection: connection.execute(text("SELECT 1")),
    "write": lambda connection: connection.execute(text("CREATE TABLE things (id INTEGER)")),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("is_known", [True, False])
def test_no_round_trip_is_waited_for_without_end(
    limited: tuple[Proxy, Engine], way: str, is_known: bool
) -> None:
    between, engine = limited
    ask = WAYS[way]
    with engine.connect() as connection:
        if is_known:
            ask(connection)
            connection.rollback()
        with frozen(between), pytest.raises(OperationalError):
            ask(connection)
        assert connection.invalidated
    with engine.connect() as connection:
        ask(connection)
        connection.rollback()


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_no_end_of_a_transaction_is_waited_for_without_end(
    limited: tuple[Proxy, Engine], end: str
) -> None:
    between, engine = limited
    with engine.connect() as connection:
        begin(connection)
        with frozen(between), pytest.raises(OperationalError):
            getattr(connection, end)()
    with engine.connect() as connection:
        assert NOW.all(connection)


def test_a_connection_that_is_not_made_is_not_waited_for_by_everybody(
    limited: tuple[Proxy, Engine],
) -> None:
    between, engine = limited
    with frozen(between):
        with pytest.raises(OperationalError, match="timeout"):
            engine.connect()
        with ThreadPoolExecutor(8) as pool:
            tries = [pool.submit(engine.connect) for _ in range(8)]
            errors = [each.exception() for each in tries]
        reasons = Counter("timeout" in str(error) for error in errors)
        assert all(isinstance(error, OperationalError) for error in errors)
        assert reasons[False] >= 6
    with engine.connect() as connection:
        assert NOW.all(connection)


def test_a_server_that_takes_its_time_is_not_hung_up_on_without_a_limit(
    tmp_path: Path, uri: str
) -> None:
    with behind(tmp_path, uri) as (between, url):
        engine = connect(url)
        with engine.connect() as connection:
            waiting = threading.Thread(target=NOW.all, args=(connection,))
            between.freeze()
            waiting.start()
            waiting.join(7)
            assert waiting.is_alive()
            between.thaw()
            waiting.join(PATIENCE_SECONDS)
            assert NOW.all(connection)
        engine.dispose()


@pytest.fixture
def served(tmp_path: Path, uri: str) -> Iterator[tuple[Proxy, LiveServer]]:
    with (
        behind(tmp_path, uri) as (between, url),
        serving(tmp_path, fault=UNEXPECTED, DATABASE_URL=url, **LIMITS) as server,
    ):
        yield between, server


def ask(server: LiveServer, path: str, **options: Any) -> Any:
    answer = server.client.get(path, **options)
    return answer.status_code, answer.headers.get("Retry-After")


def test_a_frozen_database_stops_only_what_needs_it(
    served: tuple[Proxy, LiveServer], uri: str, people: MakePeople
) -> None:
    between, server = served
    crowd = people(server, uri, 20)
    make_requests(crowd, 200)
    with frozen(between), ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(each.me) for each in crowd]
        ready = pool.submit(ask, server, "/readyz")
        time.sleep(1)
        for path in IMMEDIATE:
            # So much time is no measure of speed, but less than any limit that is set here.
            assert ask(server, path, timeout=1.5) == (200, None)
        assert not any(each.done() for each in waiting)
        for each in waiting:
            each.result(PATIENCE_SECONDS)
        assert ready.result(PATIENCE_SECONDS) == (503, "5")
    assert [each.answers[503] for each in crowd] == [1] * 20
    assert [each.wrong for each in crowd if each.wrong] == []
    before = sum((each.answers for each in crowd), Counter())
    assert ask(server, "/readyz") == (200, None)
    make_requests(crowd, 600)
    after = sum((each.answers for each in crowd), Counter())
    assert (after - before).keys() == {200, 201, 204, 409}
    assert lost(crowd, uri) == {}


def test_no_acknowledged_write_is_lost_in_a_freeze(
    served: tuple[Proxy, LiveServer], uri: str, people: MakePeople
) -> None:
    between, server = served
    crowd = people(server, uri, 8)
    with ThreadPoolExecutor(1) as pool:
        requests = pool.submit(make_requests, crowd, 10_000)
        for _ in range(2):
            time.sleep(2)
            with frozen(between):
                time.sleep(7)
        answers = requests.result()
    assert answers[503] > 0
    assert [each.wrong for each in crowd if each.wrong] == []
    assert {*answers} <= {200, 201, 204, 404, 409, 503}
    assert lost(crowd, uri) == {}
    assert ask(server, "/readyz") == (200, None)


def test_each_key_creates_one_team_however_often_it_is_sent_in_a_freeze(
    served: tuple[Proxy, LiveServer], uri: str
) -> None:
    between, server = served
    caller = server.bearer("root", "q")
    deadline = time.monotonic() + 120  # a key whose claim was lost is free after a minute

    def create(number: int) -> Counter[int]:
        found: Counter[int] = Counter()
        header = {**caller, "Idempotency-Key": f"key-{number}"}
        while not found[201]:
            assert time.monotonic() < deadline
            body = {"title": f"Team {number}"}
            answer = server.client.post("/api/v1/teams", json=body, headers=header, timeout=30)
            found[answer.status_code] += 1
            time.sleep(0 if answer.status_code == 201 else 0.2)
        return found

    with ThreadPoolExecutor(9) as pool:
        under_way = pool.map(create, range(2500))
        for _ in range(2):
            time.sleep(0.5)
            with frozen(between):
                time.sleep(7)
        answers = sum(under_way, Counter[int]())

    assert answers[503] > 0
    assert {*answers} <= {201, 409, 503}
    with psycopg.connect(uri) as connection:
        created = connection.execute("SELECT title FROM teams").fetchall()
    assert sorted(created) == sorted((f"Team {number}",) for number in range(2500))

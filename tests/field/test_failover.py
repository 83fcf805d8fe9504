"""A standby takes its primary's place: the server follows it without a restart."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.field.daemons import Proxy, proxy
from tests.field.pair import Database, pair
from tests.field.traffic import UNEXPECTED, MakePeople, Somebody, lost, make_requests
from tests.live import LiveServer, serving

pytestmark = pytest.mark.field

# How long it may take until requests succeed that are made after the new primary can be reached.
SOON_SECONDS = 5


@pytest.fixture
def databases() -> Iterator[tuple[Database, Database]]:
    with pair() as made:
        yield made


@pytest.fixture
def served(
    databases: tuple[Database, Database], tmp_path: Path
) -> Iterator[tuple[Proxy, LiveServer]]:
    primary, _ = databases
    with proxy(tmp_path, str(primary.port)) as between:
        url = f"postgresql://postgres@127.0.0.1:{between.port}/roster"
        settings = {"DATABASE_URL": url, "ROSTER_LIMIT_MEMBERS_ADDED": "100000"}
        with serving(tmp_path, fault=UNEXPECTED, **settings) as server:
            yield between, server


def wait_until_followed(primary: Database, standby: Database) -> None:
    with psycopg.connect(primary.url("postgres")) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn()").fetchone()
    with psycopg.connect(standby.url("postgres"), autocommit=True) as connection:
        asked = "SELECT pg_last_wal_replay_lsn() >= %s"
        while connection.execute(asked, row).fetchone() != (True,):
            time.sleep(0.05)


def status_of(server: LiveServer) -> int:
    return int(server.client.get("/readyz").status_code)


def warm_up(people: MakePeople, server: LiveServer, url: str) -> list[Somebody]:
    """Make requests at once, so that there are idle connections to the primary."""
    crowd = people(server, url, 8)
    make_requests(crowd, 240)
    assert [wrong for each in crowd for wrong in each.wrong] == []
    return crowd


def test_a_server_that_only_reads_is_no_place_to_write(
    databases: tuple[Database, Database],
    served: tuple[Proxy, LiveServer],
    people: MakePeople,
) -> None:
    primary, _ = databases
    _, server = served
    [somebody, *_] = warm_up(people, server, primary.url())
    primary.allow_writes(False)
    assert [somebody.create() for _ in range(3)] == [503] * 3
    assert somebody.login() == 503
    assert status_of(server) == 503
    somebody.me()  # what only reads goes on
    assert somebody.answers[503] == 4
    primary.allow_writes(True)
    assert somebody.create() == 201
    assert somebody.login() == 200
    assert status_of(server) == 200
    assert somebody.wrong == []


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_commit_that_no_standby_confirms_is_not_acknowledged(
    databases: tuple[Database, Database], tmp_path: Path, people: MakePeople, is_cancelled: bool
) -> None:
    primary, _ = databases
    cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    settings = {"DATABASE_URL": primary.url(), "ROSTER_DATABASE_STATEMENT_SECONDS": "1"}
    with serving(tmp_path, fault=UNEXPECTED, **settings) as server:
        [somebody, *_] = warm_up(people, server, primary.url())
        primary.set("synchronous_standby_names", "nobody")
        with ThreadPoolExecutor(1) as pool:
            answers = pool.submit(lambda: [somebody.create(), somebody.login()])
            while not answers.done():
                time.sleep(0.1)
                if is_cancelled:
                    primary.execute(cancel)
        assert answers.result() == [503, 503]
        somebody.me()
        primary.set("synchronous_standby_names", "")
        assert [somebody.create(), somebody.login()] == [201, 200]
    assert somebody.answers[503] == 2
    assert somebody.wrong == []


@pytest.mark.parametrize("lives_on", [True, False])
def test_requests_follow_a_promoted_standby(
    databases: tuple[Database, Database],
    served: tuple[Proxy, LiveServer],
    people: MakePeople,
    lives_on: bool,
) -> None:
    primary, standby = databases
    between, server = served
    crowd = warm_up(people, server, primary.url())
    with ThreadPoolExecutor(1) as pool:
        requests = pool.submit(make_requests, crowd[2:], 10_000)
        time.sleep(1)
        # What is acknowledged is at the standby: nobody writes any more where it takes over.
        if lives_on:
            primary.allow_writes(False)
            ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            primary.execute(f"{ends} WHERE datname = 'roster' AND xact_start IS NOT NULL")
            time.sleep(0.5)
            wait_until_followed(primary, standby)
        else:
            primary.stop()
        assert status_of(server) == 503
        standby.promote()
        between.lead_to(str(standby.port))
        time.sleep(SOON_SECONDS)
        before = sum((each.answers for each in crowd[:2]), Counter())
        assert status_of(server) == 200
        after = make_requests(crowd[:2], 100)
        requests.result()
    assert [wrong for each in crowd for wrong in each.wrong] == []
    assert (after - before).keys() <= {200, 201, 204, 404, 409}
    assert (after - before)[201] > 0
    assert lost(crowd, standby.url()) == {}


def test_the_writable_one_of_several_hosts_is_found(
    databases: tuple[Database, Database], tmp_path: Path, people: MakePeople
) -> None:
    primary, standby = databases
    ports = f"{standby.port},{primary.port}"
    url = (
        "postgresql://postgres@/roster?host=127.0.0.1,127.0.0.1"
        f"&port={ports}&target_session_attrs=read-write"
    )
    with serving(tmp_path, fault=UNEXPECTED, DATABASE_URL=url) as server:
        crowd = warm_up(people, server, primary.url())
        wait_until_followed(primary, standby)
        primary.allow_writes(False)
        standby.promote()
        deadline = time.monotonic() + SOON_SECONDS
        while crowd[0].create() != 201:
            assert time.monotonic() < deadline
        assert status_of(server) == 200
        assert crowd[0].wrong == []

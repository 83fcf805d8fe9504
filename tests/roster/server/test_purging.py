import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from models import Token
from models.database.base import now
from models.database.connections import PURGE_LOCK, connect, session_factory, try_begin_alone
from models.oauth.token import ACCESS
from roster import settings
from roster.application import create_app
from roster.observability.metrics import Metrics
from roster.purges import purges_of
from roster.server.purging import Purging
from tests.live import PATIENCE_SECONDS
from tests.models.factories import make_client, make_grant, make_token

PAST = timedelta(minutes=-2)
MANY = 250  # more than two batches


@pytest.fixture
def sessions(migrated_url: str) -> Iterator[sessionmaker[Session]]:
    engine = connect(migrated_url)
    yield session_factory(engine)
    engine.dispose()


def add_dead_tokens(sessions: sessionmaker[Session], number: int = MANY) -> None:
    with sessions() as session:
        grant = make_grant(session, make_client(session)[0])
        for _ in range(number):
            make_token(session, grant, ACCESS, expires_at=now() + PAST)
        session.commit()


def dead_tokens(sessions: sessionmaker[Session]) -> int:
    with sessions() as session:
        dead = Token.expires_at < now()
        return session.scalar(select(func.count(Token.id)).where(dead)) or 0


def purging(sessions: sessionmaker[Session], metrics: Metrics, **options: Any) -> Purging:
    purges = options.pop("purges", purges_of(settings.load()))
    return Purging(sessions, purges, metrics, options.pop("hours", 1), **options)


def figure(metrics: Metrics, name: str) -> float:
    [line] = [each for each in metrics.exposition().decode().splitlines() if each.startswith(name)]
    return float(line.split()[-1])


LAST = "roster_purge_last_success_timestamp_seconds "
ROWS = 'roster_purged_rows_total{kind="oauth"}'


def test_a_run_deletes_all_that_has_expired_and_counts_it(
    sessions: sessionmaker[Session],
) -> None:
    add_dead_tokens(sessions)
    metrics = Metrics()

    assert purging(sessions, metrics).run()

    assert dead_tokens(sessions) == 0
    assert figure(metrics, ROWS) >= MANY


def test_one_worker_purges_at_a_time(migrated_url: str, sessions: sessionmaker[Session]) -> None:
    if migrated_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time.")
    add_dead_tokens(sessions)
    metrics = Metrics()
    with sessions() as other:
        assert try_begin_alone(other.connection(), PURGE_LOCK)
        assert not purging(sessions, metrics).run()
        assert dead_tokens(sessions) == MANY
        other.rollback()
        # The lock has ended with its transaction.
        assert purging(sessions, metrics).run()
    assert dead_tokens(sessions) == 0


def test_the_lock_ends_with_each_batch(sessions: sessionmaker[Session]) -> None:
    waits: list[bool] = []

    def purge(session: Session, _batch: int) -> Iterator[int]:
        for _ in range(3):
            with sessions() as other:
                if other.connection().dialect.name == "postgresql":
                    waits.append(not try_begin_alone(other.connection(), PURGE_LOCK))
            yield 1

    class Watched(Metrics):
        def purged(self, kind: str, rows: int) -> None:
            with sessions() as other:
                waits.append(try_begin_alone(other.connection(), PURGE_LOCK))

    assert purging(sessions, Watched(), purges={"of the test": purge}).run()
    assert all(waits)
    assert len(waits) >= 3


def test_several_workers_share_the_work_and_lose_none_of_it(
    sessions: sessionmaker[Session],
) -> None:
    add_dead_tokens(sessions)
    ends: list[bool] = []
    workers = [
        threading.Thread(target=lambda: ends.append(purging(sessions, Metrics()).run()))
        for _ in range(4)
    ]
    for each in workers:
        each.start()
    for each in workers:
        each.join(PATIENCE_SECONDS)

    assert any(ends)
    assert dead_tokens(sessions) == 0


def wait_until(is_so: Callable[[], bool]) -> None:
    ticking = Event()
    for _ in range(PATIENCE_SECONDS * 4):
        if is_so():
            return
        ticking.wait(0.05)
    raise AssertionError("It does not come.")


def test_the_thread_purges_and_notes_when(sessions: sessionmaker[Session]) -> None:
    add_dead_tokens(sessions, 3)
    metrics = Metrics()
    working = purging(sessions, metrics, first=0)

    working.start()
    wait_until(lambda: figure(metrics, LAST) > 0)
    working.close()

    assert dead_tokens(sessions) == 0


def test_what_is_live_is_counted_after_a_purge(sessions: sessionmaker[Session]) -> None:
    add_dead_tokens(sessions, 3)
    with sessions() as session:
        grant = make_grant(session, make_client(session)[0])
        for _ in range(2):
            make_token(session, grant, ACCESS)
        session.commit()
        live = session.scalar(select(func.count(Token.id)).where(Token.expires_at > now()))
    metrics = Metrics()
    working = purging(sessions, metrics, first=0)

    working.start()
    wait_until(lambda: 'roster_live{kind="sessions"}' in metrics.exposition().decode())
    working.close()

    assert figure(metrics, 'roster_live{kind="access_tokens"}') == live
    assert figure(metrics, 'roster_live{kind="refresh_tokens"}') == 0
    assert figure(metrics, "roster_purge_duration_seconds") > 0


def test_without_hours_there_is_no_thread(sessions: sessionmaker[Session]) -> None:
    working = purging(sessions, Metrics(), hours=0, first=0)
    working.start()
    assert "roster-purging" not in {each.name for each in threading.enumerate()}
    working.close()


def test_the_end_waits_for_the_batch_under_way_and_for_no_other(
    sessions: sessionmaker[Session],
) -> None:
    begun, go_on, batches = Event(), Event(), []

    def purge(_session: Session, _batch: int) -> Iterator[int]:
        while True:
            begun.set()
            go_on.wait(PATIENCE_SECONDS)
            batches.append(1)
            yield 1

    working = purging(sessions, Metrics(), purges={"endless": purge}, first=0)
    working.start()
    assert begun.wait(PATIENCE_SECONDS)
    closing = threading.Thread(target=working.close)
    closing.start()
    wait_until(working._stop.is_set)
    go_on.set()
    closing.join(PATIENCE_SECONDS)

    assert batches == [1]


@pytest.mark.parametrize("fails", ["unreachable", "broken"])
def test_a_failure_that_goes_on_is_one_line_and_the_purge_succeeds_afterwards(
    sessions: sessionmaker[Session],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fails: str,
) -> None:
    monkeypatch.setattr("roster.server.purging._AGAIN", 0.01)
    nowhere = connect("postgresql://roster:canary@127.0.0.1:1/roster", pool_size=1)
    tries = []

    def purge(session: Session, _batch: int) -> Iterator[int]:
        tries.append(1)
        if len(tries) < 4:
            with nowhere.connect() as connection:
                connection.execute(text("SELECT 1"))
        yield from ()

    def broken(session: Session, _batch: int) -> Iterator[int]:
        tries.append(1)
        if len(tries) < 4:
            raise ZeroDivisionError
        yield from ()

    metrics = Metrics()
    chosen = purge if fails == "unreachable" else broken
    working = purging(sessions, metrics, purges={"of the test": chosen}, first=0)
    with caplog.at_level(logging.WARNING, "roster.server.purging"):
        working.start()
        wait_until(lambda: figure(metrics, LAST) > 0)
        working.close()

    assert len(tries) >= 4
    assert len(caplog.records) == 1
    assert "canary" not in caplog.text
    assert ("Traceback" in caplog.text) == (fails == "broken")


def test_the_server_purges_while_it_lives(
    migrated_url: str, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_dead_tokens(sessions, 3)
    monkeypatch.setattr("roster.server.purging._FIRST_AT_LEAST", 0)
    monkeypatch.setattr("roster.server.purging._FIRST_WITHIN", 1)
    app = create_app(settings.load(database_url=migrated_url, purge_hours=1))

    with TestClient(app, base_url=app.settings.origin):
        wait_until(lambda: dead_tokens(sessions) == 0)

    assert "roster-purging" not in {each.name for each in threading.enumerate()}


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_host_whose_clock_is_wrong_deletes_nothing(
    sessions: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    hours: int,
) -> None:
    with sessions() as session:
        if session.get_bind().dialect.name == "sqlite":
            pytest.skip("SQLite has the clock of its host.")
    add_dead_tokens(sessions, 3)
    monkeypatch.setattr("models.database.clock.now", lambda: now() + timedelta(hours=hours))

    assert not purging(sessions, Metrics()).run()

    assert dead_tokens(sessions) == 3
    assert "clock of this host" in caplog.text
    monkeypatch.undo()
    assert purging(sessions, Metrics()).run()
    assert dead_tokens(sessions) == 0

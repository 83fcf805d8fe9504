"""The windows in a Redis count what all workers let pass, and wait for no Redis that is silent."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock

import pytest
from limits.errors import StorageError

from roster import settings
from roster.contract import loader
from roster.http.errors import HTTPError
from roster.oauth.rate_limits import AddressAttempts, Limits
from roster.rates.policies import WINDOW_SECONDS, Policy
from roster.rates.rates import Rates, SharedUsage
from roster.rates.shared import SharedWindows, SilentError
from tests.redis_server import frozen

HERE, THERE = "192.0.2.1", "192.0.2.2"
DEFINITION = loader.load("development")


ADDRESS, TOKEN = Policy(b"address", 10), Policy(b"token", 3)


@pytest.fixture
def shared(redis_url: str) -> Iterator[SharedWindows]:
    made = SharedWindows(redis_url)
    yield made
    made.close()


def test_parties_are_counted_apart_and_in_one_question(shared: SharedWindows) -> None:
    for number in range(1, 4):
        standings = shared.hit([(ADDRESS, HERE), (TOKEN, "1")])
        assert [sent for _, sent, _ in standings] == [number, number]
        assert all(WINDOW_SECONDS - 5 < left <= WINDOW_SECONDS for _, _, left in standings)

    [(_, sent, _), (_, with_token, _)] = shared.hit([(ADDRESS, HERE), (TOKEN, "2")])
    assert (sent, with_token) == (4, 1)
    [(_, sent, _)] = shared.hit([(ADDRESS, THERE)])
    assert sent == 1


def test_what_the_address_may_not_is_not_counted_for_the_token(shared: SharedWindows) -> None:
    for _ in range(10):
        shared.hit([(ADDRESS, HERE)])

    [(_, sent, _)] = shared.hit([(ADDRESS, HERE), (TOKEN, "1")])

    assert sent == 11
    [_, (_, with_token, _)] = shared.hit([(ADDRESS, THERE), (TOKEN, "1")])
    assert with_token == 1


def test_two_workers_in_parallel_let_no_more_pass_than_one(redis_url: str) -> None:
    workers = [SharedWindows(redis_url), SharedWindows(redis_url)]

    def passes(number: int) -> bool:
        [(_, sent, _)] = workers[number % 2].hit([(Policy(b"address", 50), HERE)])
        return sent <= 50

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(passes, range(200))) == 50
    for each in workers:
        each.close()


def test_a_clock_that_was_set_back_locks_nobody_out(shared: SharedWindows) -> None:
    for _ in range(20):
        shared.hit([(ADDRESS, HERE)])
    # So much later do the ends of windows lie after it.
    [key] = shared._client.scan_iter()
    shared._client.pexpire(key, 5 * 3600 * 1000)

    [(_, sent, left)] = shared.hit([(ADDRESS, HERE)])

    assert sent == 1
    assert left <= WINDOW_SECONDS


def test_a_window_without_an_end_begins_anew(shared: SharedWindows) -> None:
    shared.hit([(ADDRESS, HERE)])
    [key] = shared._client.scan_iter()
    shared._client.set(key, 1000)

    [(_, sent, _)] = shared.hit([(ADDRESS, HERE)])

    assert sent == 1
    assert shared._client.pttl(key) > 0


def test_a_frozen_redis_is_asked_by_one_thread_in_a_while(
    shared: SharedWindows,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shared.hit([(ADDRESS, HERE)])
    ask = Mock(side_effect=shared._count)
    monkeypatch.setattr(shared, "_count", ask)
    with frozen(redis_url):
        for _ in range(100):
            with pytest.raises(SilentError):
                shared.hit([(ADDRESS, HERE)])
        assert ask.call_count < 5
        assert [each.levelno for each in caplog.records] == [logging.ERROR]
    # It may have counted what it could not answer.
    while len(caplog.records) < 2:
        time.sleep(0.1)
        try:
            [(_, sent, _)] = shared.hit([(ADDRESS, HERE)])
        except SilentError:
            continue
        assert sent > 1


def test_a_redis_that_is_gone_is_no_reason_to_wait(redis_url: str) -> None:
    shared = SharedWindows(redis_url + "-elsewhere")

    for _ in range(1000):
        with pytest.raises(SilentError):
            shared.hit([(ADDRESS, HERE)])


def test_a_connection_that_was_lost_is_made_anew(shared: SharedWindows) -> None:
    shared.hit([(ADDRESS, HERE)])
    shared._client.client_kill_filter(_type="normal", skipme=True)

    [(_, sent, _)] = shared.hit([(ADDRESS, HERE)])

    assert sent >= 2


def make(url: str, **chosen: Any) -> Rates:
    return Rates(settings.load(limits_url=url, **chosen), DEFINITION)


def usage(rates: Rates, address: str = HERE) -> SharedUsage:
    assert rates.shared
    return SharedUsage(rates, rates.shared, address, has_token=False)


def test_without_a_redis_requests_pass_or_not_as_the_operator_says(redis_url: str) -> None:
    gone = redis_url + "-elsewhere"
    passing = usage(make(gone))
    passing.begin()
    assert not passing.headers

    with pytest.raises(HTTPError) as error:
        usage(make(gone, rate_without_redis="closed")).begin()

    assert error.value.status == 503
    assert error.value.headers["Retry-After"]


def test_a_login_is_refused_without_a_redis_and_does_not_wait_for_a_frozen_one(
    redis_url: str,
) -> None:
    limits = Limits(settings.load(limits_url=redis_url))
    attempts = AddressAttempts(limits, HERE)
    with frozen(redis_url), pytest.raises(StorageError):
        attempts.count("login", "ada")


def test_an_address_that_was_refused_is_refused_without_a_question(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = make(redis_url, rate_per_address=1)
    for is_refused in (False, True):
        some = usage(rates)
        some.enter()
        if is_refused:
            with pytest.raises(HTTPError):
                some.begin()
        else:
            some.begin()

    again = usage(rates)
    with pytest.raises(HTTPError) as error:
        again.enter()
    assert error.value.status == 429
    assert not again.is_open
    assert dict(again.headers)[b"ratelimit"].startswith(b'"address";r=0;t=')
    usage(rates, THERE).enter()
    # It is over with the window.
    later = time.monotonic() + WINDOW_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    usage(rates).enter()
    rates.close()


def test_a_request_is_counted_once(redis_url: str) -> None:
    rates = make(redis_url)
    some = usage(rates)
    for _ in range(3):
        some.begin()
        some.count(None)

    assert b";r=59999;" in dict(some.headers)[b"ratelimit"]
    rates.close()

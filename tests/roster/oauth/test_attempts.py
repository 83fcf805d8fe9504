"""The memory of attempts counts as the storages of `limits` do, forgets, and costs little."""

import threading
import time
from array import array
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from limits import RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter

from roster.oauth.attempts import Attempts
from tests.clock import Clock

BEGIN = 1_800_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(BEGIN)
    monkeypatch.setattr(time, "time", clock)
    return clock


class Model:
    """What a moving window is: every attempt is written down, and looked through each time."""

    def __init__(self) -> None:
        self.written: defaultdict[str, list[float]] = defaultdict(list)

    def counted(self, key: str, expiry: int, now: float) -> list[float]:
        return [moment for moment in self.written[key] if moment >= now - expiry]

    def acquire(self, key: str, limit: int, expiry: int, now: float) -> bool:
        if len(self.counted(key, expiry, now)) >= limit:
            return False
        self.written[key].append(now)
        return True


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "acquire", "acquire", "look", "clear"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([(1, 10), (3, 10), (4, 7)]),
        st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0, 7.0, 10.0, 11.0]),
    ),
    max_size=60,
)


@given(steps=STEPS)
@hypothesis_settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300
)
def test_windows_are_counted_as_if_every_attempt_were_written_down(steps: Any) -> None:
    attempts, model, clock = Attempts(), Model(), Clock(BEGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", clock)
        for step, name, (limit, expiry), later in steps:
            clock.now += later
            key = f"{name}/{limit}/{expiry}"
            if step == "acquire":
                expected = model.acquire(key, limit, expiry, clock.now)
                assert attempts.acquire_entry(key, limit, expiry) is expected
            elif step == "clear":
                attempts.clear(key)
                model.written.pop(key, None)
            counted = model.counted(key, expiry, clock.now)
            begins = counted[0] if counted else clock.now
            assert attempts.get_moving_window(key, limit, expiry) == (begins, len(counted))


def test_several_attempts_at_once_are_let_pass_together_or_not_at_all(clock: Clock) -> None:
    attempts = Attempts()

    assert not attempts.acquire_entry("key", 5, 60, amount=6)
    assert attempts.acquire_entry("key", 5, 60, amount=3)
    assert not attempts.acquire_entry("key", 5, 60, amount=3)
    assert attempts.acquire_entry("key", 5, 60, amount=2)
    assert attempts.get_moving_window("key", 5, 60) == (BEGIN, 5)


def test_a_key_that_is_tried_for_ever_takes_no_more_room_than_its_limit(clock: Clock) -> None:
    attempts = Attempts()
    for _ in range(1000):
        clock.now += 10
        attempts.acquire_entry("key", 5, 60)

    assert len(attempts._windows[60]["key"]) <= 10


MANY = 300_000


@pytest.fixture
def many(clock: Clock) -> Attempts:
    attempts = Attempts()
    for number in range(MANY):
        clock.now += 0.001
        assert attempts.acquire_entry(f"key {number}", 10, 900)
    return attempts


def test_after_the_window_no_key_is_left(many: Attempts, clock: Clock) -> None:
    assert len(many) == MANY
    clock.now += 901

    needed = 0
    while len(many) > 1:
        needed += 1
        assert needed <= MANY / 100 + 1, "Too little is forgotten at each attempt."
        many.acquire_entry("another", 10, 60)

    assert many.get_moving_window("key 7", 10, 900) == (clock.now, 0)


def test_what_is_over_makes_room_while_attempts_go_on(clock: Clock) -> None:
    attempts = Attempts()
    most = 0
    for number in range(5000):
        clock.now += 1
        attempts.acquire_entry(f"key {number}", 10, 60)
        most = max(most, len(attempts))

    assert most <= 62


class Counting(OrderedDict[str, "array[float]"]):
    """Keys that count how many of them are looked at."""

    looks = 0

    def __getitem__(self, key: str) -> "array[float]":
        type(self).looks += 1
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        type(self).looks += 1
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        for key in super().__iter__():
            type(self).looks += 1
            yield key


def looks_of_one_attempt(attempts: Attempts) -> int:
    Counting.looks = 0
    attempts.acquire_entry("another", 10, 900)
    attempts.get_moving_window("another", 10, 900)
    attempts.clear("another")
    return Counting.looks


def test_an_attempt_looks_at_as_many_keys_among_many_as_among_few(
    many: Attempts, clock: Clock
) -> None:
    few = Attempts()
    for number in range(10):
        few.acquire_entry(f"key {number}", 10, 900)
    for attempts in (few, many):
        attempts._windows[900] = Counting(attempts._windows[900])

    assert looks_of_one_attempt(few) == looks_of_one_attempt(many) <= 5


def test_there_is_a_greatest_number_of_keys_and_the_oldest_go(clock: Clock) -> None:
    attempts = Attempts(max_keys=3)
    for key in ("known", "a", "b", "c", "a", "d"):
        clock.now += 1
        attempts.acquire_entry(key, 10, 3600 if key == "known" else 60)

    counts = {key: attempts.get_moving_window(key, 10, 60)[1] for key in ("a", "b", "c", "d")}
    assert counts == {"a": 2, "b": 0, "c": 1, "d": 1}
    # Short windows do not drive out what is to be kept for long.
    assert attempts.get_moving_window("known", 10, 3600)[1] == 1


def test_threads_get_no_more_together_than_one_would() -> None:
    limiter = MovingWindowRateLimiter(Attempts())
    item = RateLimitItemPerSecond(50, 900)
    begin = threading.Barrier(8)
    passed: list[bool] = []

    def work() -> None:
        begin.wait()
        passed.extend(limiter.hit(item, "key") for _ in range(100))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(passed), sum(passed)) == (800, 50)


def test_no_thread_is_started() -> None:
    before = threading.active_count()
    attempts = Attempts()
    attempts.acquire_entry("key", 10, 900)

    assert threading.active_count() == before
    assert attempts.check()


def test_all_is_forgotten_when_asked() -> None:
    attempts = Attempts()
    attempts.acquire_entry("key", 1, 900)

    assert attempts.reset() == 1
    assert len(attempts) == 0
    assert attempts.acquire_entry("key", 1, 900)


def test_windows_that_do_not_move_are_refused() -> None:
    storage: Storage = Attempts()

    with pytest.raises(NotImplementedError):
        storage.incr("key", 1)
    with pytest.raises(NotImplementedError):
        storage.get("key")
    with pytest.raises(NotImplementedError):
        storage.get_expiry("key")

"""The windows in memory count exactly, forget, and do not follow a clock that is set."""

import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from roster.rates.windows import Windows
from tests.clock import Clock

BEGIN = 1000.0
SECONDS = 60


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(BEGIN)
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.0, 0.5, 20.0, 60.0, 61.0])),
    max_size=60,
)


@given(steps=STEPS)
@hypothesis_settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200
)
def test_windows_are_counted_as_if_every_event_were_written_down(steps: Any) -> None:
    windows, clock = Windows(SECONDS), Clock(BEGIN)
    written: defaultdict[str, list[float]] = defaultdict(list)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", clock)
        for key, later in steps:
            clock.now += later
            # A window begins with the first event after the end of the last one.
            if written[key] and clock.now >= written[key][0] + SECONDS:
                written[key].clear()
            written[key].append(clock.now)
            left = written[key][0] + SECONDS - clock.now
            assert windows.hit(key) == (len(written[key]), left)


def test_parallel_events_are_each_counted_once() -> None:
    windows = Windows(SECONDS)

    with ThreadPoolExecutor(8) as pool:
        counts = [*pool.map(lambda _: windows.hit("key")[0], range(4000))]

    assert sorted(counts) == [*range(1, 4001)]


@pytest.mark.parametrize("hours", [-48, 48])
def test_a_clock_that_is_set_changes_nothing(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    windows = Windows(SECONDS)
    windows.hit("key")
    moved = time.time() + hours * 3600
    monkeypatch.setattr(time, "time", lambda: moved)

    count, left = windows.hit("key")

    assert count == 2
    assert 0 < left <= SECONDS


MANY = 300_000


def test_no_more_windows_are_kept_than_there_is_room_for(clock: Clock) -> None:
    windows = Windows(SECONDS, max_keys=MANY)
    for number in range(MANY + 1000):
        windows.hit(number)

    assert len(windows) == MANY
    assert windows.hit(MANY + 999)[0] == 2
    assert windows.hit(0)[0] == 1


def test_windows_that_have_ended_are_forgotten_with_the_next_ones(clock: Clock) -> None:
    windows = Windows(SECONDS)
    for number in range(1000):
        windows.hit(number)
    clock.now += SECONDS

    for number in range(100):
        windows.hit(f"new {number}")

    assert len(windows) == 100


def test_an_event_looks_at_the_same_number_of_windows_however_many_there_are(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: dict[int, int] = {}
    for many in (10, MANY):
        windows = Windows(SECONDS)
        for number in range(many):
            windows.hit(number)
        # All but one of them are as good as over, and still none is looked through in vain.
        seen = _count_reads(windows, monkeypatch)
        windows.hit("one more")
        looked[many] = len(seen)

    assert looked[10] == looked[MANY]


def _count_reads(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    seen: list[object] = []

    class Watched(type(windows._windows)):  # type: ignore[misc]
        def __getitem__(self, key: object) -> Any:
            seen.append(key)
            return super().__getitem__(key)

    watched = Watched(windows._windows)
    monkeypatch.setattr(windows, "_windows", watched)
    return seen

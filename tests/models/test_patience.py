import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from models import patience
from models.patience import Door, Watchdog


class FakeLine:
    def __init__(self, waits: float | None, patience: float | None) -> None:
        self.waits_since = None if waits is None else monotonic() - waits
        self.patience = patience
        self.hung_up = threading.Event()

    def hang_up(self) -> None:
        self.hung_up.set()


@pytest.mark.parametrize(
    ("waits", "patience", "is_hung_up"),
    [(10, 5, True), (10, 20, False), (10, None, False), (None, 5, False), (None, None, False)],
)
def test_who_has_kept_somebody_waiting_for_too_long_is_hung_up_on(
    waits: float | None, patience: float | None, is_hung_up: bool
) -> None:
    watchdog, line = Watchdog(), FakeLine(waits, patience)
    watchdog.watch(line)
    watchdog.look()
    assert line.hung_up.is_set() is is_hung_up


def test_the_watchdog_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_BETWEEN_LOOKS", 0.01)
    watchdog, lines = Watchdog(), [FakeLine(10, 5), FakeLine(10, 5)]
    for line in lines:
        watchdog.watch(line)
    assert all(line.hung_up.wait(60) for line in lines)


def enter(door: Door, error: Exception | None = None) -> None:
    with door.opened():
        if error is not None:
            raise error


def test_only_one_tries_where_the_last_one_had_no_answer() -> None:
    door = Door(TimeoutError, ConnectionError)
    enter(door)
    with pytest.raises(TimeoutError):
        enter(door, TimeoutError())
    with ThreadPoolExecutor(1) as pool, door.opened():
        assert "did not answer" in str(pool.submit(enter, door, ValueError()).exception())
    enter(door)
    with door.opened():  # it answers again
        enter(door)


def test_who_refuses_answers_too() -> None:
    door = Door(TimeoutError, ConnectionError)
    for error in (TimeoutError(), TimeoutError(), ValueError()):
        with pytest.raises(type(error)):
            enter(door, error)
    with door.opened():
        enter(door)

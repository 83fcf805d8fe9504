"""Servers that do not answer are waited for no longer than they may be."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from models.database import timeouts
from models.database.timeouts import ConnectAttempts, Watchdog


class FakeConnection:
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
    watchdog, connection = Watchdog(), FakeConnection(waits, patience)
    watchdog.watch(connection)
    watchdog.look()
    assert connection.hung_up.is_set() is is_hung_up


def test_the_watchdog_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "_BETWEEN_LOOKS", 0.01)
    watchdog, connections = Watchdog(), [FakeConnection(10, 5), FakeConnection(10, 5)]
    for connection in connections:
        watchdog.watch(connection)
    assert all(each.hung_up.wait(60) for each in connections)


def enter(attempts: ConnectAttempts, error: Exception | None = None) -> None:
    with attempts.one():
        if error is not None:
            raise error


def test_only_one_tries_where_the_last_one_had_no_answer() -> None:
    attempts = ConnectAttempts(TimeoutError, ConnectionError)
    enter(attempts)
    with pytest.raises(TimeoutError):
        enter(attempts, TimeoutError())
    with ThreadPoolExecutor(1) as pool, attempts.one():
        assert "did not answer" in str(pool.submit(enter, attempts, ValueError()).exception())
    enter(attempts)
    with attempts.one():  # it answers again
        enter(attempts)


def test_who_refuses_answers_too() -> None:
    attempts = ConnectAttempts(TimeoutError, ConnectionError)
    for error in (TimeoutError(), TimeoutError(), ValueError()):
        with pytest.raises(type(error)):
            enter(attempts, error)
    with attempts.one():
        enter(attempts)

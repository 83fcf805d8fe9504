"""Attempts in memory: how often something was tried lately, for one process."""

import time
from array import array
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from threading import Lock

from limits.storage import MovingWindowSupport, Storage

# Each attempt adds one key and removes up to so many expired ones: the work is spread evenly, and
# no expired key stays for long.
_FORGOTTEN_AT_ONCE = 100


class Attempts(Storage, MovingWindowSupport):
    """Moving windows in memory: what MovingWindowRateLimiter needs, and nothing else.

    The storage of `limits` itself never forgets a key, and looks through all of them at each
    attempt. Here an attempt costs the same however many keys there are. At most `max_keys` windows
    of one length are kept; beyond that the one whose last attempt is oldest is removed.
    """

    def __init__(self, max_keys: int = 300_000) -> None:
        super().__init__()
        self._max_keys = max_keys
        self._lock = Lock()
        # By the length of the window: the timestamps of each key, the latest last.
        self._windows: defaultdict[int, OrderedDict[str, array[float]]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        with self._lock:
            return sum(len(window) for window in self._windows.values())

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note attempts, unless there would be more than the limit in the seconds of `expiry`."""
        if amount > limit:
            return False
        now = time.time()
        with self._lock:
            for length, each in self._windows.items():
                _forget(each, now - length)
            window = self._windows[expiry]
            times = window.get(key)
            if times is None:
                times = window[key] = array("d")
                if len(window) > self._max_keys:
                    window.popitem(last=False)
            elif len(times) + amount > limit and times[amount - limit - 1] >= now - expiry:
                return False
            times.extend([now] * amount)
            if len(times) > 2 * limit:  # so that each is moved once at most
                del times[:-limit]
            window.move_to_end(key)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest attempt that counts was made, and how many do."""
        now = time.time()
        with self._lock:
            times = self._windows[expiry].get(key)
            if times is None:
                return now, 0
            first = max(bisect_left(times, now - expiry), len(times) - limit)
            if first == len(times):
                return now, 0
            return times[first], len(times) - first

    def clear(self, key: str) -> None:
        """Forget the attempts at a key."""
        with self._lock:
            for window in self._windows.values():
                window.pop(key, None)

    def reset(self) -> int | None:
        """Forget everything; return how many keys that were."""
        with self._lock:
            forgotten = sum(len(window) for window in self._windows.values())
            self._windows.clear()
        return forgotten

    def check(self) -> bool:
        """Return that the storage can be reached, as memory always can."""
        return True

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """The errors of a storage that does not answer: none."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Raise NotImplementedError: fixed windows are not supported."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Raise NotImplementedError: fixed windows are not supported."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Raise NotImplementedError: fixed windows are not supported."""
        raise NotImplementedError


def _forget(window: OrderedDict[str, "array[float]"], before: float) -> None:
    """Forget some of the keys whose last attempt was made before a timestamp."""
    for _ in range(_FORGOTTEN_AT_ONCE):
        oldest = next(iter(window), None)
        if oldest is None or window[oldest][-1] >= before:
            return
        del window[oldest]

"""The memory of attempts: how often something was tried of late, for one process."""

import time
from array import array
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from threading import Lock

from limits.storage import MovingWindowSupport, Storage

# So many keys that are over are forgotten at each attempt, which remembers one: soon none is left,
# and no attempt has to wait for the work of all before it.
_FORGOTTEN_AT_ONCE = 100


class Attempts(Storage, MovingWindowSupport):
    """Moving windows in memory, as MovingWindowRateLimiter asks for them, and nothing else.

    The storage of `limits` itself never forgets a key, and looks through all of them at each
    attempt. Here an attempt costs the same however many keys there are. Of windows of one length
    at most `most_keys` are kept; then those go whose last attempt is longest ago.
    """

    def __init__(self, most_keys: int = 300_000) -> None:
        super().__init__()
        self._most_keys = most_keys
        self._lock = Lock()
        # By the length of the window: the moments of each key, that of the last attempt at the end.
        self._windows: defaultdict[int, OrderedDict[str, array[float]]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        with self._lock:
            return sum(len(window) for window in self._windows.values())

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note attempts, unless there would be more than the limit in the seconds of `expiry`."""
        if amount > limit:
            return False
        moment = time.time()
        with self._lock:
            for length, each in self._windows.items():
                _forget(each, moment - length)
            window = self._windows[expiry]
            moments = window.get(key)
            if moments is None:
                moments = window[key] = array("d")
                if len(window) > self._most_keys:
                    window.popitem(last=False)
            elif len(moments) + amount > limit and moments[amount - limit - 1] >= moment - expiry:
                return False
            moments.extend([moment] * amount)
            if len(moments) > 2 * limit:  # so that each is moved once at most
                del moments[:-limit]
            window.move_to_end(key)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest attempt that counts was made, and how many do."""
        moment = time.time()
        with self._lock:
            moments = self._windows[expiry].get(key)
            if moments is None:
                return moment, 0
            first = max(bisect_left(moments, moment - expiry), len(moments) - limit)
            if first == len(moments):
                return moment, 0
            return moments[first], len(moments) - first

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
        """Tell that the memory is there."""
        return True

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """The errors of a storage that does not answer: there are none."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Refuse: windows that do not move are not kept here."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Refuse: windows that do not move are not kept here."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Refuse: windows that do not move are not kept here."""
        raise NotImplementedError


def _forget(window: OrderedDict[str, "array[float]"], before: float) -> None:
    """Forget some of the keys whose last attempt was made before a moment."""
    for _ in range(_FORGOTTEN_AT_ONCE):
        oldest = next(iter(window), None)
        if oldest is None or window[oldest][-1] >= before:
            return
        del window[oldest]

"""Windows in memory: how many requests each party has sent lately, for one process."""

import time
from collections import OrderedDict
from threading import Lock

# Each new window removes up to so many that have ended, so that none stays for long.
_FORGOTTEN_AT_ONCE = 10


class _Window:
    """The number of events in a window, and its end."""

    __slots__ = ("count", "ends")

    def __init__(self, ends: float) -> None:
        self.count = 1
        self.ends = ends


class Windows:
    """Count events in windows of one length, each of which begins with the first event of a key.

    An event costs the same however many keys there are: at most `max_keys`, beyond which the
    window that ends first is forgotten. The clock is one that nobody sets.
    """

    def __init__(self, seconds: float, max_keys: int = 300_000) -> None:
        self._seconds = seconds
        self._max_keys = max_keys
        self._lock = Lock()
        # In the order of their ends.
        self._windows: OrderedDict[object, _Window] = OrderedDict()

    def __len__(self) -> int:
        """Return how many windows are remembered."""
        return len(self._windows)

    def hit(self, key: object) -> tuple[int, float]:
        """Count an event; return how many there are in the window, and the seconds to its end."""
        now = time.monotonic()
        with self._lock:
            window = self._windows.get(key)
            if window is not None and window.ends > now:
                window.count += 1
                return window.count, window.ends - now
            self._windows.pop(key, None)
            self._forget(now)
            self._windows[key] = _Window(now + self._seconds)
        return 1, self._seconds

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._windows.clear()

    def _forget(self, now: float) -> None:
        if len(self._windows) >= self._max_keys:
            self._windows.popitem(last=False)
        for _ in range(_FORGOTTEN_AT_ONCE):
            key = next(iter(self._windows), None)
            if key is None or self._windows[key].ends > now:
                return
            del self._windows[key]

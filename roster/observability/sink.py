"""The sink: log lines that a thread writes, so that nobody waits for the reader of the log."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

MAX_LINES = 4000
# Lines gather for so long while many come: a thread that wakes for each takes time from requests.
_REST_SECONDS = 0.02
# What a pipe takes as a whole, so that lines of several processes do not mix (POSIX: PIPE_BUF).
_CHUNK = 4096


class Sink:
    """Write log lines to an open file, in a thread of its own.

    A pipe that is full blocks that thread only. More than `most` lines are not kept: they are
    dropped and counted, and so are lines that cannot be written. `render` makes the bytes of a line
    that is not given as bytes; the thread calls it.
    """

    def __init__(self, file: int, render: Callable[[Any], bytes], most: int = MAX_LINES) -> None:
        self._file = file
        self._render = render
        self._most = most
        # A deque's `append` and `popleft` need no lock.
        self._lines: deque[Any] = deque()
        self._due = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._dropped = 0
        self._is_writing = False
        self._is_torn = False
        self._is_ending = False
        if hasattr(os, "register_at_fork"):  # a forked process has no threads but its own
            os.register_at_fork(after_in_child=self._begin_anew)

    @property
    def dropped(self) -> int:
        """How many lines were not written."""
        return self._dropped

    def write(self, line: Any) -> None:
        """Have a line written, or drop it where too many are waiting."""
        if len(self._lines) >= self._most:
            self.drop()
            return
        self._lines.append(line)
        if not self._due.is_set():
            if self._thread is None:
                self._start()
            self._due.set()
        if self._is_ending:
            self.flush(0.2)

    def drop(self, number: int = 1) -> None:
        """Count lines that are not written."""
        with self._lock:
            self._dropped += number

    def flush(self, seconds: float) -> None:
        """Wait until all lines are written, but for so long at most."""
        ends = time.monotonic() + seconds
        while (self._lines or self._is_writing) and time.monotonic() < ends:
            time.sleep(0.002)

    def end(self, seconds: float) -> None:
        """Write what is waiting, for so long at most; from now on each line is written at once."""
        self._is_ending = True
        self.flush(seconds)

    def _begin_anew(self) -> None:
        self._lock, self._due = threading.Lock(), threading.Event()
        self._lines.clear()
        self._thread, self._is_writing = None, False

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            self._is_writing = True
            while self._lines:
                self._put(*self._take())
            self._is_writing = False
            if not self._is_ending:
                time.sleep(_REST_SECONDS)

    def _take(self) -> tuple[bytes, int]:
        """Take as many lines as a pipe takes as a whole, one at the least."""
        taken = self._rendered(self._lines.popleft())
        number = 1
        while self._lines:
            following = self._rendered(self._lines[0])
            if len(taken) + len(following) > _CHUNK:
                self._lines[0] = following
                break
            self._lines.popleft()
            taken += following
            number += 1
        return taken, number

    def _rendered(self, line: Any) -> bytes:
        try:
            return line if isinstance(line, bytes) else self._render(line)
        except (TypeError, ValueError):  # this thread must go on
            self.drop()
            return b""

    def _put(self, lines: bytes, number: int) -> None:
        rest = memoryview(b"\n" + lines if self._is_torn else lines)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except BlockingIOError:  # somebody has the file not block
                time.sleep(_REST_SECONDS)
            except OSError:  # nobody reads any more, or the disk is full
                self._is_torn = self._is_torn or len(rest) < len(lines)
                self.drop(number)
                return
        self._is_torn = False

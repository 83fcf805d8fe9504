"""The scheduled purge: one thread per worker, of which one purges at a time over all hosts."""

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from secrets import randbelow
from threading import Event, Thread

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from models.database import failures
from models.database.clock import clocks_differ
from models.database.connections import PURGE_LOCK, try_begin_alone
from models.oauth.counting import count_live
from roster.observability.metrics import Metrics
from roster.purges import PURGE_BATCH, PURGE_REST, Purge

_HOUR = 3600.0
# The first purge comes soon, for servers that are often started anew, but not during the start;
# and not at the same time in all workers.
_FIRST_AT_LEAST = 60
_FIRST_WITHIN = 600
# How far this host's clock may be from the database's.
_MAX_SKEW = timedelta(minutes=1)
# The next try after a failure.
_AGAIN = 300.0
# How long the end waits for a batch, which takes milliseconds unless the database hangs.
_PATIENCE = 0.5

_logger = logging.getLogger(__name__)


class Purging:
    """Run all purges again and again in a thread, until it is closed.

    :param hours: the time between two runs; 0 for no purge at all.
    :param first: seconds until the first one; by default some minutes, chosen at random.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        purges: Mapping[str, Purge],
        metrics: Metrics,
        hours: float,
        *,
        first: float | None = None,
    ) -> None:
        self._sessions = sessions
        self._purges = purges
        self._metrics = metrics
        self._interval = hours * _HOUR
        self._first = first
        self._stop = Event()
        self._thread: Thread | None = None
        self._has_failed = False

    def start(self) -> None:
        """Start the thread, unless there is nothing to do."""
        if self._interval:
            self._thread = Thread(target=self._work, name="roster-purging", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread after the batch under way.

        A batch that does not end soon is left alone, and ends with the process.
        """
        self._stop.set()
        if self._thread:
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        first = _FIRST_AT_LEAST + randbelow(_FIRST_WITHIN - _FIRST_AT_LEAST)
        pause = min(float(first), self._interval) if self._first is None else self._first
        while not self._stop.wait(pause):
            pause = self._interval if self._try() else min(_AGAIN, self._interval)

    def _try(self) -> bool:
        """Purge; tell whether that was possible. Of failures in a row, the first one is logged."""
        began = time.monotonic()
        try:
            is_complete = self.run()
        except Exception as error:  # the thread must go on after any failure
            if not self._has_failed:
                if failures.is_passing(error):
                    _logger.warning("The purge waits until the database answers.")
                else:
                    _logger.exception("The purge failed; it is tried again.")
            self._has_failed = True
            return False
        self._has_failed = False
        if is_complete:
            self._metrics.purge_succeeded(time.monotonic() - began)
            self._count_live()
        return True

    def run(self) -> bool:
        """Purge all that is due; tell whether it came to the end.

        It ends early where another worker purges, where the server stops, or where the clock of
        this host is wrong: it would delete what lives.
        """
        with self._sessions() as session:
            if clocks_differ(session.connection(), _MAX_SKEW):
                _logger.warning(
                    "Nothing is purged: the clock of this host differs from the database's."
                )
                return False
            session.rollback()
            return all(self._run(session, name) for name in self._purges)

    def _count_live(self) -> None:
        try:
            with self._sessions() as session:
                live = count_live(session.connection())
        except DBAPIError as error:
            _logger.warning("The live tokens are not counted: %s", error.orig)
            return
        for kind, number in live.items():
            self._metrics.counted_live(kind, number)

    def _run(self, session: Session, name: str) -> bool:
        batches = self._purges[name](session, PURGE_BATCH)
        while not self._stop.is_set():
            began = time.monotonic()
            # A lock of the transaction: behind a pooler the next one may have another connection.
            if not try_begin_alone(session.connection(), PURGE_LOCK):
                return False
            purged = next(batches, None)
            session.commit()
            if purged is None:
                return True
            self._metrics.purged(name, purged)
            self._stop.wait(PURGE_REST * (time.monotonic() - began))
        return False

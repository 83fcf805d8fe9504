"""Metrics: the figures of a server, for Prometheus."""

import os
import platform
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

# How often a worker writes down how it is, for the one that Prometheus happens to ask.
_SAMPLED_SECONDS = 5.0
# Waiting for a thread, or for the database: from nothing to the time limits.
_WAITS = (0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10)
_HASHES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """The figures of this server, from its start.

    Where `PROMETHEUS_MULTIPROC_DIR` names a folder, those of all workers that share it are added
    up. Requests and other events are counted as they happen. Threads, queues and connections are
    read when Prometheus asks; where there are several workers, a thread of each reads them.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "requests",
            "Answered requests, by operation (empty where there is none) and status.",
            "operation",
            "status",
        )
        self._duration = Histogram(
            "roster_request_duration_seconds",
            "Time from a request's head to its answer, by operation.",
            ("operation",),
            registry=self._registry,
        )
        self._held = self._histogram(
            "database_connection_held_seconds",
            "Time for which a request, or a part of one, had a database connection.",
            _WAITS,
        )
        self._waited = self._histogram(
            "database_wait_seconds",
            "Time of that for which it waited for PostgreSQL; SQLite answers without a wait.",
            _WAITS,
        )
        self._hashed = self._histogram(
            "password_hash_seconds",
            "Time to compute a password hash, with the wait for a core.",
            _HASHES,
        )
        self._queued = self._histogram(
            "queue_seconds", "Time for which a request waited for a thread.", _WAITS, "kind"
        )
        self._turned_away = self._counter(
            "queue_refused",
            "Requests that were refused as too many waited, or as they waited too long.",
            "kind",
        )
        self._limited = self._counter(
            "limited_requests", "Requests that were refused by a limit (429).", "limit"
        )
        self._purged = self._counter(
            "purged_rows", "Expired rows that the scheduled purge has deleted, by its kind.", "kind"
        )
        self._purge_seconds = self._gauge(
            "purge_duration_seconds", "How long the last scheduled purge took.", "mostrecent"
        )
        self._purge_succeeded = self._gauge(
            "purge_last_success_timestamp_seconds",
            "When a scheduled purge last came to its end; 0 for not yet.",
            "max",
        )
        self._live = self._gauge(
            "live",
            "Live tokens and sessions, as the last purge counted them.",
            "mostrecent",
            "kind",
        )
        build = self._gauge("build_info", "This server.", "max", "version", "python")
        build.labels(version("roster"), platform.python_version()).set(1)
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        self._stop = Event()
        self._thread: Thread | None = None
        # Operations are few, and to find a figure by its labels takes longer than to count.
        self._of = cache(self._find)

    @property
    def _folder(self) -> str | None:
        return os.environ.get("PROMETHEUS_MULTIPROC_DIR")

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        requests, duration = self._of(operation, status)
        requests.inc()
        duration.observe(seconds)

    def used_database(self, held: float, waited: float | None) -> None:
        """Count one use of a connection: for how long, and how much of it was a wait."""
        self._held.observe(held)
        if waited is not None:
            self._waited.observe(waited)

    def hashed(self, seconds: float) -> None:
        """Count one password hash."""
        self._hashed.observe(seconds)

    def queue(self, threads: str) -> tuple[Callable[[float], None], Callable[[], None]]:
        """Return the functions that count a wait for threads, and a refusal."""
        return self._queued.labels(threads).observe, self._turned_away.labels(threads).inc

    def limited(self, name: str) -> None:
        """Count a request that a limit has refused."""
        self._limited.labels(name).inc()

    def purged(self, kind: str, rows: int) -> None:
        """Count rows that a purge has deleted."""
        self._purged.labels(kind).inc(rows)

    def purge_succeeded(self, seconds: float) -> None:
        """Note that a purge came to its end, and how long it took."""
        self._purge_seconds.set(seconds)
        self._purge_succeeded.set_to_current_time()

    def counted_live(self, kind: str, number: int) -> None:
        """Note how many tokens or sessions of a kind are live."""
        self._live.labels(kind).set(number)

    def watch(self, name: str, documentation: str, **read: Callable[[], float]) -> None:
        """Read a gauge whenever the figures are asked for; those of all workers are added up.

        `read` has a function for each value of the label `kind`.
        """
        gauge = self._gauge(name, documentation, "livesum", "kind")
        self._watched += [(gauge.labels(kind), each) for kind, each in read.items()]

    def start(self) -> None:
        """Begin to read the gauges, where Prometheus may ask another worker for them."""
        if self._folder:
            self._thread = Thread(target=self._sample, name="roster-metrics", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop reading, and take this worker's gauges out of the sums."""
        self._stop.set()
        if self._thread and self._folder:
            self._thread.join(1.0)
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]

    def exposition(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        self._read()
        folder = self._folder
        if folder is None:
            return generate_latest(self._registry)
        _forget_the_dead(Path(folder))
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]
        return generate_latest(gathered)

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLED_SECONDS):
            self._read()

    def _read(self) -> None:
        for gauge, read in self._watched:
            gauge.set(read())

    def _find(self, operation: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(operation, status), self._duration.labels(operation)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"roster_{name}", documentation, labels, registry=self._registry)

    def _gauge(self, name: str, documentation: str, mode: str, *labels: str) -> Gauge:
        return Gauge(
            f"roster_{name}",
            documentation,
            labels,
            registry=self._registry,
            multiprocess_mode=mode,  # type: ignore[arg-type]
        )

    def _histogram(
        self, name: str, documentation: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"roster_{name}", documentation, labels, registry=self._registry, buckets=buckets
        )


def _forget_the_dead(folder: Path) -> None:
    """Take the gauges of killed workers out of the sums."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(FileNotFoundError):  # another worker was faster
                mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except OSError:
            continue

"""Metrics: requests by operation and status, and how long they took, for Prometheus."""

import os
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


class Metrics:
    """Count and time the answered requests of this server.

    Where `PROMETHEUS_MULTIPROC_DIR` names a folder, the figures of all workers that share it are
    added up.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "roster_requests",
            "Answered requests, by operation (empty where there is none) and status.",
            ("operation", "status"),
            registry=self._registry,
        )
        self._duration = Histogram(
            "roster_request_duration_seconds",
            "Time from a request's head to its answer, by operation.",
            ("operation",),
            registry=self._registry,
        )
        self._purged = Counter(
            "roster_purged_rows",
            "Expired rows that the scheduled purge has deleted, by its kind.",
            ("kind",),
            registry=self._registry,
        )
        self._purge_succeeded = Gauge(
            "roster_purge_last_success_timestamp_seconds",
            "When a scheduled purge last came to its end; 0 for not yet.",
            registry=self._registry,
            multiprocess_mode="max",
        )
        # Operations are few, and to find a figure by its labels takes longer than to count.
        self._of = cache(self._find)

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        requests, duration = self._of(operation, status)
        requests.inc()
        duration.observe(seconds)

    def purged(self, kind: str, rows: int) -> None:
        """Count rows that a purge has deleted."""
        self._purged.labels(kind).inc(rows)

    def purge_succeeded(self) -> None:
        """Note that a purge came to its end."""
        self._purge_succeeded.set_to_current_time()

    def _find(self, operation: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(operation, status), self._duration.labels(operation)

    def exposition(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]
        return generate_latest(gathered)

"""Metrics: requests by operation and status, and how long they took, for Prometheus."""

import os
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
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
        # Operations are few, and to find a figure by its labels takes longer than to count.
        self._of = cache(self._find)

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        requests, duration = self._of(operation, status)
        requests.inc()
        duration.observe(seconds)

    def _find(self, operation: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(operation, status), self._duration.labels(operation)

    def exposition(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        gathered = CollectorRegistry()
        MultiProcessCollector(gathered)  # type: ignore[no-untyped-call]
        return generate_latest(gathered)

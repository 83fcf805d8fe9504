"""The gauges of a worker: its threads, queues, database connections and lost log lines."""

from sqlalchemy import Engine, QueuePool

from models.database.connections import Connections
from roster.observability import logs
from roster.observability.metrics import Metrics
from roster.server.dispatch import Dispatcher


def watch(metrics: Metrics, dispatcher: Dispatcher, engine: Engine, pool: Connections) -> None:
    """Give the metrics the gauges that are read when Prometheus asks."""
    kinds = dispatcher.threads
    for name, threads in kinds.items():
        threads.observe(*metrics.queue(name))
    metrics.watch(
        "threads",
        "Threads that there are for requests, and for those that hash a password.",
        **{name: lambda each=each: each.number for name, each in kinds.items()},
    )
    metrics.watch(
        "threads_busy",
        "Threads that carry a request out.",
        **{name: lambda each=each: each.busy for name, each in kinds.items()},
    )
    metrics.watch(
        "queue_length",
        "Requests that wait for a thread.",
        **{name: lambda each=each: each.waiting for name, each in kinds.items()},
    )

    def opened() -> float:
        # Those that are kept for reuse are out of the engine's pool.
        found = engine.pool
        return found.checkedout() + found.checkedin() if isinstance(found, QueuePool) else 0

    metrics.watch(
        "database_connections",
        "Open database connections, and those of them that no request uses.",
        open=opened,
        idle=lambda: pool.idle,
    )
    metrics.watch("log_lines", "Log lines that could not be written.", dropped=logs.dropped)

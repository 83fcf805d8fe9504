"""Monitoring: health, readiness and metrics, for operators."""

from typing import Any

from sqlalchemy import Engine


def read_health() -> dict[str, str]:
    """Tell that the process is running."""
    return {"status": "ok"}


def read_readiness(engine: Engine) -> dict[str, str]:
    """Tell that the database is reachable and migrated, or raise NotReady."""
    # The migrations take 11 MiB, which only a server that is asked needs.
    from models.database import migrate  # noqa: PLC0415

    migrate.check_current(engine)
    return {"status": "ready"}


def read_metrics(metrics: Any) -> bytes:
    """Return the figures for Prometheus."""
    return bytes(metrics.exposition())

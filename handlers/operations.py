"""Operations: what those who run the server ask of it."""

from typing import Any

from sqlalchemy import Engine

from models import migrate


def read_health() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "ok"}


def read_readiness(engine: Engine) -> dict[str, str]:
    """Tell that the database is reachable and migrated."""
    migrate.check_current(engine)
    return {"status": "ready"}


def read_metrics(metrics: Any) -> bytes:
    """Hand out the figures for Prometheus."""
    return bytes(metrics.exposition())

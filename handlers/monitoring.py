"""Operations: what those who run the server ask of it."""

from typing import Any

from sqlalchemy import Engine


def read_health() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "ok"}


def read_readiness(engine: Engine) -> dict[str, str]:
    """Tell that the database is reachable and migrated."""
    # What migrates takes 11 MiB, which a server that nobody asks does without.
    from models.database import migrate  # noqa: PLC0415

    migrate.check_current(engine)
    return {"status": "ready"}


def read_metrics(metrics: Any) -> bytes:
    """Hand out the figures for Prometheus."""
    return bytes(metrics.exposition())

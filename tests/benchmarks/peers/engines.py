"""How the peers with SQLAlchemy connect to their databases."""

import sqlite3

from sqlalchemy import Engine, create_engine, event


def connect(url: str) -> Engine:
    """Return an engine with a pool that 16 clients never wait for."""
    if not url.startswith("sqlite"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        return create_engine(url, pool_size=40, max_overflow=0)
    engine = create_engine(url, pool_size=40, max_overflow=0, connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine

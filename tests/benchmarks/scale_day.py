"""A day of refreshes in some minutes: what becomes dead, and how large the tokens' table is then.

Access tokens live for a second here, so that the purge removes them a minute later, as it removes
those of an hour ago in a day. The purge runs all the time, and PostgreSQL vacuums by itself.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from sqlalchemy import text

from models.oauth.purge import purge
from roster import settings
from roster.application import Application, create_app
from tests.benchmarks import scale
from tests.benchmarks.data import BOUNDLESS
from tests.benchmarks.scale_data import Size
from tests.benchmarks.scale_requests import Visitor

SIZE = Size(users=20_000, teams=1_000, tokens=100_000)
_MIB = 2**20
_STATE = text(
    """
    SELECT pg_table_size(relid) AS bytes, pg_indexes_size(relid) AS bytes_of_indexes,
        (SELECT count(*) FROM tokens) AS rows, n_dead_tup AS dead, autovacuum_count AS vacuums
    FROM pg_stat_user_tables WHERE relname = 'tokens'
    """
)


def state(app: Application) -> dict[str, int]:
    """Return what the tokens' table has and takes, in bytes."""
    with app.engine.connect() as connection:
        return dict(connection.execute(_STATE).mappings().one())


@contextmanager
def purging(app: Application) -> Iterator[list[int]]:
    """Purge again and again meanwhile; yield the numbers of rows that were removed."""
    is_over, removed = threading.Event(), [0]

    def work() -> None:
        while not is_over.wait(1):
            with app.sessions() as session:
                for count in purge(session):
                    session.commit()
                    removed.append(count)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield removed
    finally:
        is_over.set()
        thread.join()


async def refresh(visitor: Visitor, seconds: float) -> list[float]:
    """Refresh random grants for so long; return how long each request took."""
    ends, took = time.monotonic() + seconds, []
    while time.monotonic() < ends:
        took.append(await visitor.refresh())
    return took


def line(name: str, now: dict[str, Any]) -> str:
    """Write the state of the table in a line."""
    total = now["bytes"] + now["bytes_of_indexes"]
    return (
        f"{name:14} {now['rows']:>9} rows, {now['bytes'] / _MIB:6.1f} MiB and"
        f" {now['bytes_of_indexes'] / _MIB:6.1f} of indexes, {total / now['rows']:5.0f} bytes each;"
        f" {now['dead']:>7} dead, vacuumed {now['vacuums']} times"
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--minutes", default=5, help="How long.")
@click.option("--seconds", default=60.0, help="How long a minute is.")
@click.option("--divide", default=1, help="Make the database so many times smaller.")
def main(minutes: int, seconds: float, divide: int) -> None:
    """Refresh tokens for some minutes on PostgreSQL, and tell how large their table becomes."""
    size = Size(SIZE.users // divide, SIZE.teams // divide, SIZE.tokens // divide)
    with TemporaryDirectory(prefix="roster-day-") as folder, scale.postgresql(Path(folder)) as make:
        url = make("day")
        scale.prepare(url, size).engine.dispose()
        app = create_app(settings.load(database_url=url, access_token_seconds=1, **BOUNDLESS))
        click.echo(line("before", state(app)))
        visitor, count = Visitor(app, size), 0
        with purging(app) as removed:
            for minute in range(1, minutes + 1):
                took = sorted(asyncio.run(refresh(visitor, seconds)))
                count += len(took)
                median = took[len(took) // 2] * 1000
                click.echo(f"{line(f'minute {minute}', state(app))}; {median:.2f} ms a refresh")
        click.echo(f"{count} refreshes; {sum(removed)} rows purged")
        app.engine.dispose()


if __name__ == "__main__":
    main()

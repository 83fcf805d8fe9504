"""What a request costs each part: the time of a core that Roster, PostgreSQL and Redis take for it.

The figures are the basis of docs/scale.md. Core time hardly depends on what else a machine does,
other than requests per second.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
import psycopg

from tests.benchmarks import authorization, databases, load, machine
from tests.benchmarks.authorization import logins
from tests.benchmarks.bench import Bench, Plan
from tests.benchmarks.data import Data
from tests.benchmarks.machine import Cores
from tests.benchmarks.operations import Operation, operations
from tests.benchmarks.servers import ROSTER, Server, serving
from tests.benchmarks.suites import AUTHORIZATION
from tests.redis_server import redis_in

_NAMES = ("users_me", "users", "team", "create_team")


@dataclass(frozen=True)
class Parts:
    """The server, and the processes of PostgreSQL and of Redis of which all their others come."""

    server: Server
    postmaster: int
    redis: int

    def seconds(self) -> tuple[float, ...]:
        """Return how much time of a core each part has had so far."""
        return tuple(
            machine.process_seconds(machine.with_children(each)) or 0.0
            for each in (self.server.process.pid, self.postmaster, self.redis)
        )


@contextmanager
def _parts(folder: Path, cores: Cores) -> Iterator[tuple[Parts, Data]]:
    with redis_in(folder) as (redis_url, redis), databases.postgresql(folder) as (known, copy):
        url = copy("roster")
        with psycopg.connect(url) as connection:
            [place] = connection.execute("SHOW data_directory").fetchone() or ("",)
        postmaster = int((Path(place) / "postmaster.pid").read_text().split()[0])
        limited = ("env", f"ROSTER_LIMITS_URL={redis_url}", *ROSTER.command)
        with serving(replace(ROSTER, command=limited), url, folder, cores.server) as server:
            yield Parts(server, postmaster, redis), known


def _measure(bench: Bench, parts: Parts, operation: Operation) -> str:
    # For longer where nothing is answered in so short a time, as logins on a busy machine.
    for times in (1, 5, 25):
        before = parts.seconds()
        figures = bench.load(parts.server, operation, times * bench.plan.seconds)
        if figures.requests:
            break
    else:
        raise load.LoadError(f"The server answers no {operation.label}.")
    spent = [after - then for after, then in zip(parts.seconds(), before, strict=True)]
    cells = "".join(f"{1e6 * each / figures.requests:12.0f}" for each in spent)
    return f"{operation.label:28}{figures.requests:10}{cells}"


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="How long each load takes.")
def main(*, seconds: float) -> None:
    """Print how many microseconds of a core each part takes for a request of each kind."""
    plan = Plan(AUTHORIZATION, (ROSTER,), (), connections=16, seconds=seconds, rounds=1)
    bench = Bench(plan, load.find(), machine.cores(), click.echo)
    click.echo(f"{'':28}{'requests':>10}{'Roster':>12}{'PostgreSQL':>12}{'Redis':>12}")
    with (
        tempfile.TemporaryDirectory(prefix="roster-costs-") as folder,
        machine.pinned(bench.cores.load),
        _parts(Path(folder), bench.cores) as (parts, known),
    ):
        chosen = [each for each in operations(known) if each.name in _NAMES]
        for operation in (*chosen, *authorization.operations(known), logins()):
            # A warm server takes less. How fast it was in so short a time says nothing.
            bench.load(parts.server, operation, seconds / 5)
            bench.fastest.clear()
            click.echo(_measure(bench, parts, operation))


if __name__ == "__main__":
    main()

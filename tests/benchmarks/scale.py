"""The benchmark of growth: what requests cost with few rows, and what with millions."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import click
import psycopg

from models import development
from models.database import migrate
from roster import settings
from roster.application import Application, create_app
from tests.benchmarks import scale_purge
from tests.benchmarks.data import BOUNDLESS
from tests.benchmarks.scale_data import Size, fill
from tests.benchmarks.scale_requests import Visitor
from tests.postgresql import postgresql as start_postgresql

ROOT = Path(__file__).parents[2]
GOAL = 1.2
SMALL = Size(users=1_000, teams=1_000, tokens=1_000)
LARGE = Size(users=1_000_000, teams=100_000, tokens=5_000_000)

# Makes a database with a name, without tables, and returns its URL.
Make = Callable[[str], str]


@contextmanager
def sqlite(folder: Path) -> Iterator[Make]:
    """Yield the function that makes a SQLite database in a folder."""
    yield lambda name: f"sqlite:///{folder / name}.db"


@contextmanager
def postgresql(_folder: Path) -> Iterator[Make]:
    """Yield the function that makes a database on a PostgreSQL of our own, which ends with it."""
    with (
        start_postgresql() as server,
        psycopg.connect(server.get_uri(), autocommit=True) as connection,
    ):

        def make(name: str) -> str:
            connection.execute(f"CREATE DATABASE {name}")
            return str(server.get_uri(database=name))

        yield make


DATABASES: dict[str, Callable[[Path], AbstractContextManager[Make]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
}


def prepare(url: str, size: Size) -> Application:
    """Fill a database, and return the server on it."""
    app = create_app(settings.load(database_url=url, **BOUNDLESS))
    migrate.upgrade(app.engine)
    with app.sessions() as session:
        development.load(session, app.settings.origin, app.settings.port, app.definition.scopes)
        session.commit()
    fill(app.engine, size)
    return app


async def compare(
    small: Visitor, large: Visitor, rounds: int, requests: int
) -> dict[str, dict[str, float]]:
    """Make the same requests on both sizes in turn; return what one costs, and the ratios.

    One ratio is of the median requests. The other is the median of the rounds' ratios of means: in
    it what comes now and then counts too, such as a checkpoint, but so does what others do.
    """
    for visitor in (small, large):
        await visitor.begin()
    await _round(small, large, requests)
    costs: dict[str, list[list[tuple[float, float]]]] = {}
    for _ in range(rounds):
        for name, taken in (await _round(small, large, requests)).items():
            costs.setdefault(name, []).append(taken)
    return {name: _compare(each) for name, each in costs.items()}


def _compare(rounds: list[list[tuple[float, float]]]) -> dict[str, float]:
    few, many = zip(*(pair for each in rounds for pair in each), strict=True)
    means = [sum(large for _, large in each) / sum(small for small, _ in each) for each in rounds]
    return {
        "small_us": round(median(few) * 1e6, 1),
        "large_us": round(median(many) * 1e6, 1),
        "ratio": round(median(many) / median(few), 3),
        "ratio_of_means": round(median(means), 3),
    }


async def _round(
    small: Visitor, large: Visitor, requests: int
) -> dict[str, list[tuple[float, float]]]:
    taken = {}
    for name in small.operations:
        few, many = small.operations[name], large.operations[name]
        # One here, one there: whatever else the machine does slows both alike.
        taken[name] = [(await few(), await many()) for _ in range(requests)]
    return taken


def measure(
    database: str, small: Size, large: Size, *, rounds: int, requests: int, quiet: float
) -> dict[str, Any]:
    """Measure all of one kind of database."""
    with (
        tempfile.TemporaryDirectory(prefix="roster-scale-", ignore_cleanup_errors=True) as name,
        DATABASES[database](Path(name)) as make,
    ):
        sizes = {"small": small, "large": large}
        urls = {each: make(each) for each in sizes}
        apps = {}
        for each, size in sizes.items():
            click.echo(f"{database}: filling the {each} one, {size.tokens} tokens", err=True)
            apps[each] = prepare(urls[each], size)
        click.echo(f"{database}: measuring", err=True)
        try:
            few, many = (Visitor(apps[each], sizes[each]) for each in sizes)
            costs = asyncio.run(compare(few, many, rounds, requests))
        finally:
            for app in apps.values():
                app.engine.dispose()
        click.echo(f"{database}: purging", err=True)
        purge = scale_purge.measure(urls["large"], large, Path(name), quiet)
        return {"costs": costs, "purge": purge}


def report(database: str, measured: dict[str, Any]) -> str:
    """Return the tables of one kind of database."""
    lines = [f"{database:28}{'small':>10}{'large':>10}{'ratio':>8}{'of means':>10}   goal: {GOAL}"]
    lines += [
        f"  {name:26}{cost['small_us']:>7.0f} us{cost['large_us']:>7.0f} us{cost['ratio']:>8.2f}"
        f"{cost['ratio_of_means']:>10.2f}" + ("" if cost["ratio"] <= GOAL else "   missed")
        for name, cost in measured["costs"].items()
    ]
    purge = measured["purge"]
    lines.append(f"  purge: {purge['removed']} rows in {purge['seconds']:.0f} s; requests waited")
    for name in ("quiet", "meanwhile"):
        for kind, waits in purge[name].items():
            lines.append(
                f"    {name:10} {kind:7} median {waits['median_ms']:.1f},"
                f" p99 {waits['p99_ms']:.1f}, longest {waits['longest_ms']:.1f} ms;"
                f" {waits['over_100_ms']} of {waits['requests']} over 100 ms"
            )
    return "\n".join(lines)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--rounds", default=25, help="How often each is measured; the medians count.")
@click.option("--requests", default=60, help="How many requests a round makes of each kind.")
@click.option("--quiet", default=15.0, help="Seconds of requests before the purge.")
@click.option("--divide", default=1, help="Make the large database so many times smaller.")
@click.option("--database", multiple=True, type=click.Choice(list(DATABASES)), help="[both]")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "build",
    show_default="build",
    help="The folder of bench-scale.json.",
)
def main(
    rounds: int, requests: int, quiet: float, divide: int, database: tuple[str, ...], output: Path
) -> None:
    """Measure what requests cost with a thousand rows and with millions, and while they go."""
    large = Size(LARGE.users // divide, LARGE.teams // divide, LARGE.tokens // divide)
    results = {}
    for each in database or DATABASES:
        results[each] = measure(each, SMALL, large, rounds=rounds, requests=requests, quiet=quiet)
        click.echo(report(each, results[each]))
    output.mkdir(parents=True, exist_ok=True)
    written = {"small": asdict(SMALL), "large": asdict(large), "databases": results}
    (output / "bench-scale.json").write_text(json.dumps(written, indent=2), encoding="utf-8")
    click.echo(f"\nWritten to {output}: bench-scale.json")


if __name__ == "__main__":
    main()

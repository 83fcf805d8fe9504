"""The command line of the benchmark: `make bench`, or `python -m tests.benchmarks --help`."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tests.benchmarks import load, machine
from tests.benchmarks.bench import Bench, Plan
from tests.benchmarks.databases import KINDS as DATABASES
from tests.benchmarks.operations import LABELS as OPERATIONS
from tests.benchmarks.picture import draw
from tests.benchmarks.report import report
from tests.benchmarks.results import Results, goals
from tests.benchmarks.servers import KINDS, ROOT, ServerError
from tests.benchmarks.verify import DifferenceError

# The picture in the README.
PICTURE = Path(__file__).with_name("bench.svg")


class Names(click.ParamType[tuple[str, ...]]):
    """Some of the known names, parted by commas."""

    name = "names"

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return the names that were chosen, in the order of the known ones."""
        chosen = value.split(",") if isinstance(value, str) else value
        unknown = set(chosen) - set(self._known)
        if unknown:
            self.fail(f"{min(unknown)} is none of {', '.join(self._known)}", param, ctx)
        return tuple(name for name in self._known if name in chosen)


SERVERS = tuple(kind.name for kind in KINDS)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", default=2.0, help="How long each measurement takes.")
@click.option("--rounds", default=3, help="How often each is made; the medians count.")
@click.option("--warm-up", default=0.5, help="For how long each is tried before, in seconds.")
@click.option("--connections", default=16, help="How many clients there are at once.")
@click.option("--only", type=Names(SERVERS), default=",".join(SERVERS), help="The servers.")
@click.option(
    "--operations",
    type=Names(tuple(OPERATIONS)),
    default=",".join(OPERATIONS),
    help="What they do.",
)
@click.option(
    "--databases", type=Names(tuple(DATABASES)), default=",".join(DATABASES), help="On what."
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "build",
    show_default="build",
    help="The folder of bench.json and bench.svg.",
)
@click.option("--keep", is_flag=True, help="Make this picture the one in the README, too.")
def main(
    seconds: float,
    rounds: int,
    warm_up: float,
    connections: int,
    only: tuple[str, ...],
    operations: tuple[str, ...],
    databases: tuple[str, ...],
    output: Path,
    *,
    keep: bool,
) -> None:
    """Measure Roster beside its peers: FastAPI, connexion, plain Flask, and the limit."""
    try:
        generator = load.find()
        kinds = [kind for kind in KINDS if kind.name in only]
        plan = Plan(kinds, operations, connections, seconds, rounds, warm_up)
        bench = Bench(plan, generator, machine.cores(), lambda line: click.echo(line, err=True))
        click.echo(_heading(bench))
        results: dict[str, Results] = {}
        for database in databases:
            with tempfile.TemporaryDirectory(prefix="roster-bench-") as folder:
                results[database] = bench.measure(database, Path(folder))
            click.echo(f"\n{report(database, results[database], kinds)}")
    except (load.LoadError, DifferenceError, ServerError) as error:
        raise click.ClickException(str(error)) from None
    output.mkdir(parents=True, exist_ok=True)
    written = json.dumps(_everything(bench, results), indent=2)
    (output / "bench.json").write_text(written, encoding="utf-8")
    picture = draw(results, kinds, _subtitle(bench))
    for path in (output / "bench.svg", *([PICTURE] if keep else [])):
        path.write_text(picture, encoding="utf-8")
    click.echo(f"\nWritten to {output}: bench.json, bench.svg")


def _heading(bench: Bench) -> str:
    cores = bench.cores
    places = (
        f"servers on core {_list(cores.server)}, load and PostgreSQL on {_list(cores.load)}"
        if cores.server
        else "servers and load share their cores"
    )
    plan = bench.plan
    return (
        f"Load by {bench.generator.name}, {plan.connections} connections; {places};"
        f" {plan.rounds} rounds of {plan.seconds:g} s"
    )


def _list(cores: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(cores)))


def _subtitle(bench: Bench) -> str:
    described = machine.describe()
    return (
        f"{bench.plan.connections} connections, {described['processor']},"
        f" Python {described['python']}, {datetime.now(UTC):%B %Y}"
    )


def _everything(bench: Bench, results: dict[str, Results]) -> dict[str, Any]:
    cores, plan = bench.cores, bench.plan
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "cores": {"servers": sorted(cores.server), "load": sorted(cores.load)},
        "versions": machine.versions(),
        "load": bench.generator.name,
        "connections": plan.connections,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "databases": {database: each.as_json() for database, each in results.items()},
        "goals": {
            database: [{**asdict(goal), "is_met": goal.is_met} for goal in goals(database, each)]
            for database, each in results.items()
        },
    }


if __name__ == "__main__":
    main()

"""The command line of the benchmark: `make bench`, or `python -m tests.benchmarks --help`."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from tests.benchmarks import load, machine
from tests.benchmarks.bench import Bench, Plan
from tests.benchmarks.databases import KINDS as DATABASES
from tests.benchmarks.operations import LABELS as OPERATIONS
from tests.benchmarks.picture import Part, draw
from tests.benchmarks.report import report
from tests.benchmarks.results import Results, goals
from tests.benchmarks.servers import AUTHORIZATION_KINDS, KINDS, ROOT, Kind, ServerError
from tests.benchmarks.suites import SUITES, Suite
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


SERVERS = tuple(dict.fromkeys(kind.name for kind in (*KINDS, *AUTHORIZATION_KINDS)))


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", default=2.0, help="How long each measurement takes.")
@click.option("--rounds", default=3, help="How often each is made; the medians count.")
@click.option("--warm-up", default=0.5, help="For how long each is tried before, in seconds.")
@click.option("--connections", default=16, help="How many clients there are at once.")
@click.option(
    "--parts", type=Names(tuple(SUITES)), default=",".join(SUITES), help="The parts of Roster."
)
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
    parts: tuple[str, ...],
    only: tuple[str, ...],
    operations: tuple[str, ...],
    databases: tuple[str, ...],
    output: Path,
    *,
    keep: bool,
) -> None:
    """Measure Roster beside its peers.

    Its API beside FastAPI, connexion, plain Flask, and the limit; its authorization server beside
    Django OAuth Toolkit, Authlib, and oidc-provider, where there is Node.
    """
    say = partial(click.echo, err=True)
    results: dict[str, dict[str, Results]] = {}
    try:
        generator, cores = load.find(), machine.cores()
        plans = [
            Plan(SUITES[part], _there(SUITES[part], only), chosen, *times)
            for part in parts
            for times in [(connections, seconds, rounds, warm_up)]
            if (chosen := [name for name in operations if name in SUITES[part].names])
        ]
        benches = [Bench(plan, generator, cores, say) for plan in plans]
        if not benches:
            raise click.UsageError("None of these parts has one of these operations.")
        click.echo(_heading(benches[0]))
        for bench in benches:
            part = results.setdefault(bench.plan.suite.name, {})
            for database in databases:
                with tempfile.TemporaryDirectory(prefix="roster-bench-") as folder:
                    part[database] = bench.measure(database, Path(folder))
                shown = report(database, bench.plan.suite, part[database], bench.plan.kinds)
                click.echo(f"\n{shown}")
    except (load.LoadError, DifferenceError, ServerError) as error:
        raise click.ClickException(str(error)) from None
    output.mkdir(parents=True, exist_ok=True)
    written = json.dumps(_everything(benches[0], results), indent=2)
    (output / "bench.json").write_text(written, encoding="utf-8")
    panels = [
        Part(bench.plan.suite, bench.plan.kinds, results[bench.plan.suite.name])
        for bench in benches
    ]
    picture = draw(panels, _subtitle(benches[0]))
    for path in (output / "bench.svg", *([PICTURE] if keep else [])):
        path.write_text(picture, encoding="utf-8")
    click.echo(f"\nWritten to {output}: bench.json, bench.svg")


def _there(suite: Suite, only: Sequence[str]) -> list[Kind]:
    """Return the chosen servers of a part, without those that cannot run here."""
    chosen = [kind for kind in suite.kinds if kind.name in only]
    for kind in chosen:
        if not kind.is_there:
            click.echo(f"{kind.label} is left out: Node or its packages are absent.", err=True)
    return [kind for kind in chosen if kind.is_there]


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


def _everything(bench: Bench, results: dict[str, dict[str, Results]]) -> dict[str, Any]:
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
        "parts": {
            part: {
                "databases": {database: each.as_json() for database, each in found.items()},
                "goals": {
                    database: [
                        {**asdict(goal), "is_met": goal.is_met} for goal in goals(database, each)
                    ]
                    for database, each in found.items()
                },
            }
            for part, found in results.items()
        },
    }


if __name__ == "__main__":
    main()

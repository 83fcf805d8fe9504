"""The command line of the benchmark: `python -m tests.benchmarks`."""

import shutil
import socket
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

from tests.benchmarks import data, load, operations, servers


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@click.command()
@click.option("--seconds", default=2.0)
@click.option("--rounds", default=3)
@click.option("--only", multiple=True)
@click.option("--operation", "wanted", multiple=True)
def main(seconds: float, rounds: int, only: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """Measure."""
    generator = load.find()
    click.echo(generator.name)
    with tempfile.TemporaryDirectory(prefix="roster-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        template = folder / "template.db"
        known = data.fill(f"sqlite:///{template}")
        started = []
        for kind in servers.KINDS:
            if only and kind.name not in only:
                continue
            copy = folder / f"{kind.name}.db"
            shutil.copy(template, copy)
            started.append(
                stack.enter_context(
                    servers.serving(kind, f"sqlite:///{copy}", free_port(), folder, {0})
                )
            )
        for operation in operations.operations(known):
            if operation.name not in (wanted or ("users_me", "users", "team", "create_team")):
                continue
            found: dict[str, list[load.Figures]] = {}
            for _ in range(rounds):
                for server in started:
                    with servers.pinned({1}):
                        found.setdefault(server.kind.name, []).append(
                            generator.run(server.url, operation, connections=16, seconds=seconds)
                        )
            for server_name, figures in found.items():
                failed = sum(each.failed for each in figures)
                rate = statistics.median(each.rate for each in figures)
                p50 = statistics.median(each.p50 for each in figures)
                p99 = statistics.median(each.p99 for each in figures)
                click.echo(
                    f"{operation.name:12} {server_name:10} {rate:9.0f} {p50:7.2f} {p99:7.2f}"
                    + (f" FAILED {failed}" if failed else "")
                )
        time.sleep(0.1)


if __name__ == "__main__":
    main()

"""Hostile requests: what the worst of them costs, and how long it holds Python's lock."""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from models import development
from models.database import migrate
from roster import settings
from roster.application import Application, create_app
from roster.contract.operation import Operation
from roster.server import memory
from tests.benchmarks.data import BOUNDLESS
from tests.hostile import Attack, attacks_on
from tests.roster.raw import FORM, body_of, converse, http_scope
from tests.scopes import ALL_SCOPES

# Figures above these are measured again: other programs disturb them, and never for the better.
_WORTH_A_SECOND_LOOK = 0.025
_REPEATS = 3


@dataclass(frozen=True)
class Cost:
    """What a request cost: seconds of CPU, and the longest that no other thread could run."""

    cpu: float
    held: float
    status: int


class Ticker(threading.Thread):
    """Tick in a thread of its own, and note the longest time between two ticks.

    The time is that of the process, which does not pass while other programs have the cores.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest = 0.0
        self._ends = threading.Event()

    def run(self) -> None:
        """Tick until the end."""
        before = time.process_time()
        while not self._ends.is_set():
            time.sleep(0.0005)
            after = time.process_time()
            self.longest = max(self.longest, after - before)
            before = after

    def end(self) -> None:
        """Stop ticking."""
        self._ends.set()
        self.join()


def cost_of(app: Application, operation: Operation, attack: Attack, token: bytes = b"") -> Cost:
    """Send a request to a server in this process, and measure it."""
    headers = list(attack.headers)
    if token and not any(name == b"authorization" for name, _ in headers):
        headers.append((b"authorization", token))
    scope = http_scope(operation.method, attack.path, query=attack.query, headers=headers)
    ticker = Ticker()
    ticker.start()
    began = time.process_time()
    messages = converse(app, scope, body_of(attack.body))
    took = time.process_time() - began
    ticker.end()
    return Cost(took, ticker.longest, messages[0]["status"])


def least_cost_of(
    app: Application, operation: Operation, attack: Attack, token: bytes = b""
) -> Cost:
    """Measure a request, several times where it seems to be a costly one."""
    costs = [cost_of(app, operation, attack, token)]
    while max(costs[-1].cpu, costs[-1].held) > _WORTH_A_SECOND_LOOK and len(costs) < _REPEATS:
        costs.append(cost_of(app, operation, attack, token))
    return Cost(min(each.cpu for each in costs), min(each.held for each in costs), costs[-1].status)


@contextmanager
def _server() -> Iterator[Application]:
    with tempfile.TemporaryDirectory(prefix="roster-hostile-") as folder:
        url = f"sqlite:///{Path(folder) / 'roster.db'}"
        chosen = settings.load(database_url=url, **BOUNDLESS)
        with memory.starting():
            app = create_app(chosen)
        migrate.upgrade(app.engine)
        with app.sessions() as session:
            development.load(session, chosen.origin, chosen.port, ALL_SCOPES)
            session.commit()
        yield app
        app.engine.dispose()


def _token(app: Application) -> bytes:
    form = b"grant_type=password&client_id=documentation&username=root&password=q"
    scope = http_scope("POST", "/auth/oauth2/token", headers=[FORM])
    _, body = converse(app, scope, body_of(form))
    return f"Bearer {json.loads(body['body'])['access_token']}".encode()


@click.command()
@click.option("--only", default="", help="The operationId of the one operation to measure.")
@click.option("--each", "is_each", is_flag=True, help="Print every request that costs over 50 ms.")
def main(*, only: str, is_each: bool) -> None:
    """Attack every operation, with a token and without; print the worst of each."""
    click.echo(f"{'operation':24}{'requests':>9}{'CPU, ms':>9}{'held, ms':>9}  the costliest one")
    with _server() as app:
        for operation in app.definition.operations:
            if only in {"", operation.id}:
                _print_worst(app, operation, is_each=is_each)


def _print_worst(app: Application, operation: Operation, *, is_each: bool) -> None:
    found: list[tuple[Cost, str]] = []
    for attack in attacks_on(operation):
        for token in (b"", _token(app)) if operation.is_protected else (b"",):
            cost = least_cost_of(app, operation, attack, token)
            name = f"{cost.status} {attack.name[:70]}"
            found.append((cost, name))
            if is_each and max(cost.cpu, cost.held) > 0.05:
                click.echo(f"    {cost.cpu * 1000:9.0f}{cost.held * 1000:9.0f}  {name}")
    worst, name = max(found, key=lambda pair: pair[0].cpu)
    held = max(cost.held for cost, _ in found)
    click.echo(f"{operation.id:24}{len(found):9}{worst.cpu * 1000:9.0f}{held * 1000:9.0f}  {name}")


if __name__ == "__main__":
    main()

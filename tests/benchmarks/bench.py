"""The benchmark itself: starts the servers, verifies them, and measures one after the other.

All servers run side by side, with one worker each, on one core; load and PostgreSQL have the other
cores (see `machine`). Those that nobody asks just wait.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import data, databases, machine
from tests.benchmarks.databases import LABELS, Copy
from tests.benchmarks.load import Figures, Generator, LoadError
from tests.benchmarks.machine import Cores
from tests.benchmarks.operations import Operation, operations
from tests.benchmarks.results import Results, Round
from tests.benchmarks.servers import ROSTER, SERVE, Kind, Server, serving
from tests.benchmarks.verify import verify


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and for how long."""

    kinds: Sequence[Kind]
    operations: Sequence[str]
    connections: int
    seconds: float
    rounds: int
    warm_up: float = 0.5


@dataclass(frozen=True)
class Bench:
    """The means to measure with."""

    plan: Plan
    generator: Generator
    cores: Cores
    say: Callable[[str], None]

    def measure(self, database: str, folder: Path) -> Results:
        """Measure all servers on one kind of database.

        Rounds are interleaved: in each one every operation is asked of every server in turn, and
        only one server is under load at a time.

        :raises DifferenceError: where the servers do not answer the same.
        :raises LoadError: where one answers an error under load.
        """
        results = Results()
        with machine.pinned(self.cores.load), ExitStack() as stack:
            known, copy = stack.enter_context(databases.KINDS[database](folder))
            servers = self._start(stack, copy, folder, results)
            self.say(f"{LABELS[database]}: {len(servers)} servers run; comparing their answers")
            verify(servers, known)
            wanted = [each for each in operations(known) if each.name in self.plan.operations]
            for number in range(1, self.plan.rounds + 1):
                self.say(f"{LABELS[database]}: round {number} of {self.plan.rounds}")
                for operation in wanted:
                    for server in servers:
                        self._measure(server, operation, results, warm_up=number == 1)
                    if number == 1 and operation.name == "mix":
                        results.memory = _memory(servers)
            results.memory_after_logins = _memory(servers)
            for server in servers:
                if server.kind is ROSTER:
                    self._hammer(server, {each.name: each for each in operations(known)}, results)
        return results

    def _start(self, stack: ExitStack, copy: Copy, folder: Path, results: Results) -> list[Server]:
        """Start every server as often as there are rounds, for the time that it takes; keep one."""
        servers = []
        for kind in self.plan.kinds:
            url = copy(kind.name)
            if kind is ROSTER:
                for _ in range(self.plan.rounds):
                    with serving(SERVE, url, folder, self.cores.server) as server:
                        results.starts.setdefault(SERVE.name, []).append(server.started_in)
            for _ in range(self.plan.rounds - 1):
                with serving(kind, url, folder, self.cores.server) as server:
                    results.starts.setdefault(kind.name, []).append(server.started_in)
            server = stack.enter_context(serving(kind, url, folder, self.cores.server))
            results.starts.setdefault(kind.name, []).append(server.started_in)
            servers.append(server)
        return servers

    def _measure(
        self, server: Server, operation: Operation, results: Results, *, warm_up: bool
    ) -> None:
        if warm_up and self.plan.warm_up:
            self.load(server, operation, self.plan.warm_up)
        results.add(operation.name, server.kind.name, self._round(server, operation))

    def _round(self, server: Server, operation: Operation) -> Round:
        processes = server.processes
        began = time.monotonic()
        own = machine.process_seconds(processes)
        core = machine.busy_seconds(self.cores.server)
        figures = self._figures(server, operation)
        own_after = machine.process_seconds(processes)
        core_after = machine.busy_seconds(self.cores.server)
        seconds = time.monotonic() - began
        cpu = others = None
        if own is not None and own_after is not None:
            cpu = (own_after - own) / seconds
            if core is not None and core_after is not None:
                others = max(0.0, (core_after - core) / seconds - cpu)
        return Round(figures, cpu, others)

    def _figures(self, server: Server, operation: Operation) -> Figures:
        """Measure, and for longer where nothing is answered in so short a time."""
        for times in (1, 5, 25):
            figures = self.load(server, operation, times * self.plan.seconds)
            if figures.requests:
                return figures
        raise LoadError(f"{server.kind.label} answers no {operation.label}.")

    def _hammer(self, server: Server, known: dict[str, Operation], results: Results) -> None:
        """Measure the latency of `users/me` alone, and beside as many clients that log in."""
        me, logins = known["users_me"], known["password"]
        seconds = self.plan.seconds
        self.say(f"{server.kind.label}: users/me while {self.plan.connections} clients log in")
        with ThreadPoolExecutor(1) as pool:
            for _ in range(self.plan.rounds):
                results.quiet_p99.append(self._figures(server, me).p99)
                hammering = pool.submit(self.load, server, logins, seconds + 1)
                time.sleep(0.5)
                results.hammered_p99.append(self._figures(server, me).p99)
                hammering.result()

    def load(self, server: Server, operation: Operation, seconds: float) -> Figures:
        tokens = (
            data.refresh_tokens(server.database_url, 2 * self.plan.connections)
            if operation.rotates
            else ()
        )
        figures = self.generator.run(
            server.url,
            operation,
            connections=self.plan.connections,
            seconds=seconds,
            tokens=tokens,
        )
        server.settle()
        if figures.failed:
            raise LoadError(
                f"{server.kind.label} failed {figures.failed} of {figures.requests} requests of"
                f" {operation.label}. Its log ends:\n{server.log_end()}"
            )
        return figures


def _memory(servers: Sequence[Server]) -> dict[str, dict[str, float]]:
    return {server.kind.name: machine.memory(server.worker) for server in servers}

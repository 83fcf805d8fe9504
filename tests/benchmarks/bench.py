"""The benchmark itself: starts the servers, verifies them, and measures one after the other.

All servers run side by side, with one worker each, on one core; load and PostgreSQL have the other
cores (see `machine`). Those that nobody asks just wait.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import authorization, databases, machine
from tests.benchmarks.databases import LABELS, Copy
from tests.benchmarks.load import Figures, Generator, LoadError
from tests.benchmarks.machine import Cores
from tests.benchmarks.operations import Operation
from tests.benchmarks.results import Results, Round, Storm
from tests.benchmarks.servers import ROSTER, SERVE, Kind, Server, serving
from tests.benchmarks.suites import Suite

# So many secrets are made for a second of load, until the speed of a server is known; and how many
# times as many as it took, as a server may be slow at first.
_SPENT_PER_SECOND = 8000
_RESERVE = 3


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and for how long."""

    suite: Suite
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
    # By server and operation, the most requests in a second that were seen.
    fastest: dict[tuple[str, str], float] = field(default_factory=dict)

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
            kinds = [kind for kind in self.plan.kinds if database in kind.databases]
            servers = self._start(kinds, stack, copy, folder, results)
            where = f"{LABELS[database]}, {self.plan.suite.label}"
            self.say(f"{where}: {len(servers)} servers run; comparing their answers")
            self.plan.suite.verify(servers, known)
            found = {each.name: each for each in self.plan.suite.operations(known)}
            wanted = [each for name, each in found.items() if name in self.plan.operations]
            for number in range(1, self.plan.rounds + 1):
                self.say(f"{where}: round {number} of {self.plan.rounds}")
                for operation in wanted:
                    for server in servers:
                        if operation.name in server.kind.lacks:
                            continue
                        self._measure(server, operation, results, warm_up=number == 1)
                    if number == 1 and operation.name == "mix":
                        results.memory = _memory(servers)
            results.memory_after_logins = _memory(servers)
            for server in servers:
                if server.kind is ROSTER:
                    for name in self.plan.suite.stormed:
                        self._hammer(server, found[name], results)
        return results

    def _start(
        self,
        kinds: Sequence[Kind],
        stack: ExitStack,
        copy: Copy,
        folder: Path,
        results: Results,
    ) -> list[Server]:
        """Start every server as often as there are rounds, for the time that it takes; keep one."""
        servers = []
        for kind in kinds:
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

    def _hammer(self, server: Server, operation: Operation, results: Results) -> None:
        """Measure the latency of an operation alone, and beside as many clients that log in."""
        seconds = self.plan.seconds
        clients = self.plan.connections
        self.say(f"{server.kind.label}: {operation.label} while {clients} clients log in")
        storm = Storm()
        with ThreadPoolExecutor(1) as pool:
            for _ in range(self.plan.rounds):
                storm.quiet_p99.append(self._figures(server, operation).p99)
                logins = authorization.logins()
                hammering = pool.submit(self.load, server, logins, seconds + 1)
                time.sleep(0.5)
                storm.hammered_p99.append(self._figures(server, operation).p99)
                hammering.result()
        results.storms[operation.name] = storm

    def load(self, server: Server, operation: Operation, seconds: float) -> Figures:
        """Make the requests of an operation for some time."""
        tokens: Sequence[str] = ()
        if operation.takes:
            count = self._count(server, operation, seconds)
            tokens = self.plan.suite.prepare(server, operation.takes, count)
            server.settle()
        figures = self.generator.run(
            server.url,
            operation,
            connections=self.plan.connections,
            seconds=seconds,
            tokens=tokens,
        )
        place = (server.url, operation.name)
        self.fastest[place] = max(self.fastest.get(place, 0.0), figures.rate)
        server.settle()
        if figures.failed:
            raise LoadError(
                f"{server.kind.label} failed {figures.failed} of {figures.requests} requests of"
                f" {operation.label}. Its log ends:\n{server.log_end()}"
            )
        return figures

    def _count(self, server: Server, operation: Operation, seconds: float) -> int:
        """Tell how many secrets a load needs: those that are spent must last to its end."""
        if operation.use != "spend":
            return max(operation.count, 2 * self.plan.connections)
        seen = self.fastest.get((server.url, operation.name))
        rate = _SPENT_PER_SECOND if seen is None else _RESERVE * seen
        return int(rate * seconds) + 4 * self.plan.connections


def _memory(servers: Sequence[Server]) -> dict[str, dict[str, float]]:
    return {server.kind.name: machine.memory(server.worker) for server in servers}

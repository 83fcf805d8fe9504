"""The results: what each round has measured, the medians, and the goals."""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tests.benchmarks.load import Figures


@dataclass(frozen=True)
class Goal:
    """A goal: what is compared, what came out, and what it should be at least or at most."""

    what: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound


@dataclass(frozen=True)
class Round:
    """One server under one load: the figures, and what share of its core it had.

    `others` is the share of that core that other processes had: on a quiet machine next to none.
    """

    figures: Figures
    cpu: float | None = None
    others: float | None = None


@dataclass
class Storm:
    """The 99th percentiles of Roster's answers to an operation, alone and beside logins, in ms."""

    quiet_p99: list[float] = field(default_factory=list)
    hammered_p99: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times as long the answers take beside logins."""
        return median(self.hammered_p99) / median(self.quiet_p99)


# By operation and by server.
Rounds = dict[str, dict[str, list[Round]]]


@dataclass
class Results:
    """What was measured on one kind of database."""

    rounds: Rounds = field(default_factory=dict)
    starts: dict[str, list[float]] = field(default_factory=dict)
    # After the mix, and at the end, when a worker may hold on to what many hashes at once took.
    memory: dict[str, dict[str, float]] = field(default_factory=dict)
    memory_after_logins: dict[str, dict[str, float]] = field(default_factory=dict)
    storms: dict[str, Storm] = field(default_factory=dict)

    def add(self, operation: str, server: str, measured: Round) -> None:
        """Keep what one round has measured."""
        self.rounds.setdefault(operation, {}).setdefault(server, []).append(measured)

    def rate(self, operation: str, server: str) -> float:
        """Return the median of requests per second."""
        return median(each.figures.rate for each in self.rounds[operation][server])

    def p50(self, operation: str, server: str) -> float:
        """Return the median of the rounds' medians, in milliseconds."""
        return median(each.figures.p50 for each in self.rounds[operation][server])

    def p99(self, operation: str, server: str) -> float:
        """Return the median of the rounds' 99th percentiles, in milliseconds."""
        return median(each.figures.p99 for each in self.rounds[operation][server])

    def ratio(self, operation: str, server: str, to: str) -> float:
        """Tell how many times as fast a server is as another."""
        return self.rate(operation, server) / self.rate(operation, to)

    def disturbance(self) -> float:
        """Return the largest share of the server's core that others had in a median round."""
        shares = [
            median(each.others or 0.0 for each in rounds)
            for servers in self.rounds.values()
            for rounds in servers.values()
        ]
        return max(shares, default=0.0)

    def as_json(self) -> dict[str, Any]:
        """Return all of it: every round and the medians."""
        return {
            "operations": {
                operation: {
                    server: {
                        "median": {
                            "rate": self.rate(operation, server),
                            "p50": self.p50(operation, server),
                            "p99": self.p99(operation, server),
                            "rate_per_cpu_second": _per_cpu_second(rounds),
                        },
                        "rounds": [asdict(each) for each in rounds],
                    }
                    for server, rounds in servers.items()
                }
                for operation, servers in self.rounds.items()
            },
            "ratios": self.ratios(),
            "start_milliseconds": self.starts,
            "memory_mib": self.memory,
            "memory_after_logins_mib": self.memory_after_logins,
            "storms_p99": {name: asdict(storm) for name, storm in self.storms.items()},
        }

    def ratios(self) -> dict[str, dict[str, float]]:
        """Return how many times as fast Roster is as each of the others."""
        return {
            operation: {
                other: self.ratio(operation, "roster", other)
                for other in servers
                if other != "roster"
            }
            for operation, servers in self.rounds.items()
            if "roster" in servers
        }


def _per_cpu_second(rounds: list[Round]) -> float | None:
    """Return the requests answered with one second of a core; it suffers less from others."""
    rates = [each.figures.rate / each.cpu for each in rounds if each.cpu]
    return median(rates) if rates else None


_SPEED = {
    "users_me": {"fastapi": 3.0, "connexion": 4.0},
    "users": {"fastapi": 3.0, "connexion": 4.0},
    "team": {"fastapi": 2.5, "connexion": 3.5},
    "create_team": {"fastapi": 2.5, "connexion": 3.5},
    "client_credentials": {"dot": 5.0, "authlib": 4.0, "oidc_memory": 0.5},
    "code": {"dot": 5.0, "authlib": 4.0, "oidc_memory": 0.4},
    "rotation": {"dot": 5.0, "authlib": 4.0, "oidc_memory": 0.4},
    "introspect_live": {"dot": 8.0, "authlib": 5.0, "oidc_memory": 0.8},
    "introspect_dead": {"dot": 8.0, "authlib": 5.0, "oidc_memory": 0.8},
    "consent_to_code": {"dot": 4.0, "oidc_memory": 0.3},
}
_LIMIT = {
    "sqlite": {"users_me": 0.18, "users": 0.18, "team": 0.12, "create_team": 0.12},
    "postgresql": {"users_me": 0.25, "users": 0.25, "team": 0.20, "create_team": 0.20},
}


def speed_goal(database: str, operation: str, other: str) -> float | None:
    """Return how many times as fast as another server Roster should be; None if nobody said."""
    if other == "limit":
        return _LIMIT[database].get(operation)
    return _SPEED.get(operation, {}).get(other)


def goals(database: str, results: Results) -> list[Goal]:
    """Hold the results against every goal for which something was measured."""
    found = []
    for operation, ratios in results.ratios().items():
        for other, ratio in ratios.items():
            bound = speed_goal(database, operation, other)
            if bound is not None:
                found.append(Goal(f"{operation}: times as fast as {other}", ratio, bound))
        if "fastapi" in ratios:
            mine, bound = results.p99(operation, "roster"), results.p99(operation, "fastapi")
            found.append(Goal(f"{operation}: p99 in ms, FastAPI's", mine, bound, at_most=True))
    return found + _other_goals(results)


def _other_goals(results: Results) -> list[Goal]:
    found = []
    mine, other = (results.memory.get(name, {}).get("pss") for name in ("roster", "fastapi"))
    if mine and other:
        found.append(Goal("memory: times FastAPI's", mine / other, 1.2, at_most=True))
    for name in ("roster", "serve"):
        if name in results.starts:
            start = median(results.starts[name])
            found.append(Goal(f"{name}: start in ms", start, 1500, at_most=True))
    if "users_me" in results.storms:
        what = "users_me: p99 beside 16 logins, times the quiet one"
        found.append(Goal(what, results.storms["users_me"].ratio, 5, at_most=True))
    return found

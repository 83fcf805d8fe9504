"""The benchmark in a short run, peers included; no figure is held against any other."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from tests.benchmarks import databases
from tests.benchmarks.__main__ import main
from tests.benchmarks.bench import Bench, Plan
from tests.benchmarks.data import Data
from tests.benchmarks.databases import Copy
from tests.benchmarks.load import Figures, LoadError, find
from tests.benchmarks.machine import Cores
from tests.benchmarks.operations import Operation, Request, bearer
from tests.benchmarks.results import Goal, Results, Round
from tests.benchmarks.servers import KINDS, serving
from tests.benchmarks.verify import DifferenceError, verify

ANYWHERE: frozenset[int] = frozenset()
LIMIT = next(kind for kind in KINDS if kind.name == "limit")


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_all_servers_answer_the_same_and_are_measured(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "postgresql":
        # As root, the first server of a machine adds a system user: not at the same time as this.
        request.getfixturevalue("postgresql_server")
    command = f"--databases {database} --operations mix,refresh --seconds 0.2 --rounds 1"
    command += f" --warm-up 0 --connections 4 --output {tmp_path}"

    done = CliRunner().invoke(main, command.split(), catch_exceptions=False)

    assert done.exit_code == 0, done.output
    for kind in KINDS:
        assert kind.label in done.output
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["load"].split()[0] in {"wrk", "locust"}
    measured = written["databases"][database]
    for operation in ("mix", "refresh"):
        assert measured["operations"][operation].keys() == {kind.name for kind in KINDS}
        for server in measured["operations"][operation].values():
            assert_sensible(server)
    assert measured["ratios"]["mix"].keys() == {kind.name for kind in KINDS} - {"roster"}
    assert min(min(times) for times in measured["start_milliseconds"].values()) > 10
    assert measured["users_me_p99"]["hammered"][0] > 0
    assert any(goal["what"].startswith("memory") for goal in written["goals"][database])
    picture = ET.parse(tmp_path / "bench.svg").getroot()
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert f"{measured['operations']['mix']['roster']['median']['rate']:,.0f}" in texts


def assert_sensible(server: dict[str, Any]) -> None:
    """Check that a server answered, and that its figures agree with one another."""
    median = server["median"]
    assert median["rate"] > 0
    assert 0 < median["p50"] <= median["p99"] < 10_000
    figures = server["rounds"][0]["figures"]
    assert figures["failed"] == 0
    assert figures["requests"] >= 1


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Data, Copy]]:
    """Yield what is in the databases, and the function that makes one."""
    with databases.sqlite(tmp_path_factory.mktemp("bench")) as found:
        yield found


def test_a_server_that_answers_something_else_stops_the_benchmark(
    sqlite: tuple[Data, Copy], tmp_path: Path
) -> None:
    known, copy = sqlite
    right, other = copy("right"), copy("other")
    connection = sqlite3.connect(other.removeprefix("sqlite:///"))
    connection.execute("UPDATE users SET first_name = 'Grace' WHERE username = 'user1'")
    connection.commit()
    connection.close()

    with (
        serving(LIMIT, right, tmp_path, ANYWHERE) as one,
        serving(LIMIT, other, tmp_path, ANYWHERE) as two,
        pytest.raises(DifferenceError, match=r"GET users/me otherwise .*body/first_name: 'Grace'"),
    ):
        verify([one, two], known)


def test_a_server_that_does_not_refuse_stops_the_benchmark(
    sqlite: tuple[Data, Copy], tmp_path: Path
) -> None:
    known, copy = sqlite
    url = copy("lenient")
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.execute("UPDATE tokens SET expires_at = '2999-01-01 00:00:00.000000'")
    connection.commit()
    connection.close()

    with (
        serving(LIMIT, url, tmp_path, ANYWHERE) as server,
        pytest.raises(DifferenceError, match="the limit answers an expired token with 200"),
    ):
        verify([server], known)


def test_an_error_under_load_stops_the_benchmark(sqlite: tuple[Data, Copy], tmp_path: Path) -> None:
    _known, copy = sqlite
    plan = Plan([LIMIT], ["users_me"], connections=2, seconds=0.3, rounds=1)
    bench = Bench(plan, find(), Cores(ANYWHERE, ANYWHERE), print)
    refused = Operation("users_me", (Request("GET", "/api/v1/users/me", bearer("unknown")),))

    with (
        serving(LIMIT, copy("refusing"), tmp_path, ANYWHERE) as server,
        pytest.raises(LoadError, match=r"the limit failed (\d+) of \1 requests of GET users/me"),
    ):
        bench.load(server, refused, plan.seconds)


def test_the_medians_of_the_rounds_count() -> None:
    results = Results()
    for rate, other in ((90, 30), (300, 10), (60, 20)):
        results.add("users_me", "roster", Round(Figures(rate, 1.0, 2.0, 100, 0)))
        results.add("users_me", "fastapi", Round(Figures(other, 1.0, 2.0, 100, 0)))

    assert results.rate("users_me", "roster") == 90
    assert results.ratios() == {"users_me": {"fastapi": 4.5}}


@pytest.mark.parametrize(
    ("value", "at_most", "is_met"),
    [(3.0, False, True), (2.9, False, False), (3.0, True, True), (3.1, True, False)],
)
def test_a_goal_is_met_at_its_bound(value: float, at_most: bool, is_met: bool) -> None:
    assert Goal("", value, bound=3.0, at_most=at_most).is_met is is_met

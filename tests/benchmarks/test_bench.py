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
from tests.benchmarks.suites import API, AUTHORIZATION
from tests.benchmarks.verify import DifferenceError, verify

ANYWHERE: frozenset[int] = frozenset()
LIMIT = next(kind for kind in KINDS if kind.name == "limit")


AUTHLIB = next(kind for kind in AUTHORIZATION.kinds if kind.name == "authlib")


def bench() -> Bench:
    plan = Plan(API, [LIMIT], ["users_me"], connections=2, seconds=0.3, rounds=1)
    return Bench(plan, find(), Cores(ANYWHERE, ANYWHERE), print)


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
    part = written["parts"]["api"]
    measured = part["databases"][database]
    for operation in ("mix", "refresh"):
        assert measured["operations"][operation].keys() == {kind.name for kind in KINDS}
        for server in measured["operations"][operation].values():
            assert_sensible(server)
    assert measured["ratios"]["mix"].keys() == {kind.name for kind in KINDS} - {"roster"}
    assert min(min(times) for times in measured["start_milliseconds"].values()) > 10
    assert measured["storms_p99"]["users_me"]["hammered_p99"][0] > 0
    assert any(goal["what"].startswith("memory") for goal in part["goals"][database])
    picture = ET.parse(tmp_path / "bench.svg").getroot()
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert f"{measured['operations']['mix']['roster']['median']['rate']:,.0f}" in texts


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("peers", ["dot,authlib", "oidc_memory,oidc_postgresql"])
def test_authorization_servers_are_verified_and_measured(
    database: str, peers: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kinds = [kind for kind in AUTHORIZATION.kinds if kind.name in ("roster", *peers.split(","))]
    kinds = [kind for kind in kinds if database in kind.databases]
    if not all(kind.is_there for kind in kinds):
        pytest.skip("there is no Node here, or `make bench` has not installed the peer's packages")
    if database == "postgresql":
        request.getfixturevalue("postgresql_server")
    command = f"--parts authorization --only roster,{peers} --databases {database} --seconds 0.2"
    command += f" --rounds 1 --warm-up 0 --connections 4 --output {tmp_path}"

    done = CliRunner().invoke(main, command.split(), catch_exceptions=False)

    assert done.exit_code == 0, done.output
    part = json.loads((tmp_path / "bench.json").read_text())["parts"]["authorization"]
    measured = part["databases"][database]
    assert measured["operations"].keys() == {*AUTHORIZATION.names}
    for operation, servers in measured["operations"].items():
        assert servers.keys() == {kind.name for kind in kinds if operation not in kind.lacks}
        for server in servers.values():
            assert_sensible(server)
    assert {*measured["storms_p99"]} == {*AUTHORIZATION.stormed}
    assert any(goal["what"].startswith("rotation: times") for goal in part["goals"][database])
    for kind in kinds:
        assert kind.label in (tmp_path / "bench.svg").read_text()


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


def test_an_authorization_server_that_does_not_refuse_stops_the_benchmark(
    sqlite: tuple[Data, Copy], tmp_path: Path
) -> None:
    known, copy = sqlite
    url = copy("forgiving")

    with serving(AUTHLIB, url, tmp_path, ANYWHERE) as server:
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute(
            "CREATE TRIGGER forgive AFTER UPDATE ON oauth2_token BEGIN"
            " UPDATE oauth2_token SET refresh_token_revoked_at = 0; END"
        )
        connection.commit()
        connection.close()

        with pytest.raises(DifferenceError, match="Authlib answers a used refresh token by 200"):
            AUTHORIZATION.verify([server], known)


def test_an_unexpected_answer_under_load_stops_the_benchmark(
    sqlite: tuple[Data, Copy], tmp_path: Path
) -> None:
    known, copy = sqlite
    me = Request("GET", "/api/v1/users/me", bearer(known.member_token))

    with (
        serving(LIMIT, copy("unexpected"), tmp_path, ANYWHERE) as server,
        pytest.raises(LoadError, match=r"the limit failed (\d+) of \1 requests of GET users/me"),
    ):
        bench().load(server, Operation("users_me", (me,), expects='"username" *: *"nobody"'), 0.3)


def test_secrets_are_taken_by_turns_or_once(sqlite: tuple[Data, Copy], tmp_path: Path) -> None:
    known, copy = sqlite
    kept, spent = [known.member_token, known.admin_token], ["unknown", "other", "third"]
    request = Request("GET", "/api/v1/users/me", bearer("{token}"))

    with serving(LIMIT, copy("taken"), tmp_path, ANYWHERE) as server:
        repeated = Operation("users_me", (request,), takes="access")
        figures = find().run(server.url, repeated, connections=2, seconds=0.3, tokens=kept)
        assert figures.requests > len(kept)
        assert figures.failed == 0

        once = Operation("users_me", (request,), takes="access", use="spend")
        figures = find().run(server.url, once, connections=2, seconds=0.3, tokens=[*kept, *spent])
        # The first one may be taken for a try.
        assert figures.requests - 2 <= figures.failed < figures.requests


def test_an_error_under_load_stops_the_benchmark(sqlite: tuple[Data, Copy], tmp_path: Path) -> None:
    _known, copy = sqlite
    refused = Operation("users_me", (Request("GET", "/api/v1/users/me", bearer("unknown")),))

    with (
        serving(LIMIT, copy("refusing"), tmp_path, ANYWHERE) as server,
        pytest.raises(LoadError, match=r"the limit failed (\d+) of \1 requests of GET users/me"),
    ):
        bench().load(server, refused, 0.3)


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

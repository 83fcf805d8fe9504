"""The commands that print the definition."""

from importlib import metadata
from types import SimpleNamespace

import pytest
import yaml

from roster.cli import definition
from roster.contract import loader
from roster.contract.definition import Definition
from tests.commands import Run
from tests.live import PRODUCTION

# spec and routes


@pytest.mark.parametrize("secret", [None, "too short"])
def test_the_definition_of_production_is_printed_without_any_setting(
    run: Run, monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    monkeypatch.setenv("ROSTER_ENV", "production")
    if secret:
        monkeypatch.setenv("ROSTER_SECRET_KEY", secret)
    served = loader.load("production")

    as_yaml, as_json = run("spec"), run("spec", "--json")

    assert as_yaml.out.encode() == served.as_yaml
    assert as_json.out.encode() == served.as_json
    assert yaml.safe_load(as_yaml.out)["openapi"] == "3.0.3"


def test_the_definition_of_an_environment_is_printed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs between the two is data of the definition; Roster's own has nothing of it."""
    loaded = []

    def load(environment: str) -> Definition:
        loaded.append(environment)
        return loader.load(environment)

    monkeypatch.setattr(definition, "loader", SimpleNamespace(load=load))

    run("spec")
    run("spec", "--environment", "development")
    refused = run("spec", "--environment", "staging")

    assert loaded == ["production", "development"]
    assert refused.status == 2


def test_the_table_of_routes_has_every_operation(run: Run) -> None:
    head, *rows = run("routes").out.splitlines()

    assert head.split() == ["METHOD", "PATH", "OPERATION", "SCOPES", "WHO"]
    operations = loader.load("development").operations
    assert [row.split()[:3] for row in rows] == [
        [operation.method, operation.path, operation.id] for operation in operations
    ]
    found = {row.split()[2]: row.split(maxsplit=4)[3:] for row in rows}
    assert found["read_me"] == ["users:read", "user"]
    assert found["sign_up"] == ["none", "newcomer, admin"]
    assert found["remove_member"] == [
        "teams:write",
        "(leader, admin, internal) and writer, or self",
    ]
    assert not any(row.endswith(" ") for row in rows)


@pytest.mark.parametrize(
    ("environment", "token", "access"),
    [
        ({}, "", ["none", "anyone"]),
        ({}, "a-token", ["metrics", "who has the operator's token"]),
        (PRODUCTION, "", ["metrics", "nobody, as ROSTER_METRICS_TOKEN is not set"]),
        (PRODUCTION, "a-token-of-the-operator's", ["metrics", "who has the operator's token"]),
    ],
)
def test_the_table_of_routes_says_who_reads_the_metrics(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    token: str,
    access: list[str],
) -> None:
    for name, value in {**environment, "ROSTER_METRICS_TOKEN": token}.items():
        monkeypatch.setenv(name, value)

    [row] = [each for each in run("routes").out.splitlines() if "read_metrics" in each]

    assert row.split(maxsplit=4)[3:] == access


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").out == f"roster {metadata.version('roster')}\n"

"""What the definition's `x-audit` may say, and what is told of a mistake in it."""

from pathlib import Path
from typing import Any

import pytest

from roster.contract import loader
from roster.contract.audit import Audited
from roster.contract.errors import DefinitionError
from tests.definitions import Change

TEAMS = "paths/api@v1@teams.yaml"
TEAM = "paths/api@v1@teams@{team_id}.yaml"
DECLARED = "x-audit: {action: team.created, target: team}"


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ("x-own: team", "there is no x-audit, which names the event that the operation leaves"),
        ("x-audti: {}", "x-audti is no name of this server's; did you mean x-audit?"),
        ("x-audit: team.created", "x-audit must be an object"),
        ("x-audit: {}", "x-audit: action must be two or more words with dots between"),
        (
            "x-audit: {acton: team.created, target: team}",
            "x-audit has no acton; did you mean action?",
        ),
        ("x-audit: {action: created, target: team}", "x-audit: action must be two or more words"),
        (
            f"x-audit: {{action: team.{'a' * 60}, target: team}}",
            "x-audit: action must be two or more words",
        ),
        ("x-audit: {action: team.created}", "x-audit: target must be one word"),
        ("x-audit: {action: team.created, target: a team}", "x-audit: target must be one word"),
        (
            "x-audit: {action: team.created, target: team, tells: title}",
            "x-audit: tells must be a list of members of the body",
        ),
        ("x-audit: {none: true}", "x-audit: none is the reason for no event, in words"),
        ("x-audit: {none: why, target: team}", "x-audit: none is the reason for no event"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    folder: Path, change: Change, declared: str, sentence: str
) -> None:
    change(TEAMS, DECLARED, declared)

    with pytest.raises(DefinitionError) as refused:
        loader.load("development", folder)

    assert sentence in str(refused.value)
    assert TEAMS in str(refused.value)
    assert "POST /api/v1/teams" in str(refused.value)


def test_a_target_whose_id_is_nowhere_is_refused(folder: Path, change: Change) -> None:
    change(TEAM, "{action: team.deleted, target: team}", "{action: team.deleted, target: club}")

    with pytest.raises(DefinitionError, match="neither the path nor the answer has the club_id"):
        loader.load("development", folder)


def test_what_only_reads_leaves_no_event(folder: Path, change: Change) -> None:
    change(TEAMS, "operationId: list_teams\n", f"operationId: list_teams\n  {DECLARED}\n")

    with pytest.raises(DefinitionError, match="an operation that only reads leaves no event"):
        loader.load("development", folder)


def test_a_reason_for_no_event_is_enough(folder: Path, change: Change) -> None:
    change(TEAMS, DECLARED, "x-audit: {none: nobody needs to know}")

    operation = loader.load("development", folder).operation("/api/v1/teams", "POST")

    assert operation.audited is None


@pytest.mark.parametrize(
    ("members", "parameters", "path", "answer"),
    [
        (("id", "title"), (), None, "id"),
        (("id", "team_id"), (), None, "team_id"),
        (("id",), ("team_id",), "team_id", None),
        (("id",), ("club_id",), None, "id"),
    ],
)
def test_the_id_of_the_target_is_in_the_path_or_else_in_the_answer(
    members: tuple[str, ...], parameters: tuple[str, ...], path: str | None, answer: str | None
) -> None:
    success: Any = {
        "content": {"application/json": {"schema": {"properties": {name: {} for name in members}}}}
    }
    declared = {"x-audit": {"action": "team.created", "target": "team"}}
    named = [{"in": "path", "name": name} for name in parameters]

    found = Audited.of(declared, named, success)

    assert found is not None
    assert (found.in_path, found.in_answer) == (path, answer)

"""Roles: a new one needs no change of the machinery, and a mistyped one is one line."""

from pathlib import Path

import pytest

from roster.contract import loader, permissions
from tests.definitions import Change, refusals

TEAM = "paths/api@v1@teams@{team_id}.yaml"
MEMBER = "  member: a member of the team"


def test_a_role_is_added_with_its_words_in_the_definition_alone(
    folder: Path, change: Change
) -> None:
    change("openapi.yaml", MEMBER, f"  assignee: who works on the team\n{MEMBER}")
    change(TEAM, "sees: [member,", "sees: [assignee, member,")

    added = loader.load("development", folder)

    permission = added.operation("/api/v1/teams/{team_id}", "GET").permission
    assert permission.sees[0] == "assignee"
    described = added.public["paths"]["/api/v1/teams/{team_id}"]["get"]["description"]
    assert "**Who may call:** who works on the team, a member of the team" in described
    assert "x-roles" not in added.public


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (TEAM, "sees: [member,", "sees: [membr,", ["GET /api/v1/teams/{team_id}", "mean member?"]),
        (TEAM, "object: team", "objct: team", ["GET /api/v1/teams/{team_id}", "mean object?"]),
        ("openapi.yaml", MEMBER, "  member:", ["x-roles: member needs the words"]),
        ("openapi.yaml", "x-roles:", "x-roles: 5\nx-others:", ["x-roles must be an object"]),
    ],
)
def test_a_mistake_is_one_line_with_its_operation(
    folder: Path, change: Change, file: str, old: str, new: str, words: list[str]
) -> None:
    change(file, old, new)

    assert any(all(word in line for word in words) for line in refusals(folder))


def test_every_role_of_the_definition_is_named_by_an_operation() -> None:
    defined = loader.load("development")
    named = {
        role
        for permission in (each.permission for each in defined.operations)
        for role in (
            *(*permission.sees, *permission.may, *permission.not_over),
            *(permission.and_also, permission.or_else),
        )
    }

    assert defined.document[permissions.ROLES].keys() == named - {None}

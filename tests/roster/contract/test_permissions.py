"""Permissions: the judgement, and the words for it."""

import pytest

from roster.contract import loader, permissions
from roster.contract.errors import DefinitionError
from roster.contract.permissions import Permission, Verdict

ROLES = loader.load("production").document["x-roles"]


def of(declared: dict[str, object]) -> Permission:
    """Read a permission in the words of the definition."""
    return Permission.of(declared, ROLES)


TEAM = of(
    {
        "object": "team",
        "sees": ["member", "admin"],
        "may": ["leader", "admin"],
        "and": "writer",
        "or": "self",
    }
)
USER = of(
    {
        "object": "user",
        "sees": ["self", "internal", "admin"],
        "not_over": {"internal": ["admin", "internal"]},
    }
)


@pytest.mark.parametrize(
    ("roles", "verdict"),
    [
        (set(), Verdict.ABSENT),
        ({"writer"}, Verdict.ABSENT),
        ({"member"}, Verdict.FORBIDDEN),
        ({"member", "writer"}, Verdict.FORBIDDEN),
        ({"member", "leader"}, Verdict.FORBIDDEN),
        ({"member", "leader", "writer"}, Verdict.GRANTED),
        ({"admin", "writer"}, Verdict.GRANTED),
        ({"member", "self"}, Verdict.GRANTED),
        ({"self"}, Verdict.ABSENT),
    ],
)
def test_who_does_not_see_gets_absent_and_who_may_not_refused(
    roles: set[str], verdict: Verdict
) -> None:
    assert TEAM.judge(frozenset(roles)) is verdict


@pytest.mark.parametrize(
    ("roles", "standing", "verdict"),
    [
        ({"internal"}, set(), Verdict.GRANTED),
        ({"internal"}, {"admin"}, Verdict.FORBIDDEN),
        ({"internal"}, {"internal"}, Verdict.FORBIDDEN),
        ({"internal", "self"}, {"internal"}, Verdict.GRANTED),
        ({"internal", "admin"}, {"admin"}, Verdict.GRANTED),
    ],
)
def test_a_role_may_not_reach_over_another(
    roles: set[str], standing: set[str], verdict: Verdict
) -> None:
    assert USER.judge(frozenset(roles), frozenset(standing)) is verdict


def test_anyone_is_everybody() -> None:
    assert of({"may": ["anyone"]}).judge(frozenset()) is Verdict.GRANTED


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({}, "lets nobody in"),
        ({"may": []}, "lets nobody in"),
        ({"object": "team", "sees": []}, "lets nobody in"),
        ({"sees": ["member"]}, "sees needs an object"),
        ({"may": ["emperor"]}, "may: x-roles has no role emperor"),
        ({"may": ["membr"]}, "no role membr; did you mean member?"),
        ({"object": "team", "sees": ["membr"]}, "sees: x-roles has no role membr; did you"),
        ({"may": ["user"], "and": "writr"}, "and: x-roles has no role writr; did you mean writer?"),
        ({"may": ["user"], "or": "slef"}, "or: x-roles has no role slef; did you mean self?"),
        ({"may": ["user"], "objct": "team"}, "x-permission has no objct; did you mean object?"),
        ({"may": ["user"], "unless": "admin"}, "x-permission has no unless"),
        ({"may": ["user"], "not_over": {"emperor": ["admin"]}}, "not_over: x-roles has no role"),
        ({"may": ["user"], "not_over": {"user": ["emperor"]}}, "not_over: x-roles has no role"),
        ({"may": ["user"], "not_over": {"admin": ["user"]}}, "admin is none of those who may"),
        ({"may": "user"}, "may must be a list"),
        ({"may": [1]}, "may must be a list"),
        ({"may": ["user"], "object": ["team"]}, "object must be one word"),
        ({"may": ["user"], "and": ["writer"]}, "and must be one word"),
        ({"may": ["user"], "not_over": ["user"]}, "not_over must have a list"),
        (["user"], "must be an object"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_a_sentence(
    declared: dict[str, object], sentence: str
) -> None:
    assert any(sentence in each for each in permissions.mistakes(declared, ROLES))

    with pytest.raises(DefinitionError, match="x-permission"):
        of(declared)


def test_the_sentence_says_it_all() -> None:
    assert TEAM.sentence == (
        "**Who may call:** a leader of the team or an admin, who must also be a writer (a regular"
        " user, an admin or an internal user); or the user concerned. To anyone but a member of"
        " the team or an admin the team does not exist (404)."
    )
    assert USER.sentence == (
        "**Who may call:** the user concerned, an internal user or an admin. An internal user may"
        " not do this to an admin or an internal user. To anyone else the user does not exist"
        " (404)."
    )


def test_the_table_has_it_short() -> None:
    assert TEAM.who == "(leader, admin) and writer, or self"
    assert USER.who == "self, internal, admin"
    assert of({"may": ["writer"]}).who == "writer"

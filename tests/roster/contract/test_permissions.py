"""Permissions: the judgement, and the words for it."""

import pytest

from roster.contract.permissions import Permission, Verdict

TEAM = Permission.of(
    {
        "object": "team",
        "sees": ["member", "admin"],
        "may": ["leader", "admin"],
        "and": "writer",
        "or": "self",
    }
)
USER = Permission.of(
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
    assert Permission.of({"may": ["anyone"]}).judge(frozenset()) is Verdict.GRANTED


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"may": []},
        {"may": ["emperor"]},
        {"may": ["user"], "and": "emperor"},
        {"may": ["user"], "unless": "admin"},
        {"may": ["user"], "not_over": {"emperor": ["admin"]}},
    ],
)
def test_what_cannot_be_understood_is_refused(declared: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="x-permission"):
        Permission.of(declared)


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
    assert Permission.of({"may": ["writer"]}).who == "writer"

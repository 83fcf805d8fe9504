"""The command that prints who may do what."""

import os
import pty
import subprocess

import pytest

from roster.contract import loader
from tests.commands import Run
from tests.live import PRODUCTION, ROSTER


def table(printed: str) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Read the first table: its roles, and the cells of each operation by the heads."""
    head, *lines = printed.partition("\n\n")[0].splitlines()
    names = head.split()
    starts = [head.index(f" {name}") + 1 if name != "OPERATION" else 0 for name in names]
    rows = {}
    for line in lines:
        ends = [*starts[1:], None]
        cells = [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
        rows[cells[0]] = dict(zip(names, cells, strict=True))
    return names[1:-1], rows


def notes(printed: str) -> dict[str, str]:
    """Read the numbered notes."""
    lines = printed.rpartition("\n\n")[2].splitlines()
    pairs = (line.split(maxsplit=1) for line in lines)
    return {pair[0]: pair[1] for pair in pairs}


@pytest.fixture
def printed(run: Run) -> str:
    """Return what the command prints where there is no terminal."""
    return run("matrix").out


def test_each_operation_is_held_against_each_role(printed: str) -> None:
    roles, rows = table(printed)
    defined = loader.load("development")

    assert list(rows) == [each.id for each in defined.operations]
    assert roles == [*defined.document["x-roles"]]
    for operation in defined.operations:
        row = rows[operation.id]
        allowed = {role for role in roles if row[role].startswith("+")}
        assert {*operation.permission.may} <= allowed
        assert all(row[role] for role in roles)


def test_what_anyone_may_each_role_may(printed: str) -> None:
    roles, rows = table(printed)

    assert {rows["read_health"][role] for role in roles} == {"+"}


def test_a_role_may_what_the_roles_that_it_brings_may(printed: str) -> None:
    _, rows = table(printed)

    for role in ("user", "writer", "admin", "internal"):
        assert rows["read_me"][role] == "+"
    assert rows["read_me"]["service"] == "."
    assert rows["create_team"]["user"] == "."


def test_conditions_are_notes(printed: str) -> None:
    _, rows = table(printed)
    told = notes(printed)

    def condition(operation: str, role: str) -> str:
        sign, number = rows[operation][role].split()
        assert sign == "+"
        return told[number]

    # "and", for the role that does not bring the other with it
    assert condition("change_team", "leader").startswith("The caller must also be a writer")
    assert rows["change_team"]["admin"] == "+"
    # "or", which suffices alone
    assert rows["remove_member"]["self"] == "+"
    # "not_over"
    assert condition("delete_user", "internal") == (
        "An internal user may not do this to an admin or an internal user."
    )
    # "sees"
    assert rows["change_team"]["member"] == "sees"
    assert told[rows["change_team"]["NOTES"]].endswith("the team does not exist (404).")
    assert rows["change_team"]["user"] == "."
    assert rows["create_team"]["NOTES"] == ""


def test_the_words_of_each_role_stand_below(printed: str) -> None:
    for role, noun in loader.load("development").document["x-roles"].items():
        assert f"\n{role:8}  {noun}\n" in printed


def test_the_operators_token_is_no_role(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**PRODUCTION, "ROSTER_METRICS_TOKEN": "a-token-of-the-operator's"}.items():
        monkeypatch.setenv(name, value)
    printed = run("matrix").out

    roles, rows = table(printed)

    assert {rows["read_metrics"][role] for role in roles} == {"."}
    note = notes(printed)[rows["read_metrics"]["NOTES"]]
    assert note == "Only who has the operator's token."


def on_a_terminal(**environment: str) -> bytes:
    """Run the command with a terminal as its output; return what that is sent."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [ROSTER, "matrix"], stdout=follower, env={**os.environ, **environment}
    ) as process:
        os.close(follower)
        pieces = []
        try:
            while piece := os.read(leader, 65536):
                pieces.append(piece)
        except OSError:  # so Linux tells the end of a terminal
            pass
        assert process.wait() == 0
    os.close(leader)
    return b"".join(pieces)


def test_a_terminal_gets_colours_and_nothing_else_does(printed: str) -> None:
    assert "\x1b" not in printed
    assert b"\x1b[32m\x1b[1m+" in on_a_terminal(NO_COLOR="")


def test_no_color_is_honoured(printed: str) -> None:
    sent = on_a_terminal(NO_COLOR="1")

    assert sent.replace(b"\r\n", b"\n").decode() == printed

"""The audit of packages, and what it makes of pip-audit's answers: these come from outside."""

import json
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from tests.audit_dependencies import CONSTRAINTS, UNREACHABLE, main, pinned

GOOD = {"name": "good", "version": "1", "vulns": []}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "own", "skip_reason": "not found"}


def answer(monkeypatch: pytest.MonkeyPatch, *found: dict[str, Any], raw: str | None = None) -> None:
    text = json.dumps({"dependencies": found}) if raw is None else raw
    done = SimpleNamespace(stdout=text, returncode=0)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)


def test_every_pin_is_audited() -> None:
    lines = pinned(CONSTRAINTS.read_text(encoding="utf-8"))

    assert len(lines) > 50
    assert all(" " not in line.partition(";")[0].strip() for line in lines)


def test_a_vulnerability_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, GOOD, BAD, UNKNOWN)

    assert main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "bad 2: PYSEC-1, repaired in 3",
        "own: not audited",
    ]


def test_packages_without_a_vulnerability_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, GOOD)

    assert main() == 0
    assert "No package" in capsys.readouterr().out


@pytest.mark.parametrize("raw", ["", "{}", json.dumps({"dependencies": [UNKNOWN]})])
def test_a_database_that_does_not_answer_is_told_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raw: str
) -> None:
    answer(monkeypatch, raw=raw)

    assert main() == 0
    assert capsys.readouterr().out == UNREACHABLE + "\n"

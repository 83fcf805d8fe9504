"""The commands of the README: each does what the README says, word for word, by the real curl."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import LiveServer
from tests.scopes import ALL_SCOPES

README = Path(__file__).parent.parent / "README.md"
FIRST_SCREEN = README.read_text(encoding="utf-8").partition("\n## ")[0]
COMMANDS = re.findall(r"^curl .+$", FIRST_SCREEN, re.MULTILINE)
USER = {
    "id",
    "username",
    "email",
    "first_name",
    "middle_name",
    "last_name",
    "is_active",
    "is_regular_user",
    "is_admin",
    "created",
    "updated",
}


def _answers(live: LiveServer) -> Iterator[tuple[int, Any]]:
    """Run the commands one after the other, with the tokens that those before were given."""
    tokens = {"access_token": "TOKEN", "refresh_token": "REFRESH"}
    for command in COMMANDS:
        line = command.replace("http://127.0.0.1:5000", live.url)
        line = re.sub(r"\bTOKEN\b", tokens["access_token"], line)
        line = re.sub(r"\bREFRESH\b", tokens["refresh_token"], line)
        done = subprocess.run(
            ["sh", "-c", rf"{line} --silent --show-error --write-out '\n%{{http_code}}'"],
            capture_output=True,
            check=True,
            text=True,
        )
        body, _, status = done.stdout.rpartition("\n")
        answer = json.loads(body)
        tokens |= {name: answer[name] for name in tokens if name in answer}
        yield int(status), answer


def test_each_command_is_answered_as_it_should_be(live: LiveServer) -> None:
    answers = list(_answers(live))

    assert [status for status, _ in answers] == [200] * 6
    by_url, by_form, by_basic, me, refreshed, service = (answer for _, answer in answers)
    for answer in (by_url, by_form, by_basic, refreshed):
        assert answer.keys() == {
            "token_type",
            "access_token",
            "refresh_token",
            "expires_in",
            "scope",
        }
    for answer in (by_url, by_form, by_basic, refreshed, service):
        assert answer["token_type"] == "Bearer"
        assert answer["expires_in"] == 3600
        assert answer["scope"] == " ".join(ALL_SCOPES)
    assert service.keys() == {"token_type", "access_token", "expires_in", "scope"}
    assert me.keys() == USER
    assert me["username"] == "root"
    tokens = {answer["access_token"] for answer in (by_url, by_form, by_basic, refreshed, service)}
    assert len(tokens) == 5


@pytest.mark.parametrize("live", ["sqlite"], indirect=True)
def test_no_password_and_no_token_reaches_the_log(live: LiveServer) -> None:
    answers = [answer for _, answer in _answers(live)]
    log = live.log.read_text()

    assert "/auth/oauth2/token" in log
    assert "password=" not in log
    for answer in answers:
        for name in ("access_token", "refresh_token"):
            assert name not in answer or answer[name] not in log

"""Settings as they are described: in `roster serve --help`, and in the README."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from roster.cli.main import roster
from roster.described_settings import described

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
# Names, and parts of names: `ROSTER_LIMIT_…`, `…_LOCK_SECONDS`, `_SECRET`.
NAMES = set(re.findall(r"`(…?_?[A-Z][A-Z_]*…?)[`=]", README))
SETTINGS = {each.name: each for each in described()}


def test_each_setting_has_one_line_in_the_help() -> None:
    text = CliRunner().invoke(roster, ["serve", "--help"], terminal_width=200).output

    for name, each in SETTINGS.items():
        assert re.search(rf"^  {name}  +{re.escape(each.help)}$", text, re.MULTILINE), name
        assert each.description.endswith(".")


def test_the_help_tells_no_secret_and_the_default_as_one_would_write_it() -> None:
    assert SETTINGS["ROSTER_SECRET_KEY"].default == ""
    assert SETTINGS["PORT"].default == "5000"
    assert SETTINGS["DATABASE_URL"].default == "sqlite:///roster.db"
    assert SETTINGS["ROSTER_ENV"].default == "development"


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_stands_in_the_readme(name: str) -> None:
    assert any(
        name == each
        or (each[0] in "…_" and name.endswith(each.lstrip("…")))
        or (each[-1] == "…" and name.startswith(each.rstrip("…")))
        for each in NAMES
    )


def test_the_readme_names_no_setting_that_is_none() -> None:
    named = set(re.findall(r"`(ROSTER_[A-Z_]+)[`=]", README))

    assert named <= SETTINGS.keys()

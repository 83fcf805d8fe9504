import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.benchmarks import scale, scale_day, scale_ending
from tests.benchmarks.scale_data import Size


@pytest.mark.slow
def test_growth_is_measured_on_both_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Size(users=200, teams=100, tokens=500)
    monkeypatch.setattr(scale, "SMALL", few)
    monkeypatch.setattr(scale, "LARGE", few)
    options = ("--rounds", "1", "--requests", "2", "--quiet", "0.2", "--output", str(tmp_path))

    run = CliRunner().invoke(scale.main, options, catch_exceptions=False)

    assert run.exit_code == 0, run.output
    written = json.loads((tmp_path / "bench-scale.json").read_text())
    for database in ("sqlite", "postgresql"):
        measured = written["databases"][database]
        assert database in run.output
        assert all(each["small_us"] > 0 < each["large_us"] for each in measured["costs"].values())
        assert measured["purge"]["removed"] >= few.tokens / 5
        assert measured["purge"]["meanwhile"]["writes"]["requests"] > 0


@pytest.mark.slow
def test_ending_very_many_grants_is_measured_on_both_databases() -> None:
    options = ("--grants", "50", "--quiet", "0.2")

    run = CliRunner().invoke(scale_ending.main, options, catch_exceptions=False)

    assert run.exit_code == 0, run.output
    for database in ("sqlite", "postgresql"):
        for case in ("narrow a client", "delete a client", "delete its owner"):
            assert f"{database}: {case}, 50 grants: " in run.output


@pytest.mark.slow
def test_a_day_of_refreshes_is_measured() -> None:
    options = ("--minutes", "2", "--seconds", "1", "--divide", "100")

    run = CliRunner().invoke(scale_day.main, options, catch_exceptions=False)

    assert run.exit_code == 0, run.output
    assert "minute 2" in run.output
    assert re.search(r"^[1-9]\d* refreshes; ", run.output, re.MULTILINE)

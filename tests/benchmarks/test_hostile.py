"""The benchmark of hostile requests, on one small operation."""

import pytest
from click.testing import CliRunner

from tests.benchmarks.hostile import main


@pytest.mark.slow
def test_the_worst_of_an_operation_is_printed() -> None:
    done = CliRunner().invoke(main, ["--only", "create_team"], catch_exceptions=False)

    _, line = done.output.splitlines()
    name, requests, cpu, held, *_ = line.split()
    assert name == "create_team"
    assert int(requests) > 100
    assert int(cpu) >= 0
    assert int(held) >= 0

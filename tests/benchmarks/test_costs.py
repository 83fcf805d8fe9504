"""The measurement of what a request costs each part: it works, for every operation."""

import shutil

import pytest
from click.testing import CliRunner

from tests.benchmarks import costs
from tests.benchmarks.operations import LABELS

# The first is a mix of others; the second is measured as `rotation`.
LEFT_OUT = {"mix", "refresh"}


@pytest.mark.slow
def test_every_operation_costs_something() -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("No redis-server is installed here.")

    printed = CliRunner().invoke(costs.main, ["--seconds", "1"], catch_exceptions=False).output

    found = {line[:28].strip(): [*map(int, line[28:].split())] for line in printed.splitlines()[1:]}
    assert found.keys() == {label for name, label in LABELS.items() if name not in LEFT_OUT}
    for requests, served, stored, _ in found.values():
        assert min(requests, served, stored) > 0

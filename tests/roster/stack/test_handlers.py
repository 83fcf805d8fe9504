"""Handlers that cannot be had are told in one line each, with the place in their own code."""

from dataclasses import replace
from pathlib import Path

import pytest

from roster.contract import loader
from roster.contract.errors import DefinitionError
from roster.stack.handlers import find_handler

BROKEN = {
    "syntax": ("def read(:\n", "SyntaxError: invalid syntax (broken_syntax.py, line 1)"),
    "name": (
        "\nfrom models import Projekt\n",
        "ImportError: cannot import name 'Projekt' from 'models'",
    ),
    "value": ("VALUE = 1 / 0\n", "ZeroDivisionError: division by zero (broken_value.py, line 1)"),
    "lacking": (
        "import no_such_module\n",
        "ModuleNotFoundError: No module named 'no_such_module' (broken_lacking.py, line 1)",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_module_that_cannot_be_imported_is_one_line_with_its_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, told = BROKEN[name]
    (tmp_path / f"broken_{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    [operation] = [each for each in loader.load("development").operations if each.id == "read_me"]
    spec = {**operation.spec, "x-openapi-router-controller": f"broken_{name}"}
    broken = replace(operation, spec=spec)

    with pytest.raises(DefinitionError) as raised:
        find_handler(broken)

    line = str(raised.value)
    expected = f"x-openapi-router-controller: broken_{name} cannot be imported: {told}"
    assert expected in line
    assert "\n" not in line

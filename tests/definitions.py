"""Copies of the definition, to be changed in a test, and what is wrong with them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from roster.contract import loader
from roster.contract.errors import DefinitionError

# Replaces a text in a file of the copy.
Change = Callable[[str, str, str], None]


def copy_of_the_definition(folder: Path) -> Path:
    """Copy the definition into a folder; return the copy's."""
    return Path(shutil.copytree(loader.FOLDER, folder / "openapi"))


def refusals(folder: Path) -> list[str]:
    """Return the lines with which a definition is refused."""
    with pytest.raises(DefinitionError) as refused:
        loader.load("development", folder)
    lines = [str(each) for each in refused.value.all]
    assert str(refused.value).startswith(lines[0])
    assert not any("\n" in line for line in lines)
    return lines

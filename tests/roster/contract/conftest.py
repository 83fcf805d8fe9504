"""A copy of the definition, for tests that make mistakes in it."""

from pathlib import Path

import pytest

from tests.definitions import Change, copy_of_the_definition


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the definition."""
    return copy_of_the_definition(tmp_path)


@pytest.fixture
def change(folder: Path) -> Change:
    """Return a function that replaces a text in a file of the copy."""

    def change(file: str, old: str, new: str) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change

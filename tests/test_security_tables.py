"""The tables of security: no cell is empty, and every file and test that they name is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("SECURITY.md", "docs/asvs.md")
STATUSES = {"met", "not met", "not applicable", "operator's"}
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}


def rows(page: str) -> list[list[str]]:
    lines = [each for each in TEXTS[page].splitlines() if each.startswith("|")]
    cells = [[cell.strip() for cell in each.strip("|").split("|")] for each in lines]
    rules = {at for at, row in enumerate(cells) if set("".join(row)) <= {"-"}}
    heads = {at - 1 for at in rules}
    return [row for at, row in enumerate(cells) if at not in rules | heads]


REQUIREMENTS = [row for row in rows("docs/asvs.md") if re.fullmatch(r"[\d.]+", row[0])]


@cache
def named_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("page", PAGES)
def test_no_cell_of_a_security_table_is_empty(page: str) -> None:
    found = rows(page)

    assert found
    for row in found:
        if row[0] not in STATUSES:
            assert all(row), row


def test_every_requirement_has_its_place_once() -> None:
    numbers = [tuple(map(int, row[0].split("."))) for row in REQUIREMENTS]

    assert len(numbers) == len(set(numbers)) == 253  # what ASVS 5.0.0 has in levels 1 and 2
    assert numbers == sorted(numbers)
    assert {len(row) for row in REQUIREMENTS} == {6}
    assert {row[1] for row in REQUIREMENTS} == {"1", "2"}
    assert {row[3] for row in REQUIREMENTS} == STATUSES


def test_the_counts_at_the_top_are_those_of_the_rows() -> None:
    for status in STATUSES:
        count = sum(row[3] == status for row in REQUIREMENTS)
        assert re.search(rf"^\| {status} \| {count}: ", TEXTS["docs/asvs.md"], re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_security_table_names_is_there(page: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXTS[page])

    assert named
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or (name and name not in named_in(file))
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_security_table_names_is_there(page: str) -> None:
    named = re.findall(r"`((?:roster|models|openapi|handlers|docs)/[\w./]*)`", TEXTS[page])

    assert [each for each in named if not (ROOT / each).exists()] == []

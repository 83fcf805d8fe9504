"""The command that writes the reference."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from roster.contract import loader
from tests.commands import Run


@pytest.fixture
def page(run: Run, tmp_path: Path) -> str:
    """Return the page, with a script that is none of Redoc's."""
    script = tmp_path / "redoc.js"
    script.write_text('logo = "https://cdn.redoc.ly/redoc/logo-mini.svg"; end = "</script>"')
    return run("reference", str(script)).out


def shown(page: str) -> dict[str, Any]:
    """Return the definition that the page shows."""
    found = re.search(r"Redoc\.init\((\{.*\}), \{ expand", page)
    assert found
    document: dict[str, Any] = json.loads(found[1])
    return document


def test_the_page_has_the_definition_the_guide_and_the_matrix(page: str) -> None:
    document = shown(page)

    text = document["info"].pop("description")
    assert "## First steps" in text
    assert "{{" not in text
    for operation in loader.load("development").operations:
        assert f"| [{operation.id}](#operation/{operation.id}) |" in text
    expected = loader.load("development").public
    assert document["paths"] == expected["paths"]


def test_the_page_loads_nothing(page: str) -> None:
    assert "cdn.redoc.ly" not in page
    assert "default-src 'none'" in page
    assert not re.search(r"""<(?:script|link|img)[^>]*(?:src|href)=["'](?!data:)""", page)


def test_no_text_ends_a_script(page: str) -> None:
    assert page.count("</script>") == page.count("<script>") == 2

"""The examples of errors: each says what the server says, in its words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oauthlib.oauth2.rfc6749 import grant_types

from roster.contract import loader

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [
    *(path for folder in ("roster", "models") for path in (ROOT / folder).rglob("*.py")),
    *Path(grant_types.__path__[0]).glob("*.py"),
]
# A sentence that is made of parts has at least these characters of its own.
MIN_FIXED = 12


def sentences(node: Any) -> Iterator[str]:
    """Find the sentences in a document's examples of errors."""
    if isinstance(node, list):
        for each in node:
            yield from sentences(each)
    if isinstance(node, dict):
        is_error = any(isinstance(node.get(name), str) for name in ("request_id", "error"))
        told = [node] if is_error else []
        for each in [*told, *(node.get("errors", ()) if told else ())]:
            found = each.get("detail") or each.get("error_description")
            if isinstance(found, str):
                yield found
        for each in node.values():
            yield from sentences(each)


def patterns(path: Path) -> Iterator[str]:
    """Find the texts in a module, as regular expressions in which anything stands for a value."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.escape(node.value)
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
            if sum(len(str(part)) for part in parts if part) >= MIN_FIXED:
                yield "".join(".+" if part is None else re.escape(str(part)) for part in parts)


@pytest.fixture(scope="module")
def said() -> re.Pattern[str]:
    """Return a pattern of all that the server can say."""
    return re.compile("|".join({each for path in SOURCES for each in patterns(path)}))


EXAMPLES = sorted({*sentences(loader.load("production").public)})


def test_there_are_examples_of_errors() -> None:
    assert len(EXAMPLES) > 40


@pytest.mark.parametrize("sentence", EXAMPLES)
def test_an_example_of_an_error_says_what_the_server_says(
    said: re.Pattern[str], sentence: str
) -> None:
    assert said.fullmatch(sentence)

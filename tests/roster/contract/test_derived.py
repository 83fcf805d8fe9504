"""What is declared once is derived for each operation, and breaks no client."""

from pathlib import Path
from typing import Any

import pytest

from roster.contract import loader
from roster.contract.changes import breaking
from roster.contract.draft4 import followed
from tests.definitions import Change, refusals

ROOT = "openapi.yaml"
DECLARED = "x-rate-limits:"


def without_limits(folder: Path) -> dict[str, Any]:
    """Load a copy that declares no rate limits, in which nothing refers to their answers."""
    (folder / ROOT).write_text((folder / ROOT).read_text().replace(DECLARED, "x-others:"))
    return loader.load("production", folder).document


def test_all_that_was_declared_before_is_declared_still(folder: Path) -> None:
    limited = loader.load("production", folder).document

    assert breaking(without_limits(folder), limited) == []


def test_without_the_declaration_there_is_neither_header_nor_refusal(folder: Path) -> None:
    paths = without_limits(folder)["paths"]

    assert "429" not in paths["/api/v1/users/me"]["get"]["responses"]
    assert "RateLimit" not in str(paths)


def test_an_operation_has_the_refusal_in_the_form_of_its_errors() -> None:
    document = loader.load("production").document

    def refusal(path: str, method: str) -> Any:
        return document["paths"][path][method]["responses"]["429"]

    of = "#/components/responses/"
    assert refusal("/api/v1/users/me", "get") == {"$ref": f"{of}RateLimited"}
    assert refusal("/auth/logout", "post") == {"$ref": f"{of}PageRateLimited"}
    # What was declared for another reason tells both, once.
    token = followed(document, refusal("/auth/oauth2/token", "post"))
    assert token["description"].count("Or too many requests") == 1
    assert {"RateLimit", "RateLimit-Policy", "Retry-After", "Pragma"} < token["headers"].keys()
    assert "OAuthRateLimited" not in document["components"]["responses"]


def test_statuses_stay_in_their_order() -> None:
    for item in loader.load("production").document["paths"].values():
        for operation in (each for each in item.values() if "responses" in each):
            assert [*operation["responses"]] == sorted(operation["responses"])


def test_an_answer_that_is_shared_with_an_operation_without_limits_is_its_own_there() -> None:
    document = loader.load("production").document
    health = document["paths"]["/healthz"]["get"]["responses"]["500"]
    shared = document["components"]["responses"]["InternalServerError"]

    assert "RateLimit" in shared["headers"]
    assert health == {**shared, "headers": {"X-Request-ID": shared["headers"]["X-Request-ID"]}}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("  refusals:", "  refusal:", "knows no refusal; did you mean refusals?"),
        ("  refusals:", "  x-refusals:", "must have the objects headers and refusals"),
        ("    text/html: {$ref", "    text/htm: {$ref", "refusals have no answer of text/html"),
        (f"{DECLARED}\n", f"{DECLARED} yes\nx-others:\n", "must be an object"),
        (
            "    RateLimit: {$ref: components/headers/RateLimit.yaml}",
            "    RateLimit: {}\n    X: {$ref: components/headers/RateLimit.yaml}",
            "RateLimit has no description",
        ),
    ],
)
def test_a_mistake_in_the_declaration_is_told(
    folder: Path, change: Change, old: str, new: str, sentence: str
) -> None:
    change(ROOT, old, new)

    assert any(sentence in each for each in refusals(folder))

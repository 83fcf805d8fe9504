"""What the published document does not show."""

import copy
from typing import Any

import pytest

from roster.contract import published

HIDDEN = {"type": "http", "scheme": "bearer", "x-unpublished": True}
SHOWN = {"type": "http", "scheme": "basic"}


def document(security: list[dict[str, list[str]]] | None) -> dict[str, Any]:
    """Make a document with one operation."""
    operation = {"operationId": "read"} | ({} if security is None else {"security": security})
    return {
        "paths": {"/": {"get": operation}},
        "components": {"securitySchemes": {"hidden": HIDDEN, "shown": SHOWN}},
    }


@pytest.mark.parametrize(
    ("declared", "shown"),
    [
        (None, None),
        ([], []),
        ([{"shown": []}], [{"shown": []}]),
        ([{"hidden": []}], []),
        ([{"hidden": []}, {}], []),
        ([{"hidden": []}, {"shown": []}], [{"shown": []}]),
        ([{"hidden": []}, {"shown": []}, {}], [{"shown": []}, {}]),
        ([{"shown": []}, {}], [{"shown": []}, {}]),
        ([{"hidden": [], "shown": []}], []),
    ],
)
def test_a_hidden_scheme_is_nowhere_in_the_published_document(declared: Any, shown: Any) -> None:
    given = document(declared)
    before = copy.deepcopy(given)

    made = published.of(given)

    assert made["paths"]["/"]["get"].get("security") == shown
    assert made["components"]["securitySchemes"] == {"shown": SHOWN}
    assert given == before


def test_a_document_without_components_stays_as_it_is() -> None:
    assert published.of({"paths": {}}) == {"paths": {}}

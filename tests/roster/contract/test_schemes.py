"""Security schemes that the published document does not show."""

import copy
from typing import Any

import pytest

from roster.contract import schemes

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
    ("declared", "published"),
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
def test_a_hidden_scheme_is_nowhere_in_the_published_document(
    declared: Any, published: Any
) -> None:
    given = document(declared)
    before = copy.deepcopy(given)

    made = schemes.published(given)

    assert made["paths"]["/"]["get"].get("security") == published
    assert made["components"]["securitySchemes"] == {"shown": SHOWN}
    assert given == before


def test_a_document_without_components_stays_as_it_is() -> None:
    assert schemes.published({"paths": {}}) == {"paths": {}}

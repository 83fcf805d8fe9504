"""Scopes: declared once, and one line for each way to get them wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from roster.contract import loader, scopes
from roster.contract.files import RELEASED
from tests.definitions import Change, refusals

SCHEME = "components/securitySchemes/oauth2.yaml"
READ_ME = "paths/api@v1@users@me.yaml"
FORM = "components/schemas/oauth/ConsentForm.yaml"


def test_a_scope_is_added_by_the_security_scheme_alone(folder: Path, change: Change) -> None:
    change(SCHEME, "      users:read:", "      rooms:read: See rooms\n      users:read:")

    added = loader.load("development", folder)

    assert added.scopes["rooms:read"] == "See rooms"
    document = json.dumps(added.public)
    assert "x-scopes" not in document
    assert len(loader.load("development").scopes) + 1 == len(added.scopes)
    schemas = added.public["components"]["schemas"]
    assert "rooms:read" in schemas["Scope"]["enum"]
    assert "scope.rooms:read" in schemas["ConsentForm"]["properties"]
    assert "`rooms:read`" in str(schemas["ConsentForm"]["properties"]["scope.rooms:read"])
    assert schemas["ClientCreate"]["properties"]["default_scopes"]["maxItems"] == len(added.scopes)


def test_each_list_of_all_scopes_comes_from_the_scheme(folder: Path, change: Change) -> None:
    before = loader.load("development")
    lists = [*lists_of(before.public, set(before.scopes))]
    assert len(lists) > 5
    change(SCHEME, "      users:read:", "      rooms:read: See rooms\n      users:read:")

    after = loader.load("development", folder).public

    assert [*lists_of(after, {*before.scopes, "rooms:read"})] == lists


def lists_of(node: Any, names: set[str], steps: str = "") -> Iterator[str]:
    """Yield the places of lists, texts and names that have all of these."""
    if isinstance(node, dict):
        if names <= {key.removeprefix("scope.") for key in node}:
            yield steps
        for key, each in node.items():
            yield from lists_of(each, names, f"{steps}/{key}")
    elif isinstance(node, list):
        if names <= {str(each) for each in node}:
            yield steps
        for index, each in enumerate(node):
            yield from lists_of(each, names, f"{steps}/{index}")
    elif isinstance(node, str) and names <= set(node.split()):
        yield steps


def test_no_file_but_the_scheme_lists_the_scopes() -> None:
    names = list(loader.load("production").scopes)
    found = [
        file.relative_to(loader.FOLDER).as_posix()
        for file in loader.FOLDER.rglob("*.yaml")
        if file.parent.name != RELEASED
        and all(name in file.read_text(encoding="utf-8") for name in names)
    ]

    assert found == [SCHEME]


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            READ_ME,
            "oauth2: [users:read]",
            "oauth2: [user:read]",
            ["GET /api/v1/users/me", "no scope user:read; did you mean users:read?"],
        ),
        (READ_ME, "oauth2: [users:read]", "oauth2: [zzz]", ["GET /api/v1/users/me", "scope zzz"]),
        ("openapi.yaml", "oauth2: []", "oauth2: [zzz]", ["security", "no scope zzz"]),
        (SCHEME, "flows:", "flows: {}\nx-flows:", ["oauth2", "no flows"]),
        (
            SCHEME,
            "    scopes: *scopes\n  client",
            "    scopes: {teams:raed: See teams}\n  client",
            ["authorizationCode", "there is no scope teams:read", "did you mean teams:raed?"],
        ),
        (
            SCHEME,
            "    scopes: *scopes\n  client",
            "    scopes: {<<: *scopes, zzz: More}\n  client",
            ["password", "there is no scope zzz, which the flow authorizationCode has"],
        ),
        (
            SCHEME,
            "    scopes: *scopes\n  client",
            "    scopes: {<<: *scopes, users:read: Other words}\n  client",
            ["oauth2.yaml", "authorizationCode", "describes users:read in other words"],
        ),
        (SCHEME, "users:read:", "'two words':", ["'two words' is no scope"]),
        (SCHEME, "users:read:", f"{'x' * 101}:", ["is no scope"]),
        (FORM, "scope.{scope}", "scope", ["ConsentForm", "must hold {scope}"]),
        (
            "components/schemas/oauth/Scope.yaml",
            "x-scopes: enum",
            "x-scopes: enmu",
            ["Scope", "did you mean enum?"],
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(
    folder: Path, change: Change, file: str, old: str, new: str, words: list[str]
) -> None:
    change(file, old, new)

    assert any(all(word in line for word in words) for line in refusals(folder))


def test_more_scopes_than_a_text_of_them_has_room_for_are_refused(
    folder: Path, change: Change
) -> None:
    many = "".join(f"      {'x' * 90}:{number}: More\n" for number in range(12))
    change(SCHEME, "      users:read:", f"{many}      users:read:")

    [line] = refusals(folder)
    assert f"more than {scopes.MAX_TEXT} characters" in line


def test_what_the_bound_of_all_scopes_fits_is_what_the_schemas_have_room_for() -> None:
    schemas = loader.load("development").public["components"]["schemas"]
    for name in ("TokenRequest", "TokenResponse", "Introspection"):
        assert schemas[name]["properties"]["scope"]["maxLength"] == scopes.MAX_TEXT


def test_a_scheme_of_another_kind_has_no_scopes() -> None:
    document = yaml.safe_load("components: {securitySchemes: {key: {type: apiKey}}}\npaths: {}")

    assert scopes.declared(document) == {}
    assert [*scopes.mistakes(document)] == []

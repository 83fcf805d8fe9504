"""Compositions: schemas that are parts of themselves, and discriminators that name no form."""

from pathlib import Path

import pytest

from roster.contract import loader
from tests.definitions import Change, refusals

SCHEMAS = "components/schemas/teams/"
CREATE = f"{SCHEMAS}TeamCreate.yaml"
IN_ITSELF = (
    "in allOf, oneOf, anyOf or not: no value could be judged; only a member or an item may be of"
    " the schema that holds it"
)


@pytest.fixture
def drafts(folder: Path, change: Change) -> Path:
    """Return the folder of a definition whose teams are drafts as well."""
    change(CREATE, "properties:\n", "properties:\n  draft: {$ref: Draft.yaml}\n")
    return folder


def write(folder: Path, **schemas: str) -> None:
    for name, text in schemas.items():
        (folder / SCHEMAS / f"{name}.yaml").write_text(text)


@pytest.mark.parametrize(
    "draft",
    [
        "allOf: [{$ref: Draft.yaml}, {type: object}]",
        "oneOf: [{type: string}, {$ref: Draft.yaml}]",
        "anyOf: [{type: string}, {allOf: [{$ref: Draft.yaml}]}]",
        "not: {$ref: Draft.yaml}",
        "type: object\nnot: {not: {oneOf: [{$ref: Draft.yaml}]}}",
    ],
)
def test_a_schema_that_is_a_part_of_itself_is_refused(drafts: Path, draft: str) -> None:
    write(drafts, Draft=draft)

    line = f"components/schemas/Draft: Draft holds Draft {IN_ITSELF}"
    assert refusals(drafts) == [f"openapi/{SCHEMAS}Draft.yaml: {line}"]


def test_a_circle_of_several_schemas_is_told_once(drafts: Path) -> None:
    write(drafts, Draft="oneOf: [{$ref: Kitten.yaml}, {$ref: Other.yaml}]")
    write(drafts, Kitten="$ref: Cat.yaml", Cat="allOf: [{$ref: Draft.yaml}]", Other="type: string")

    [line] = refusals(drafts)

    assert line.endswith(f": Cat holds Draft holds Kitten holds Cat {IN_ITSELF}")


@pytest.mark.parametrize(
    "draft",
    [
        "type: object\nproperties: {a: {$ref: Draft.yaml}}",
        "allOf: [{type: object, properties: {a: {allOf: [{$ref: Draft.yaml}]}}}]",
        "type: array\nitems: {$ref: Draft.yaml}",
        "oneOf: [{type: string}, {type: array, items: {oneOf: [{$ref: Draft.yaml}]}}]",
        "type: object\nadditionalProperties: {$ref: Draft.yaml}",
        "oneOf: [{$ref: Team.yaml}, {allOf: [{$ref: Team.yaml}]}]",
    ],
)
def test_a_schema_may_hold_itself_in_a_member_or_an_item(drafts: Path, draft: str) -> None:
    write(drafts, Draft=draft)

    loader.load("development", drafts)


def write_forms(folder: Path, key: str, to: str) -> None:
    """Write a schema with two forms, of which a word of its discriminator names one."""
    cat = "type: object\nproperties: {kind: {type: string}}"
    forms = f"{key}: [{{$ref: Cat.yaml}}, {{$ref: Dog.yaml}}]"
    stated = f"discriminator: {{propertyName: kind, mapping: {{cat: Cat, dog: {to}}}}}"
    write(folder, Draft=f"{forms}\n{stated}", Cat=cat, Dog=cat)


@pytest.mark.parametrize(
    ("key", "to", "sentence"),
    [
        ("oneOf", "Dgo", "there is no schema Dgo; did you mean Dog?"),
        ("anyOf", "Dgo", "there is no schema Dgo; did you mean Dog?"),
        ("oneOf", "Team", "the schema Team is not one of oneOf"),
        ("anyOf", "Team.yaml", "the schema Team is not one of anyOf"),
        ("allOf", "Dgo", "there is no schema Dgo; did you mean Dog?"),
    ],
)
def test_a_discriminator_that_names_no_form_is_refused(
    drafts: Path, key: str, to: str, sentence: str
) -> None:
    write_forms(drafts, key, to)

    line = f"components/schemas/Draft: discriminator/mapping/dog: {sentence}"
    assert refusals(drafts) == [f"openapi/{SCHEMAS}Draft.yaml: {line}"]


@pytest.mark.parametrize("to", ["Dog", "Dog.yaml", "./Dog.yaml"])
def test_a_discriminator_names_forms_by_name_or_by_file(drafts: Path, to: str) -> None:
    write_forms(drafts, "oneOf", to)

    loader.load("development", drafts)

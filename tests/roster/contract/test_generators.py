"""The rules for generators of clients: each refuses what it is for, and names the place."""

from typing import Any

import pytest

from roster.contract import generators, loader
from roster.contract.extensions import ENVIRONMENTS

URLENCODED = "application/x-www-form-urlencoded"
NAMED = {"$ref": "#/components/schemas/Thing"}
FORM = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}}


def document(
    schema: Any = None, *, content: Any = None, answer: Any = None, **operation: Any
) -> dict[str, Any]:
    answers = {"application/json": {"schema": answer or NAMED}}
    return {
        "paths": {
            "/things": {
                "post": {
                    "requestBody": {"content": content or {"application/json": {"schema": NAMED}}},
                    "responses": {"200": {"content": answers}},
                    **operation,
                }
            }
        },
        "components": {"schemas": {"Thing": schema or FORM, "Other": FORM}},
    }


def of_thing(**words: Any) -> dict[str, Any]:
    return document({**FORM, **words})


def choice(key: str, *forms: Any) -> dict[str, Any]:
    return document({key: forms or [NAMED | {"$ref": "#/components/schemas/Other"}]})


def flag(value: bool) -> dict[str, Any]:
    return {"properties": {"on": {"type": "boolean", "enum": [value]}}}


WRONG = {
    "two media types": document(content={"a/b": {"schema": NAMED}, "a/c": {"schema": NAMED}}),
    "a field of the form": document(
        content={URLENCODED: {"schema": NAMED}},
        parameters=[{"name": "name", "in": "query", "schema": {"type": "string"}}],
    ),
    "additionalProperties: true": of_thing(additionalProperties=True),
    "a boolean to choose by": choice("oneOf", flag(True), flag(False)),
    "anyOf": choice("anyOf"),
    "an object of a choice": choice("oneOf", {"type": "object"}),
    "values": of_thing(properties={"op": {"enum": ["+1", "-1"]}}),
    "too few names": of_thing(properties={"op": {"enum": ["a b", "c"], "x-enum-varnames": ["A"]}}),
    "a default": of_thing(properties={"on": {"type": "boolean", "default": False}}),
    "no length": of_thing(properties={"name": {"type": "string"}}),
    "inline items": document({"type": "array", "items": FORM}),
    "an inline answer": document(answer=FORM),
    "inline items of an answer": document(answer={"type": "array", "items": FORM}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_generators_get_wrong_is_refused(name: str) -> None:
    found = [*generators.mistakes(WRONG[name])]

    assert len(found) == 1 or name == "a boolean to choose by"
    for sentence, steps in found:
        assert sentence
        assert steps[:2] in {("paths", "/things"), ("components", "schemas")}


def test_a_schema_with_the_name_of_a_constructor_is_refused() -> None:
    found = document()
    found["components"]["schemas"]["NewThing"] = FORM

    [(sentence, steps)] = generators.mistakes(found)

    assert "ThingCreate" in sentence
    assert steps == ("components", "schemas", "NewThing")


def test_a_body_of_which_no_media_type_is_published_is_refused() -> None:
    found = document()
    found["paths"]["/things"]["post"]["requestBody"]["content"] = {}

    [(sentence, _)] = generators.mistakes(found)

    assert sentence.startswith("requestBody")


@pytest.mark.parametrize(
    "right",
    [
        document(),
        of_thing(additionalProperties=False),
        of_thing(properties={"op": {"enum": ["a b"], "x-enum-varnames": ["A"]}}),
        of_thing(properties={"default": {"type": "string", "maxLength": 9}}),
        choice("oneOf"),
        document({"type": "array", "items": {"$ref": "#/components/schemas/Other"}}),
        document(answer={"type": "array", "items": NAMED}),
        document(answer={**FORM, "title": "Thing"}),
        document({"type": "object", "properties": {"inner": NAMED}}),  # which holds itself
    ],
)
def test_what_generators_do_well_is_let_pass(right: dict[str, Any]) -> None:
    assert [*generators.mistakes(right)] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_definition_keeps_the_rules(environment: str) -> None:
    assert [*generators.mistakes(loader.load(environment).public)] == []

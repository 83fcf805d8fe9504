"""Breaking changes: each kind, made in both directions."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from roster.contract import loader
from roster.contract.changes import breaking

Edit = Callable[[dict[str, Any]], Any]

DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Things", "version": "1.0.0"},
    "security": [{"oauth2": ["things:read"]}],
    "paths": {
        "/things/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
            ],
            "post": {
                "operationId": "make",
                "x-permission": {"object": "team", "sees": ["member", "admin"], "may": ["leader"]},
                "parameters": [
                    {"name": "page", "in": "query", "schema": {"type": "integer", "maximum": 9}},
                    {"name": "X-Odd", "in": "header", "schema": {"type": "string"}},
                ],
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}},
                        "application/xml": {"schema": {"type": "string"}},
                    }
                },
                "responses": {
                    "200": {
                        "description": "Made.",
                        "headers": {"ETag": {"required": True, "schema": {"type": "string"}}},
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}},
                            "application/xml": {"schema": {"type": "string"}},
                        },
                    },
                    "404": {"description": "Gone."},
                },
            },
            "delete": {
                "operationId": "remove",
                "security": [],
                "responses": {"204": {"description": "Removed."}},
            },
        }
    },
    "components": {
        "securitySchemes": {
            "oauth2": {
                "type": "oauth2",
                "flows": {
                    "password": {"tokenUrl": "/t", "scopes": {"things:read": "", "other": ""}},
                    "clientCredentials": {"tokenUrl": "/t", "scopes": {}},
                },
            }
        },
        "schemas": {
            "Thing": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 80},
                    "kind": {"type": "string", "enum": ["small", "large"]},
                    "size": {"type": "integer", "minimum": 0},
                    "when": {"type": "string", "format": "date-time"},
                    "code": {"type": "string", "pattern": "^[a-z]+$"},
                    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
                    "of": {"$ref": "#/components/schemas/Thing"},
                    "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
                },
            }
        },
    },
}


def operation(document: dict[str, Any]) -> Any:
    return document["paths"]["/things/{id}"]["post"]


def thing(document: dict[str, Any]) -> Any:
    return document["components"]["schemas"]["Thing"]


def member(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda document: thing(document)["properties"][name]


def answer(document: dict[str, Any]) -> Any:
    return operation(document)["responses"]["200"]


def flows(document: dict[str, Any]) -> Any:
    return document["components"]["securitySchemes"]["oauth2"]["flows"]


def without(find: Callable[[dict[str, Any]], Any], *keys: Any) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        for key in keys:
            del find(document)[key]

    return edit


def with_(find: Callable[[dict[str, Any]], Any], **values: Any) -> Edit:
    return lambda document: find(document).update(values)


def more(find: Callable[[dict[str, Any]], Any], value: Any) -> Edit:
    return lambda document: find(document).append(value)


def renamed(document: dict[str, Any]) -> None:
    """Name the schema and the path's parameter otherwise: nothing else is another one."""
    text = json.dumps(document)
    for old, new in (
        ("schemas/Thing", "schemas/Made"),
        ('"Thing"', '"Made"'),
        ("{id}", "{thing_id}"),
        ('"name": "id"', '"name": "thing_id"'),
    ):
        assert old in text
        text = text.replace(old, new)
    document.clear()
    document.update(json.loads(text))


NEW = {"name": "new", "in": "query", "schema": {"type": "string"}}

# The edit; the words that tell what it breaks and whom; the same for the edit undone. None where
# nothing breaks.
TABLE: dict[str, tuple[Edit, str | None, str | None]] = {
    "other names of components": (renamed, None, None),
    "an operation less": (
        without(lambda d: d["paths"]["/things/{id}"], "delete"),
        "DELETE /things/{id}: the operation is gone: this breaks clients that call it",
        None,
    ),
    "another operationId": (
        with_(operation, operationId="create"),
        "the operationId is another one: this breaks clients that are generated",
        "the operationId is another one",
    ),
    "an optional parameter more": (
        more(lambda d: operation(d)["parameters"], NEW),
        None,
        "the query parameter new is gone: this breaks clients that send the query parameter new",
    ),
    "a required parameter more": (
        more(lambda d: operation(d)["parameters"], NEW | {"required": True}),
        "new and required: this breaks clients that do not send the query parameter new",
        "the query parameter new is gone",
    ),
    "a parameter that is required": (
        with_(lambda d: operation(d)["parameters"][0], required=True),
        "is required: this breaks clients that do not send the query parameter page",
        None,
    ),
    "a tighter bound of a parameter": (
        with_(lambda d: operation(d)["parameters"][0]["schema"], maximum=8),
        "has the maximum 8 now, and had 9: this breaks clients that send the query parameter page",
        None,
    ),
    "another style of a parameter": (
        with_(lambda d: operation(d)["parameters"][0], explode=False),
        "explode of the query parameter page changed",
        "explode of the query parameter page changed",
    ),
    "a path parameter of another type": (
        with_(lambda d: d["paths"]["/things/{id}"]["parameters"][0]["schema"], type="string"),
        "is of the type string now, and was of the type integer",
        "is of the type integer now, and was of the type string",
    ),
    "a body that is required": (
        with_(lambda d: operation(d)["requestBody"], required=True),
        "a body is required: this breaks clients that send none",
        None,
    ),
    "a media type of the body less": (
        without(lambda d: operation(d)["requestBody"]["content"], "application/xml"),
        "taken no longer: this breaks clients that send application/xml",
        None,
    ),
    "a media type of the answer less": (
        without(lambda d: answer(d)["content"], "application/xml"),
        "this breaks clients that read application/xml of the answer 200",
        None,
    ),
    "a status less": (
        without(lambda d: operation(d)["responses"], "404"),
        "the answer 404 is gone: this breaks clients that read the status 404",
        None,
    ),
    "a header less": (
        without(lambda d: answer(d)["headers"], "ETag"),
        "this breaks clients that read the header ETag of the answer 200",
        None,
    ),
    "a header that may be missing": (
        without(lambda d: answer(d)["headers"]["ETag"], "required"),
        "may have no header ETag",
        None,
    ),
    "a member that is required": (
        with_(thing, required=["name", "size"]),
        "/size is required now: this breaks clients that send application/json",
        "/size may be missing now: this breaks clients that read application/json",
    ),
    "a member more": (
        lambda d: thing(d)["properties"].update(new={"type": "string"}),
        None,
        "/new is gone",
    ),
    "a required member more": (
        lambda d: (
            thing(d)["properties"].update(new={"type": "string"}),
            thing(d)["required"].append("new"),
        ),
        "/new is required now: this breaks clients that send",
        "/new is gone: this breaks clients that read",
    ),
    "no other members": (
        with_(thing, additionalProperties=False),
        "may have no other members now: this breaks clients that send",
        None,
    ),
    "an enum with a value more": (
        with_(member("kind"), enum=["small", "large", "huge"]),
        "/kind may be huge now: this breaks clients that read",
        "/kind may be huge no longer: this breaks clients that send",
    ),
    "no enum": (
        without(member("kind"), "enum"),
        "/kind may be any value now: this breaks clients that read",
        "/kind may be any value no longer: this breaks clients that send",
    ),
    "a wider type": (
        with_(member("size"), type="number"),
        "is of the type number now, and was of the type integer: this breaks clients that read",
        "is of the type integer now, and was of the type number: this breaks clients that send",
    ),
    "null": (
        with_(member("size"), nullable=True),
        "/size may be null now: this breaks clients that read",
        "/size may be null no longer: this breaks clients that send",
    ),
    "longer texts": (
        with_(member("name"), maxLength=100),
        None,
        "/name has the maxLength 80 now, and had 100: this breaks clients that send",
    ),
    "no lower bound": (
        without(member("size"), "minimum"),
        None,
        "/size has the minimum 0 now, and had none: this breaks clients that send",
    ),
    "more items": (
        with_(member("tags"), maxItems=6),
        None,
        "/tags has the maxItems 5 now, and had 6: this breaks clients that send",
    ),
    "no pattern": (
        without(member("code"), "pattern"),
        None,
        "/code has another pattern now: this breaks clients that send",
    ),
    "another pattern": (
        with_(member("code"), pattern="^[a-z]*$"),
        "/code has another pattern now",
        "/code has another pattern now",
    ),
    "no format": (
        without(member("when"), "format"),
        "/when has the format none now, and had date-time: this breaks clients that read",
        "/when has the format date-time now, and had none: this breaks clients that send",
    ),
    "items of another type": (
        with_(lambda d: member("tags")(d)["items"], type="integer"),
        "/tags/* is of the type integer now",
        "/tags/* is of the type string now",
    ),
    "an alternative more": (
        more(lambda d: member("either")(d)["oneOf"], {"type": "boolean"}),
        "/either, alternative 3",
        "/either, alternative 3",
    ),
    "alternatives in another order": (
        lambda d: member("either")(d)["oneOf"].reverse(),
        None,
        None,
    ),
    "a scope more": (
        with_(operation, security=[{"oauth2": ["things:read", "other"]}]),
        "this breaks clients that send oauth2 with no scope but things:read",
        None,
    ),
    "a token that is needed": (
        with_(lambda d: d["paths"]["/things/{id}"]["delete"], security=[{"oauth2": []}]),
        "this breaks clients that send no credentials",
        None,
    ),
    "a scope that is gone": (
        without(lambda d: flows(d)["password"]["scopes"], "other"),
        "the scope other of the flow password is gone: this breaks clients that ask for other",
        None,
    ),
    "a flow that is gone": (
        without(flows, "clientCredentials"),
        "this breaks clients that use the flow clientCredentials",
        None,
    ),
    "another role that may": (
        with_(lambda d: operation(d)["x-permission"], may=["leader", "admin"]),
        None,
        "fewer may call it: this breaks callers with the role admin",
    ),
    "a role that is needed besides": (
        lambda d: operation(d)["x-permission"].update({"and": "writer"}),
        "fewer may call it: this breaks callers with the role leader and member",
        None,
    ),
    "a role that no longer counts over an object": (
        with_(lambda d: operation(d)["x-permission"], not_over={"leader": ["admin"]}),
        "fewer may call it",
        None,
    ),
    "other words": (
        with_(lambda d: d["info"], description="Things, told otherwise."),
        None,
        None,
    ),
}


def told(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [str(each) for each in breaking(old, new)]


@pytest.mark.parametrize("name", TABLE)
def test_a_change_breaks_what_it_breaks_and_nothing_else(name: str) -> None:
    edit, forward, backward = TABLE[name]
    changed = copy.deepcopy(DOCUMENT)
    edit(changed)
    assert changed != DOCUMENT

    for found, expected in (
        (told(DOCUMENT, changed), forward),
        (told(changed, DOCUMENT), backward),
    ):
        if expected is None:
            assert found == []
        else:
            assert any(expected in each for each in found), found


@pytest.mark.parametrize("environment", ["development", "production"])
def test_the_definition_breaks_nothing_of_itself(environment: str) -> None:
    document = loader.load(environment).public

    assert breaking(document, copy.deepcopy(document)) == []


def test_a_schema_that_refers_to_itself_is_compared() -> None:
    changed = copy.deepcopy(DOCUMENT)
    member("of")(changed).clear()
    member("of")(changed)["allOf"] = [{"$ref": "#/components/schemas/Thing"}]

    assert told(DOCUMENT, changed) == []


def test_new_scopes_in_answers_break_nobody_but_other_new_values_do() -> None:
    def document(*scopes: str, also: str = "") -> dict[str, Any]:
        made = copy.deepcopy(DOCUMENT)
        answered = {"type": "string", "enum": [*scopes, *filter(None, [also])]}
        member("kind")(made).clear()
        member("kind")(made).update(answered)
        for flow in flows(made).values():
            flow["scopes"] = dict.fromkeys(["things:read", "other", *scopes], "")
        return made

    few, many = document("things:read", "other"), document("things:read", "other", "things:write")

    assert told(few, many) == []
    assert any(
        "may be strange now" in each
        for each in told(few, document("things:read", "other", also="strange"))
    )

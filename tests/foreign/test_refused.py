"""What this server does not support stops its start, in a sentence that names the place."""

import re
from typing import Any

import pytest

from roster.contract.errors import DefinitionError
from tests.foreign.mount import Mounted

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
LIST = {"type": "array", "items": TEXT}
OBJECT = {"type": "object", "properties": {"a": TEXT}}
ITSELF = {"$ref": "#/components/schemas/S"}
OK = {"200": {"description": "ok"}}


def document(
    *parameters: dict[str, Any], path: str = "/x", method: str = "get", **operation: Any
) -> dict[str, Any]:
    """Return a definition with one operation."""
    described = {"operationId": "x", "parameters": list(parameters), "responses": OK, **operation}
    return {
        "openapi": "3.0.3",
        "info": {"title": "X", "version": "1"},
        "paths": {path: {method: described}},
    }


def parameter(place: str, schema: Any, **more: Any) -> dict[str, Any]:
    """Return a parameter p."""
    required = {"required": True} if place == "path" else {}
    return {"name": "p", "in": place, "schema": schema, **required, **more}


def body(media_type: str, schema: Any, **more: Any) -> dict[str, Any]:
    """Return a definition with one operation that has a body."""
    content = {media_type: {"schema": schema, **more}}
    return document(method="post", requestBody={"content": content})


DEEP = {"style": "deepObject", "explode": True}
PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "a deep list": (parameter("query", LIST, **DEEP), "the style deepObject is defined for an"),
    "a deep text": (parameter("query", TEXT, **DEEP), "the style deepObject is defined for an"),
    "a text with pipes": (
        parameter("query", TEXT, style="pipeDelimited"),
        "the style pipeDelimited is defined for an array or an object only",
    ),
    "an exploded object with blanks": (
        parameter("query", OBJECT, style="spaceDelimited", explode=True),
        "the style spaceDelimited of an object is not defined with explode",
    ),
    "a matrix in a query": (
        parameter("query", TEXT, style="matrix"),
        "the style matrix is not for a parameter in the query",
    ),
    "a form in a header": (
        parameter("header", TEXT, style="form"),
        "the style form is not for a parameter in the header",
    ),
    "a list of lists": (
        parameter("query", {"type": "array", "items": LIST}),
        "arrays and objects within an array or an object are not defined",
    ),
    "an object of objects": (
        parameter("query", {"type": "object", "properties": {"a": OBJECT}}, **DEEP),
        "arrays and objects within an array or an object are not defined",
    ),
    "an exploded list in a cookie": (
        parameter("cookie", LIST),
        "an array or object in a cookie needs explode: false",
    ),
    "reserved signs": (
        parameter("query", TEXT, allowReserved=True),
        "allowReserved leaves open where a value ends; it is not supported",
    ),
    "XML": (
        {"name": "p", "in": "query", "content": {"application/xml": {"schema": OBJECT}}},
        "a parameter may be written as JSON, and not as application/xml",
    ),
    "no schema": ({"name": "p", "in": "query"}, "it has neither a schema nor a content"),
    "an unknown pattern": (
        parameter("query", {"type": "string", "pattern": "("}),
        "a schema is not one of OpenAPI 3.0",
    ),
}


@pytest.mark.parametrize(("declared", "sentence"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_a_parameter_that_is_not_supported_stops_the_start(
    declared: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DefinitionError) as refused:
        Mounted(document(declared))

    place = declared["in"]
    assert str(refused.value).startswith(f"GET /x: {place} parameter p: {sentence}")


BODIES: dict[str, tuple[dict[str, Any], str]] = {
    "XML": (body("application/xml", OBJECT), "body of application/xml: only JSON and forms are"),
    "a form that is a list": (
        body("multipart/form-data", LIST),
        "body of multipart/form-data: a form is an object",
    ),
    "the encoding of JSON": (
        body("application/json", OBJECT, encoding={"a": {"style": "form"}}),
        "body of application/json: encoding has a meaning for forms only",
    ),
    "headers of a part": (
        body("multipart/form-data", OBJECT, encoding={"a": {"headers": {}}}),
        "body of multipart/form-data: part a: its encoding may have a contentType only",
    ),
    "a deep text": (
        body("application/x-www-form-urlencoded", OBJECT, encoding={"a": DEEP}),
        "body of application/x-www-form-urlencoded: field a: the style deepObject is",
    ),
    "what holds itself in an object of a form": (
        {
            **body(
                "application/x-www-form-urlencoded",
                {"type": "object", "properties": {"a": {**OBJECT, "properties": {"s": ITSELF}}}},
            ),
            "components": {"schemas": {"S": {**OBJECT, "properties": {"kid": ITSELF}}}},
        },
        "body of application/x-www-form-urlencoded: field a: arrays and objects within an array",
    ),
    "a strange range": (
        body("application/*+json", OBJECT),
        "body of application/*+json: a range of media types ends with /*",
    ),
    "a discriminator without alternatives": (
        body("application/json", {**OBJECT, "discriminator": {"propertyName": "kind"}}),
        "body of application/json: a discriminator works beside oneOf or anyOf",
    ),
    "a type in two letter cases": (
        document(
            method="post",
            requestBody={"content": {"text/plain": {}, "Text/plain; charset=utf-8": {}}},
        ),
        "body: there are two of the media type text/plain",
    ),
}


@pytest.mark.parametrize(("declared", "sentence"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_not_supported_stops_the_start(
    declared: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DefinitionError) as refused:
        _ = Mounted(declared).app

    assert str(refused.value).startswith(f"POST /x: {sentence}")


def two(**fields: Any) -> dict[str, Any]:
    """Return a parameter with other fields than p's."""
    return {**parameter("query", TEXT), **fields}


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "OpenAPI 3.1": (
        {**document(), "openapi": "3.1.0"},
        "This server reads OpenAPI 3.0, and not OpenAPI 3.1.0.",
    ),
    "Swagger 2.0": (
        {"swagger": "2.0", "paths": {}},
        "This server reads OpenAPI 3.0, and not a document without `openapi`.",
    ),
    "an undeclared name in the path": (
        document(path="/{p}"),
        "/{p}: the path has a parameter p that is not declared",
    ),
    "three values in a segment": (
        document(
            *({**parameter("path", TEXT), "name": name} for name in "abc"), path="/{a}-{b}-{c}"
        ),
        "/{a}-{b}-{c}: a path may have two values in a segment, and each one once",
    ),
    "one argument for two": (
        document(two(name="x-id"), two(name="X_ID", **{"in": "header"})),
        "GET /x: two parameters would reach the handler as x_id",
    ),
    "one name for two": (
        document(two(name="o", schema=OBJECT), two(name="a")),
        "GET /x: two parameters would be sent as a",
    ),
    "a server of its own": (
        document(servers=[{"url": "https://other.example.com"}]),
        "GET /x: servers of a single path or operation are not supported",
    ),
    "errors alone": (
        document(responses={"404": {"description": "no"}}),
        "GET /x: no answer to a request that goes well is declared",
    ),
}


@pytest.mark.parametrize(("declared", "sentence"), OTHERS.values(), ids=OTHERS.keys())
def test_what_is_not_supported_stops_the_start(declared: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        _ = Mounted(declared).app

    assert str(refused.value) == sentence


@pytest.mark.parametrize("method", ["head", "options", "trace"])
def test_what_the_server_answers_itself_is_no_operation(method: str) -> None:
    given = document()
    given["paths"]["/x"][method] = {"responses": OK}

    with pytest.raises(DefinitionError) as refused:
        Mounted(given)

    assert str(refused.value).startswith(f"{method.upper()} /x: ")


ENUM = {"type": "string", "enum": ["a", "b"]}
DATE = {"type": "string", "format": "date"}


def paths(**given: Any) -> dict[str, Any]:
    """Return a definition with these paths, each with the schemas of its parameters in turn."""
    made = document()
    made["paths"] = {}
    for path, schemas in given.items():
        names = re.findall(r"\{(\w+)\}", path)
        declared = [
            {**parameter("path", schema), "name": name}
            for name, schema in zip(names, schemas, strict=True)
        ]
        made["paths"][path] = {"get": {"parameters": declared, "responses": OK}}
    return made


@pytest.mark.parametrize(
    "given",
    [
        {"/c/{a}": [TEXT], "/c/{b}": [TEXT]},
        {"/c/{a}": [NUMBER], "/c/{b}": [TEXT]},
        {"/c/{a}-{b}/x": [TEXT, TEXT], "/d": [], "/c/{b}-{a}/x": [TEXT, TEXT]},
    ],
)
def test_identical_paths_stop_the_start(given: Any) -> None:
    first, *_, second = given
    with pytest.raises(DefinitionError) as refused:
        Mounted(paths(**given))

    sentence = f"the path is identical to {first}; names in braces tell none apart"
    assert str(refused.value) == f"{second}: {sentence}"


@pytest.mark.parametrize(
    "given",
    [
        {"/o/{b}": [TEXT], "/o/{b}.json": [TEXT]},
        {"/o/{b}": [{**TEXT, "format": "slug", "minLength": 1}], "/o/{b}.json": [NUMBER]},
        {"/o/{b}": [{**TEXT, "nullable": True}], "/o/{b}.json": [NUMBER]},
        {"/o/{b}": [{}], "/o/{a}-{b}": [NUMBER, DATE]},
        {"/{a}/{b}": [TEXT, TEXT], "/o/{b}": [TEXT]},
        {"/{a}/{b}": [ENUM, NUMBER], "/a/{b}": [NUMBER]},
        {"/{a}/{b}": [ENUM, NUMBER], "/a/{b}": [{**NUMBER, "minimum": 1, "format": "int64"}]},
        {"/{a}/{b}": [TEXT, {**NUMBER, "minimum": 0}], "/a/{b}": [{**NUMBER, "minimum": 1}]},
        {"/{a}/{b}": [TEXT, {**TEXT, "maxLength": 9}], "/a/{b}": [{**TEXT, "maxLength": 8}]},
        {"/{a}/{b}": [TEXT, {**TEXT, "pattern": "^[a-z]$"}], "/a/{b}": [ENUM]},
        {"/{a}/{b}": [TEXT, {"type": "number"}], "/a/{b}": [NUMBER]},
        {"/{a}/{b}": [TEXT, LIST], "/a/{b}": [LIST]},
        {"/{a}/{b}.json": [TEXT, TEXT], "/{a}/{b}.tar.json": [TEXT, TEXT]},
    ],
)
def test_a_path_that_lies_in_one_before_it_stops_the_start(given: Any) -> None:
    first, second = given
    with pytest.raises(DefinitionError) as refused:
        Mounted({**paths(**given), "servers": [{"url": "/v1"}]})

    assert str(refused.value) == (
        f"{second}: no request reaches this path, for {first} before it matches all that it"
        " matches; write it before the other"
    )
    # So they are served.
    Mounted(paths(**dict(reversed(given.items()))))


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"/users/{b}": [TEXT], "/users/me": []}, "/users/me"),
        ({"/o/{b}": [NUMBER], "/o/{b}.json": [NUMBER]}, "/o/1.json"),
        ({"/o/{b}": [ENUM], "/o/{b}.json": [TEXT]}, "/o/a.json"),
        ({"/o/{b}": [TEXT], "/o/{b}/": [TEXT]}, "/o/a/"),
        ({"/{a}/{b}": [NUMBER, TEXT], "/me/{b}": [TEXT]}, "/me/a"),
        ({"/{a}/{b}": [TEXT, NUMBER], "/me/{b}": [TEXT]}, "/me/a"),
        ({"/{a}/{b}": [TEXT, {**NUMBER, "maximum": 9}], "/me/{b}": [NUMBER]}, "/me/10"),
        ({"/{a}/{b}": [TEXT, {**TEXT, "minLength": 2}], "/me/{b}": [TEXT]}, "/me/a"),
        ({"/{a}/{b}": [TEXT, DATE], "/me/{b}": [TEXT]}, "/me/a"),
        ({"/{a}/{b}": [TEXT, ENUM], "/me/{b}": [{**ENUM, "enum": ["a", "c"]}]}, "/me/c"),
        ({"/{a}/{b}": [ENUM, TEXT], "/me/{b}": [TEXT]}, "/me/a"),
        ({"/{a}/x": [TEXT], "/me/{b}": [TEXT]}, "/me/a"),
    ],
)
def test_a_path_that_can_be_reached_is(given: Any, path: str) -> None:
    mounted = Mounted(paths(**given))

    found = mounted.definition.match(path)

    assert found
    assert found[0].template == [*given][1]


@pytest.mark.parametrize(
    ("schema", "first", "second"),
    [
        (TEXT, {}, {"style": "label"}),
        (TEXT, {"style": "matrix"}, {"style": "label"}),
        (LIST, {"style": "label"}, {"style": "label", "explode": True}),
        (OBJECT, {}, {"explode": True}),
    ],
)
def test_methods_that_write_a_path_differently_stop_the_start(
    schema: Any, first: Any, second: Any
) -> None:
    given = document(parameter("path", schema, **first), path="/x/{p}")
    given["paths"]["/x/{p}"]["put"] = {
        "parameters": [parameter("path", schema, **second)],
        "responses": OK,
    }

    with pytest.raises(DefinitionError) as refused:
        Mounted(given)

    assert str(refused.value) == (
        "/x/{p}: the methods do not agree on style and explode of the path parameter p"
    )


def test_methods_may_differ_where_nothing_explodes() -> None:
    given = document(parameter("path", TEXT), path="/x/{p}")
    given["paths"]["/x/{p}"]["put"] = {
        "parameters": [parameter("path", TEXT, explode=True)],
        "responses": OK,
    }

    assert Mounted(given).ask("PUT", "/x/a").given == {"p": "a"}

"""The definition and what follows from it: routes, handlers, examples."""

import ast
import importlib
import inspect
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import flask
import openapi_schema_validator
import openapi_spec_validator
import pytest
import yaml

from roster import application, settings
from roster.application import create_app
from roster.contract import loader, published, references
from roster.contract.definition import Definition
from roster.contract.operation import Operation
from roster.stack.wsgi import FlaskAdapter
from tests.serving import CheckedClient

ROOT = Path(__file__).resolve().parent.parent
DEVELOPMENT = loader.load("development")
PRODUCTION = loader.load("production")
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "development": {},
    "production": {"secret_key": "0123456789abcdef", "trusted_proxies": 0},
}

both_environments = pytest.mark.parametrize(
    "defined", [DEVELOPMENT, PRODUCTION], ids=["development", "production"]
)
every_operation = pytest.mark.parametrize(
    "operation", DEVELOPMENT.operations, ids=[operation.id for operation in DEVELOPMENT.operations]
)


# Routes and handlers


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_server_has_the_routes_of_the_definition_and_no_others(
    environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps: list[flask.Flask] = []

    class Recorded(FlaskAdapter):
        def __init__(self, app: flask.Flask) -> None:
            super().__init__(app)
            apps.append(app)

    monkeypatch.setattr(application, "FlaskAdapter", Recorded)
    made = create_app(
        settings.load(
            environment=environment,
            database_url=f"sqlite:///{tmp_path / 'unused.db'}",
            **ENVIRONMENTS[environment],
        )
    )
    made.engine.dispose()

    routed = {
        (rule.rule.replace("<int:", "{").replace("<", "{").replace(">", "}"), method)
        for rule in apps[0].url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    document = loader.load(environment).document
    assert routed == {
        (path, method.upper())
        for path, item in document["paths"].items()
        for method in item.keys() - {"parameters"}
    }


@both_environments
def test_operation_ids_are_unique(defined: Definition) -> None:
    assert max(Counter(operation.id for operation in defined.operations).values()) == 1


@every_operation
def test_an_operation_has_its_handler(operation: Operation) -> None:
    module, _, name = operation.handler.rpartition(".")

    assert module.startswith("handlers.")
    assert inspect.isfunction(getattr(importlib.import_module(module), name))


@every_operation
def test_a_handler_takes_what_its_operation_has_to_give(operation: Operation) -> None:
    module, _, name = operation.handler.rpartition(".")
    taken = inspect.signature(getattr(importlib.import_module(module), name)).parameters.keys()
    query = {each["name"] for each in operation.parameters if each["in"] == "query"}
    has_json = any("json" in media_type for media_type in operation.request_content)

    assert ("body" in taken) is has_json
    assert ("window" in taken) is ({"limit", "cursor"} <= query)
    assert (operation.permission.object in taken) is (operation.permission.object is not None)


def test_no_handler_is_without_an_operation() -> None:
    defined = {
        f"handlers.{path.stem}.{node.name}"
        for path in (ROOT / "handlers").glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }

    assert defined == {operation.handler for operation in DEVELOPMENT.operations}


# The document


@both_environments
def test_the_document_is_valid_openapi(defined: Definition) -> None:
    openapi_spec_validator.validate(defined.document)
    openapi_spec_validator.validate(defined.public)


def examples(node: Any) -> Iterator[tuple[Any, Any]]:
    """Find every example below a place of the resolved document, with the schema it is for."""
    if isinstance(node, list):
        for value in node:
            yield from examples(value)
    if not isinstance(node, dict):
        return
    schema = node.get("schema", node)
    if "example" in node:
        yield schema, node["example"]
    for example in node.get("examples", {}).values():
        yield schema, example["value"]
    for key, value in node.items():
        if key not in {"example", "examples"}:
            yield from examples(value)


def test_every_example_fits_its_schema() -> None:
    found = list(examples(references.dereference(DEVELOPMENT.document)))

    assert len(found) > 200
    for schema, example in found:
        openapi_schema_validator.validate(
            example,
            schema,
            cls=openapi_schema_validator.OAS30Validator,
            format_checker=openapi_schema_validator.oas30_format_checker,
        )


@every_operation
def test_every_answer_has_an_example(operation: Operation) -> None:
    for status, response in operation.spec["responses"].items():
        for content in response.get("content", {}).values():
            assert "example" in content or content.get("examples"), status
        for name, header in response.get("headers", {}).items():
            assert "example" in header, (status, name)


@every_operation
def test_every_error_that_can_come_is_declared(operation: Operation) -> None:
    expected = {"500"}
    if operation.is_protected:
        expected |= {"401", "403"}
    if operation.permission.object:
        expected.add("404")
    if operation.request_content:
        expected |= {"400", "413", "415"}
    if operation.limit or operation.captcha or operation.hashes_where is not None:
        expected.add("429")
    if not operation.is_immediate:
        expected.add("503")
    if operation.path.startswith("/api/v1/") and operation.path != "/api/v1/":
        expected.add("400")

    assert expected <= operation.spec["responses"].keys()


@every_operation
def test_every_problem_example_tells_its_own_status(operation: Operation) -> None:
    for status, response in operation.spec["responses"].items():
        content = response.get("content", {}).get("application/problem+json", {})
        named = [example["value"] for example in content.get("examples", {}).values()]
        for problem in [*named, *([content["example"]] if "example" in content else [])]:
            assert str(problem["status"]) == status


@every_operation
def test_every_operation_says_who_may(operation: Operation) -> None:
    assert operation.spec["x-permission"]
    assert operation.permission.sentence in operation.spec["description"]


def named_schemas(node: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Find every schema of a member below a place of the resolved document, with its name."""
    if isinstance(node, list):
        for value in node:
            yield from named_schemas(value, name)
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "properties":
                yield from value.items()
            yield from named_schemas(value, key)


def test_every_name_that_people_read_is_text_that_they_can_see() -> None:
    read = {"title", "first_name", "middle_name", "last_name", "name"}
    found = [
        schema
        for name, schema in named_schemas(references.dereference(DEVELOPMENT.document)["paths"])
        if name in read and schema["description"] != "The name of the status."
    ]

    assert len(found) > 20
    for schema in found:
        assert schema["format"] == "visible-text", schema


# The document as it is served


def keys(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for value in node:
            yield from keys(value)
    if isinstance(node, dict):
        yield from node
        for value in node.values():
            yield from keys(value)


def test_json_and_yaml_are_the_same_document(client: CheckedClient) -> None:
    as_json = client.get("/api/v1/openapi.json").json()
    as_yaml = yaml.safe_load(client.get("/api/v1/openapi.yaml").text)

    assert as_json == as_yaml
    assert as_json == json.loads(json.dumps(DEVELOPMENT.public))


@both_environments
def test_nothing_internal_is_served(defined: Definition) -> None:
    assert any(key.startswith("x-") for key in keys(defined.document))
    assert {key for key in keys(defined.public) if key.startswith("x-")} == {"x-enum-varnames"}
    assert b"handlers." not in defined.as_json


@both_environments
def test_who_reads_of_addresses_reads_that_they_are_not_verified(defined: Definition) -> None:
    schemas = defined.public["components"]["schemas"]
    for text in (
        (loader.FOLDER / "guide.md").read_text(encoding="utf-8"),
        schemas["User"]["description"],
        schemas["Email"]["description"],
    ):
        assert re.search(r"\bverified\b", text)


@both_environments
def test_addresses_in_the_document_are_relative(defined: Definition) -> None:
    flows = defined.public["components"]["securitySchemes"]["oauth2"]["flows"].values()

    assert [server["url"] for server in defined.public["servers"]] == ["/"]
    for flow in flows:
        assert all(url.startswith("/") for key, url in flow.items() if key.endswith("Url"))


def test_what_is_for_development_is_served_there_alone_and_published_nowhere() -> None:
    """Generators would name the fields of the form after those of the query, or the reverse."""
    [served] = [each for each in DEVELOPMENT.operations if each.id == "issue_token_by_get"]
    assert {"password", "client_secret"} < {each["name"] for each in served.parameters}
    assert served.id not in {each.id for each in PRODUCTION.operations}

    for defined in (DEVELOPMENT, PRODUCTION):
        assert defined.public["paths"]["/auth/oauth2/token"].keys() == {"post"}
    assert DEVELOPMENT.public == PRODUCTION.public


def test_values_that_are_no_names_are_published_with_names() -> None:
    schemas = PRODUCTION.public["components"]["schemas"]

    assert schemas["Scope"]["x-enum-varnames"][:2] == ["USERS_READ", "USERS_WRITE"]
    path = schemas["NameOperation"]["properties"]["path"]
    assert path["x-enum-varnames"] == ["FIRST_NAME", "MIDDLE_NAME", "LAST_NAME"]
    assert "x-enum-varnames" not in schemas["GrantType"]


@pytest.mark.parametrize(
    ("enum", "names"),
    [
        (["a b", "c"], ["A_B", "C"]),
        (["a-b", "a b"], None),  # one name for two
        (["1.0"], None),  # no name at all
        ([1, 2], None),
        (["a", "b_c"], None),  # they are names
    ],
)
def test_names_are_made_where_they_are_needed_and_possible(enum: Any, names: Any) -> None:
    document = {"components": {"schemas": {"S": {"enum": enum, "example": {"enum": ["a b"]}}}}}

    [schema] = published.of(document)["components"]["schemas"].values()

    assert schema.get("x-enum-varnames") == names
    assert schema["example"] == {"enum": ["a b"]}


def test_names_that_are_stated_are_published_as_they_are() -> None:
    schema = {"enum": ["+1", "-1"], "x-enum-varnames": ["UP", "DOWN"]}

    document = {"components": {"schemas": {"S": schema}}}

    assert published.of(document) == document


@every_operation
def test_a_body_has_one_published_media_type(operation: Operation) -> None:
    """Of several, generators write code that sends all of them, or that does not run."""
    item = DEVELOPMENT.public["paths"][operation.path]
    body = item.get(operation.method.lower(), {}).get("requestBody", {})
    if not body:
        return

    [media_type] = body["content"]
    assert media_type == next(iter(operation.request_content))
    served = operation.request_content.keys()
    if media_type == "application/json-patch+json":
        assert served == {media_type, "application/json"}
    if operation.path in {f"/auth/oauth2/{name}" for name in ("token", "revoke", "introspect")}:
        assert served == {"application/x-www-form-urlencoded", "multipart/form-data"}


# The handlers and what they stand on


def test_passlib_is_that_of_its_maintained_fork() -> None:
    installed = {found.name.lower() for found in metadata.distributions()}

    assert "libpass" in installed
    assert "passlib" not in installed


def test_a_handler_has_at_most_twelve_lines() -> None:
    long = {
        f"{path.name}:{node.name}"
        for path in (ROOT / "handlers").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 12
    }

    assert not long

"""The documentation: the page, what it loads, and the definition that it shows."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from roster.contract import files, loader
from roster.contract.definition import Definition
from roster.contract.operation import METHODS
from roster.http.errors import PROBLEM
from tests.serving import PRODUCTION, CheckedClient, Serve

pytestmark = pytest.mark.one_database


def loaded_by(page: str) -> list[str]:
    """Return the paths of what a page or a stylesheet loads."""
    found = re.findall(r"""(?:src|href)="([^"]+)"|url\(["']?([^"')]+)""", page)
    return [one or other for one, other in found]


# The page


def test_the_page_is_html(client: CheckedClient) -> None:
    answer = client.get("/api/v1/")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")


def test_all_that_the_page_loads_is_on_this_server(client: CheckedClient) -> None:
    paths = loaded_by(client.get("/api/v1/").text)

    assert len(paths) > 3
    for path in paths:
        assert path.startswith("/api/v1/")
        answer = client.get(path)
        assert (answer.status_code, bool(answer.content)) == (200, True)


def test_the_redirection_page_loads_nothing_but_its_own_script(client: CheckedClient) -> None:
    paths = loaded_by(client.get("/api/v1/oauth2-redirect.html").text)

    assert paths == ["oauth2-redirect.js"]
    assert client.get(f"/api/v1/{paths[0]}").status_code == 200


def test_all_that_the_stylesheets_load_is_on_this_server(client: CheckedClient) -> None:
    for stylesheet in ("swagger-ui.css", "index.css"):
        for path in loaded_by(client.get(f"/api/v1/{stylesheet}").text):
            assert client.get(path).status_code == 200, path


def test_the_page_works_under_its_policy(client: CheckedClient) -> None:
    answer = client.get("/api/v1/")
    page = answer.text

    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\bstyle=|\bon[a-z]+=|javascript:", page)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("swagger-ui-bundle.js", "text/javascript"),
        ("swagger-initializer.js", "text/javascript"),
        ("oauth2-redirect.js", "text/javascript"),
        ("oauth2-redirect.html", "text/html"),
        ("swagger-ui.css", "text/css"),
        ("favicon-32x32.png", "image/png"),
    ],
)
def test_a_file_has_its_media_type_and_may_be_kept(
    client: CheckedClient, name: str, media_type: str
) -> None:
    answer = client.get(f"/api/v1/{name}")

    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["x-request-id"]


def test_the_head_of_a_file_has_no_body(client: CheckedClient) -> None:
    answer = client.head("/api/v1/swagger-ui.css")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_file_that_is_gone_is_an_error_like_others(
    client: CheckedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_bytes", gone)

    answer = client.get("/auth/style.css")

    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "style.css" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_file_can_only_be_read(client: CheckedClient, method: str) -> None:
    assert client.request(method, "/api/v1/swagger-ui.css").status_code in {404, 405}


def test_files_beside_those_of_the_page_are_not_served(client: CheckedClient) -> None:
    for name in (
        "LICENSE",
        "VERSION",
        "documentation.html",
        "index.html",
        "openapi",
        "../settings.py",
    ):
        assert client.get(f"/api/v1/{name}").status_code == 404


# The client with which the page logs in


def client_id_of(page: str) -> str:
    found = re.search(r'data-client-id="([^"]*)"', page)
    assert found
    return found[1]


def test_in_development_the_page_logs_in_with_the_development_client(serve: Serve) -> None:
    server = serve(docs_client_id="other")

    assert client_id_of(server.client.get("/api/v1/").text) == "documentation"


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ({}, ""),
        ({"docs_client_id": "docs"}, "docs"),
        ({"docs_client_id": '"><script>'}, "&quot;&gt;&lt;script&gt;"),
        ({"docs_client_id": "$client_id"}, "$client_id"),
    ],
)
def test_in_production_the_page_logs_in_with_the_operators_client(
    serve: Serve, chosen: dict[str, str], shown: str
) -> None:
    page = serve(**PRODUCTION, **chosen).client.get("/api/v1/").text

    assert client_id_of(page) == shown


# The definition


def keys_of(node: Any) -> set[str]:
    if isinstance(node, dict):
        return set(node) | {key for value in node.values() for key in keys_of(value)}
    if isinstance(node, list):
        return {key for value in node for key in keys_of(value)}
    return set()


def test_the_definition_is_the_same_as_json_and_as_yaml(client: CheckedClient) -> None:
    as_json = client.get("/api/v1/openapi.json")
    as_yaml = client.get("/api/v1/openapi.yaml")

    assert as_json.headers["content-type"] == "application/json"
    assert as_yaml.headers["content-type"] == "application/yaml"
    # Timestamps in examples are strings, as they are in JSON.
    assert yaml.load(as_yaml.content, yaml.BaseLoader).keys() == as_json.json().keys()
    assert yaml.load(as_yaml.content, Loader=files.YamlLoader) == as_json.json()


@pytest.mark.parametrize("environment", [{}, PRODUCTION])
def test_the_definition_shows_nothing_internal(serve: Serve, environment: dict[str, str]) -> None:
    document = serve(**environment).client.get("/api/v1/openapi.json").json()

    assert {key for key in keys_of(document) if key.startswith("x-")} == {"x-enum-varnames"}
    assert "handlers." not in json.dumps(document)


def test_the_urls_of_the_definition_are_relative(serve: Serve) -> None:
    document = serve(issuer="https://api.example").client.get("/api/v1/openapi.json").json()

    assert [server["url"] for server in document["servers"]] == ["/"]
    flows = document["components"]["securitySchemes"]["oauth2"]["flows"].values()
    for flow in flows:
        for name in ("tokenUrl", "refreshUrl", "authorizationUrl"):
            assert flow.get(name, "/").startswith("/")
    assert "api.example" not in json.dumps(document)


def test_no_definition_has_a_token_by_get(serve: Serve) -> None:
    for environment in ({}, PRODUCTION):
        document = serve(**environment).client.get("/api/v1/openapi.json").json()
        assert document["paths"]["/auth/oauth2/token"].keys() == {"post"}


def test_each_operation_says_who_may_call_it(client: CheckedClient) -> None:
    document = client.get("/api/v1/openapi.json").json()

    for path, item in document["paths"].items():
        for method in item.keys() & set(METHODS):
            assert "**Who may call:**" in item[method]["description"], path


@pytest.fixture(params=["development", "production"])
def defined(request: pytest.FixtureRequest) -> Definition:
    """Return the definition of each environment in turn."""
    return loader.load(request.param)


def test_an_operation_knows_the_form_of_its_errors(defined: Definition) -> None:
    for operation in defined.operations:
        expected = PROBLEM
        if operation.path in {"/auth/oauth2/authorize", "/auth/login", "/auth/logout"}:
            expected = "text/html"
        elif operation.path.startswith("/auth/"):
            expected = "application/json"

        assert operation.error_media_type == expected


def test_an_operation_that_declares_no_errors_has_problems(defined: Definition) -> None:
    health = replace(defined.operation("/healthz", "GET"), spec={"responses": {"200": {}}})

    assert health.error_media_type == PROBLEM


def test_only_forms_have_fields(defined: Definition) -> None:
    token = defined.operation("/auth/oauth2/token", "post")
    health = defined.operation("/healthz", "GET")

    assert {"grant_type", "client_id", "password"} <= token.form_fields.keys()
    assert health.form_fields == {}
    assert health.request_content == {}


# The guide


def test_the_guide_is_a_page_under_the_policy_of_the_documentation(client: CheckedClient) -> None:
    answer = client.get("/api/v1/guide")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"<script|<style|\bstyle=|\bon[a-z]+=", answer.text)
    for path in loaded_by(answer.text):
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:7100", "https://api.example"])
def test_the_commands_of_the_guide_name_the_server(serve: Serve, issuer: str) -> None:
    page = serve(issuer=issuer).client.get("/api/v1/guide").text

    assert f"ROSTER={issuer}\n" in page
    assert "{{" not in page


def test_the_guide_is_rendered(client: CheckedClient) -> None:
    page = client.get("/api/v1/guide").text

    assert '<h2 id="first-steps">First steps</h2>' in page
    assert page.count("<table>") >= 1
    assert page.count("<pre") >= 6
    assert "```" not in page


def test_the_definition_leads_to_the_guide_and_does_not_repeat_it(client: CheckedClient) -> None:
    description = client.get("/api/v1/openapi.json").json()["info"]["description"]

    assert "(/api/v1/guide)" in description
    assert description.count(". ") + 1 == 2


# What operators alone use


@pytest.mark.parametrize("environment", [{}, PRODUCTION])
def test_the_operators_token_is_told_in_words(serve: Serve, environment: dict[str, str]) -> None:
    document = serve(**environment).client.get("/api/v1/openapi.json").json()

    assert [*document["components"]["securitySchemes"]] == ["oauth2"]
    metrics = document["paths"]["/metrics"]["get"]
    assert metrics["security"] == []
    assert "bearer token" in metrics["description"]

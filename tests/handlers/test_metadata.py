"""The metadata documents (RFC 8414, RFC 9728) and what leads to them."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.serving import API, SCOPES, CheckedClient, Serve, Server
from tests.signing_in import AUTHORIZE, Browser, led_to, register

pytestmark = pytest.mark.one_database

SERVER = "/.well-known/oauth-authorization-server"
RESOURCE = "/.well-known/oauth-protected-resource"
OF_THE_API = f"{RESOURCE}{API}"
ISSUER = "http://127.0.0.1:5000"


def test_the_authorization_server_describes_itself(client: CheckedClient) -> None:
    answer = client.get(SERVER)

    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    found = answer.json()
    assert found["issuer"] == ISSUER
    assert found["response_types_supported"] == ["code"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert sorted(found["scopes_supported"]) == sorted(SCOPES.split())
    assert found["authorization_response_iss_parameter_supported"] is True
    assert sorted(found["grant_types_supported"]) == [
        "authorization_code",
        "client_credentials",
        "password",
        "refresh_token",
    ]
    for endpoint in ("token", "revocation"):
        methods = found[f"{endpoint}_endpoint_auth_methods_supported"]
        assert sorted(methods) == ["client_secret_basic", "client_secret_post", "none"]
    assert sorted(found["introspection_endpoint_auth_methods_supported"]) == [
        "client_secret_basic",
        "client_secret_post",
    ]


def test_the_resource_describes_itself(client: CheckedClient) -> None:
    answer = client.get(RESOURCE)

    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    found = answer.json()
    assert found["resource"] == ISSUER
    assert found["authorization_servers"] == [ISSUER]
    assert found["resource_name"]
    assert found["bearer_methods_supported"] == ["header"]
    assert sorted(found["scopes_supported"]) == sorted(SCOPES.split())


@pytest.mark.parametrize("path", [SERVER, RESOURCE, OF_THE_API])
def test_no_member_is_empty(client: CheckedClient, path: str) -> None:
    assert all(value not in ([], "", None) for value in client.get(path).json().values())


def urls(value: Any) -> list[str]:
    """Return the URLs among the values of a document."""
    if isinstance(value, list):
        return [url for each in value for url in urls(each)]
    return [value] if isinstance(value, str) and "://" in value else []


@pytest.mark.parametrize("path", [SERVER, RESOURCE, OF_THE_API])
def test_every_url_is_the_issuers_and_answers(client: CheckedClient, path: str) -> None:
    document = client.get(path).json()
    found = {name: url for name, value in document.items() for url in urls(value)}

    assert found
    for name, url in found.items():
        assert url.startswith(ISSUER), name
        place = urlsplit(url).path
        is_form = name.endswith("_endpoint") and name != "authorization_endpoint"
        answer = client.request("POST" if is_form else "GET", place or "/")
        assert answer.status_code not in {404, 405}, name
        assert answer.status_code < 500, name


def test_the_endpoints_do_what_the_metadata_says(server: Server) -> None:
    found = server.client.get(SERVER).json()
    client, browser = register(server), Browser(server)
    assert urlsplit(found["authorization_endpoint"]).path == AUTHORIZE
    browser.open(urlsplit(found["authorization_endpoint"]).path, client.request())
    browser.sign_in()
    _, answer = led_to(browser.allow("users:read"))
    assert answer["iss"] == found["issuer"]

    token = urlsplit(found["token_endpoint"]).path
    issued = server.client.post(token, data=client.exchange(answer["code"])).json()
    own = {"client_id": client.client_id, "client_secret": client.secret}
    form = {"token": issued["access_token"], **own}
    introspection = urlsplit(found["introspection_endpoint"]).path
    claims = server.client.post(introspection, data=form).json()

    assert claims["active"] is True
    assert claims["iss"] == found["issuer"]
    revocation = urlsplit(found["revocation_endpoint"]).path
    assert server.client.post(revocation, data=form).status_code == 200
    assert server.client.post(introspection, data=form).json() == {"active": False}


def test_the_challenge_leads_to_the_metadata(client: CheckedClient) -> None:
    refused = client.get(f"{API}/users/me")

    assert refused.status_code == 401
    place = refused.headers["www-authenticate"].partition('resource_metadata="')[2].rstrip('"')
    assert place == ISSUER + RESOURCE
    assert client.get(urlsplit(place).path).json()["resource"] == ISSUER


@pytest.mark.parametrize("value", ["Bearer x", "Bearer", "Basic eDp5"])
def test_each_challenge_leads_to_the_metadata(client: CheckedClient, value: str) -> None:
    refused = client.get(f"{API}/users/me", headers={"Authorization": value})

    assert refused.status_code in {400, 401}
    assert f'resource_metadata="{ISSUER}{RESOURCE}"' in refused.headers["www-authenticate"]


def test_a_missing_scope_leads_to_the_metadata(server: Server) -> None:
    narrow = server.caller(1, "teams:read")

    refused = narrow.get("/users/me")

    assert refused.status_code == 403
    challenge = refused.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="users:read"' in challenge
    assert f'resource_metadata="{ISSUER}{RESOURCE}"' in challenge


@pytest.mark.parametrize("path", [SERVER, RESOURCE, OF_THE_API])
def test_the_issuer_is_a_setting_and_never_the_host_header(serve: Serve, path: str) -> None:
    server = serve(issuer="https://roster.example", development_exposed=True)

    answer = server.client.get(path, headers={"Host": "evil.example"})

    assert "evil" not in answer.text
    assert "127.0.0.1" not in answer.text
    document = answer.json()
    for name, value in document.items():
        for url in urls(value):
            assert url.startswith("https://roster.example"), name
    refused = server.client.get(f"{API}/users/me", headers={"Host": "evil.example"})
    place = f'resource_metadata="https://roster.example{RESOURCE}"'
    assert place in refused.headers["www-authenticate"]


@pytest.mark.parametrize("path", [SERVER, RESOURCE, OF_THE_API])
def test_a_copy_is_confirmed_by_its_tag(client: CheckedClient, path: str) -> None:
    first = client.get(path)

    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.parametrize("path", [SERVER, RESOURCE, OF_THE_API])
def test_a_tag_that_is_longer_than_declared_is_refused(client: CheckedClient, path: str) -> None:
    refused = client.get(path, headers={"If-None-Match": f'"{"x" * 16_384}"'})

    assert refused.status_code == 400
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/If-None-Match"]


@pytest.mark.parametrize("path", [SERVER, RESOURCE, OF_THE_API])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_metadata_can_only_be_read(client: CheckedClient, path: str, method: str) -> None:
    assert client.request(method, path).status_code == 405


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/"])
def test_the_metadata_of_the_api_names_the_url_that_its_own_was_made_of(
    client: CheckedClient, path: str
) -> None:
    answer = client.get(RESOURCE + path)

    assert answer.status_code == 200
    assert answer.json() == {**client.get(RESOURCE).json(), "resource": ISSUER + path}


@pytest.mark.parametrize(
    "path", ["/api", "/api/v1/users/me", "/api/v2", "/auth", "//", "/api/v1//"]
)
def test_nothing_else_below_the_origin_is_a_resource(client: CheckedClient, path: str) -> None:
    assert client.get(RESOURCE + path).status_code == 404
    assert client.get(f"{SERVER}{path}").status_code == 404

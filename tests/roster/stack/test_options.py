"""OPTIONS: what a caller may do on a path, decided as for the operations themselves."""

from collections import defaultdict
from typing import Any

import pytest

from roster.contract import loader
from tests.serving import API, CHALLENGE, PASSWORD, PRODUCTION, Person, Serve, Server


def allow(person: Person, path: str) -> list[str]:
    """Ask what a caller may do; return the methods."""
    answer = person.request("OPTIONS", path)
    assert answer.status_code == 204, answer.text
    assert answer.content == b""
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers
    return str(answer.headers["allow"]).split(", ")


@pytest.mark.parametrize(
    "path", ["/users/me", "/users/1", "/users/999", "/teams", "/teams/1", "/teams/1/members"]
)
def test_without_a_token_nothing_is_told(server: Server, path: str) -> None:
    answer = server.nobody.request("OPTIONS", path)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == CHALLENGE
    assert "allow" not in answer.headers


@pytest.mark.parametrize("path", ["/users", "/users/me", "/users/1", "/teams"])
@pytest.mark.parametrize("header", ["Bearer x", "Bearer", "Basic x"])
def test_with_a_bad_token_nothing_is_told(server: Server, path: str, header: str) -> None:
    answer = server.nobody.request("OPTIONS", path, headers={"Authorization": header})

    assert answer.status_code == 401
    assert "allow" not in answer.headers


def test_what_is_open_to_anyone_is_told_to_anyone(server: Server) -> None:
    assert allow(server.nobody, "/users") == ["OPTIONS", "POST"]
    assert allow(server.nobody, "/users/signup-form") == ["GET", "HEAD", "OPTIONS"]
    assert allow(server.nobody, "/") == ["GET", "HEAD", "OPTIONS"]
    assert allow(server.nobody, "/openapi.json") == ["GET", "HEAD", "OPTIONS"]


def test_a_bad_token_does_not_matter_where_no_operation_takes_one(server: Server) -> None:
    answer = server.client.options("/healthz", headers={"Authorization": "Bearer x"})

    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_a_service_may_only_read(server: Server) -> None:
    service = server.caller(None)
    team = server.team("Analysts", server.person("ada"))

    assert allow(service, "/users") == ["GET", "HEAD", "OPTIONS", "POST"]  # it signs up as anyone
    assert allow(service, "/users/1") == ["GET", "HEAD", "OPTIONS"]
    assert allow(service, "/users/me") == ["OPTIONS"]
    assert allow(service, "/teams") == ["GET", "HEAD", "OPTIONS"]
    assert allow(service, f"/teams/{team}") == ["GET", "HEAD", "OPTIONS"]
    assert allow(service, f"/teams/{team}/members") == ["GET", "HEAD", "OPTIONS"]


def test_a_user_learns_of_itself_alone(server: Server) -> None:
    ada = server.person("ada")

    assert allow(ada, "/users/me") == ["GET", "HEAD", "OPTIONS"]
    assert allow(ada, f"/users/{ada.id}") == ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH"]
    assert allow(ada, "/users") == ["OPTIONS", "POST"]
    for absent in ("/users/1", "/users/999"):
        assert ada.request("OPTIONS", absent).status_code == 404


def test_a_user_who_may_not_write_is_told_so(server: Server) -> None:
    eve = server.person("eve", is_regular_user=False)

    assert allow(eve, f"/users/{eve.id}") == ["DELETE", "GET", "HEAD", "OPTIONS"]
    assert allow(eve, "/teams") == ["GET", "HEAD", "OPTIONS"]


def test_an_internal_user_is_told_of_its_limits(server: Server) -> None:
    internal = server.person("iris", is_internal=True)
    ada = server.person("ada")
    other = server.person("ivan", is_internal=True)

    assert allow(internal, f"/users/{ada.id}") == ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH"]
    assert allow(internal, "/users/1") == ["GET", "HEAD", "OPTIONS"]
    assert allow(internal, f"/users/{other.id}") == ["GET", "HEAD", "OPTIONS"]


def test_members_of_a_team_are_told_by_their_part(server: Server) -> None:
    ada, bob, eve = (server.person(name) for name in ("ada", "bob", "eve"))
    team = server.team("Analysts", ada, bob)
    everything = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH"]

    assert allow(ada, f"/teams/{team}") == everything
    assert allow(bob, f"/teams/{team}") == ["GET", "HEAD", "OPTIONS"]
    assert allow(server.admin, f"/teams/{team}") == everything
    assert allow(ada, f"/teams/{team}/members") == ["GET", "HEAD", "OPTIONS", "POST"]
    assert allow(bob, f"/teams/{team}/members") == ["GET", "HEAD", "OPTIONS"]
    assert allow(ada, f"/teams/{team}/members/{bob.id}") == ["DELETE", "OPTIONS", "PATCH"]
    assert allow(bob, f"/teams/{team}/members/{bob.id}") == ["DELETE", "OPTIONS"]
    assert allow(bob, f"/teams/{team}/members/{ada.id}") == ["OPTIONS"]
    for path in (f"/teams/{team}", f"/teams/{team}/members", f"/teams/{team}/members/{ada.id}"):
        assert eve.request("OPTIONS", path).status_code == 404
    assert ada.request("OPTIONS", f"/teams/{team}/members/{eve.id}").status_code == 404


def test_only_what_the_scope_opens_is_told(server: Server) -> None:
    assert allow(server.caller(1, scope="users:read"), "/users/1") == ["GET", "HEAD", "OPTIONS"]
    assert allow(server.caller(1, scope="users:write"), "/users/1") == [
        "DELETE",
        "OPTIONS",
        "PATCH",
    ]


@pytest.mark.parametrize("path", ["/users/1", "/users/999"])
def test_a_token_without_any_scope_here_learns_nothing_of_the_object(
    server: Server, path: str
) -> None:
    assert allow(server.caller(1, scope="teams:read"), path) == ["OPTIONS"]


def test_a_closed_sign_up_is_told_to_all_but_admins(serve: Serve) -> None:
    server = serve(signup="closed")

    assert allow(server.nobody, "/users") == ["OPTIONS"]
    assert allow(server.person("ada"), "/users") == ["OPTIONS"]
    assert allow(server.admin, "/users") == ["GET", "HEAD", "OPTIONS", "POST"]
    reader = server.caller(1, scope="users:read")
    assert allow(reader, "/users") == ["GET", "HEAD", "OPTIONS"]


def test_head_is_not_for_the_oauth_endpoints(serve: Serve) -> None:
    development = serve().client
    production = serve(**PRODUCTION).client

    assert development.options("/auth/oauth2/token").headers["allow"] == "GET, OPTIONS, POST"
    assert production.options("/auth/oauth2/token").headers["allow"] == "OPTIONS, POST"
    assert development.options("/auth/oauth2/revoke").headers["allow"] == "OPTIONS, POST"


def test_options_of_nothing_is_absent(server: Server) -> None:
    assert server.admin.request("OPTIONS", "/nothing").status_code == 404


def test_options_changes_nothing(server: Server) -> None:
    ada = server.person("ada")

    assert "DELETE" in allow(ada, f"/users/{ada.id}")

    assert ada.get("/users/me").status_code == 200


def test_every_method_that_options_tells_is_not_refused_for_a_role(server: Server) -> None:
    ada, bob = server.person("ada"), server.person("bob")
    team = server.team("Analysts", ada, bob)
    places = {
        "/users": ("GET", "POST"),
        "/users/me": ("GET",),
        f"/users/{ada.id}": ("GET", "PATCH"),
        "/teams": ("GET", "POST"),
        f"/teams/{team}": ("GET", "PATCH"),
        f"/teams/{team}/members": ("GET", "POST"),
        f"/teams/{team}/members/{bob.id}": ("PATCH",),
    }

    for person in (server.admin, ada, bob, server.caller(None)):
        for path, methods in places.items():
            told = person.request("OPTIONS", path)
            for method in methods:
                # An empty object is no body that any operation takes: who may, gets 400.
                answer = person.request(method, path, json={} if method != "GET" else None)
                may = told.status_code == 204 and method in told.headers["allow"].split(", ")
                if may:
                    assert answer.status_code in {200, 400}, (path, method)
                elif method == "GET":
                    assert answer.status_code in {403, 404}, (path, method)


WITH_IDS = [
    route.template
    for route in loader.load("development").routes
    if not route.is_literal and route.template.startswith(API)
]


@pytest.mark.parametrize("template", WITH_IDS)
def test_options_of_what_is_not_there_is_absent_as_for_every_method(
    server: Server, template: str
) -> None:
    ids: defaultdict[str, Any] = defaultdict(lambda: 999, client_id="unknown")
    path = template.removeprefix(API).format_map(ids)

    for person in (server.admin, server.person("ada")):
        assert person.request("OPTIONS", path).status_code == 404


def test_options_of_an_application_is_told_to_those_who_let_it_in(server: Server) -> None:
    ada = server.person("ada")
    form = {"grant_type": "password", "client_id": "documentation"}
    form |= {"username": "ada", "password": PASSWORD}
    path = "/users/me/authorizations/documentation"

    assert server.client.post("/auth/oauth2/token", data=form).status_code == 200

    assert allow(ada, path) == ["DELETE", "OPTIONS"]
    assert ada.request("DELETE", path).status_code == 204

"""The boundary: what arrives is made decent, and what leaves carries its headers."""

import asyncio
import gc
import json
import logging
import re
import sys
import time
import uuid
import weakref
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from starlette.types import Message

from models import User
from roster import settings
from roster.application import create_app
from roster.contract.routes import MAX_ID
from roster.http.context import RequestContext
from roster.http.errors import HTTPError
from roster.server import entry
from roster.server.body import MAX_BODY_BYTES, read_body
from tests.roster.raw import FORM, JSON, ask, body_of, converse, http_scope
from tests.serving import PASSWORD, CheckedClient, Serve, Server

pytestmark = pytest.mark.one_database
both_databases = pytest.mark.parametrize("serve", ["sqlite", "postgresql"], indirect=True)

SIGN_UP = {
    "username": "ada",
    "email": "ada@example.com",
    "password": PASSWORD,
    "recaptcha_key": "secret_key",
}
ORIGIN = "https://app.example"
OTHER_ORIGIN = "https://evil.example"
UUID = "0b6c2f1e-7c55-4f43-9d3a-3a4f0b7f6d21"


def status_of(messages: list[Message]) -> int:
    return int(messages[0]["status"])


# The size of a body


def test_a_body_of_one_mebibyte_is_taken(server: Server) -> None:
    body = json.dumps(SIGN_UP).encode().ljust(MAX_BODY_BYTES)

    assert ask(server.app, "POST", "/api/v1/users", headers=[JSON], body=body).status_code == 201


def test_a_body_of_one_byte_more_is_too_large(server: Server) -> None:
    body = json.dumps(SIGN_UP).encode().ljust(MAX_BODY_BYTES + 1)

    assert ask(server.app, "POST", "/api/v1/users", headers=[JSON], body=body).status_code == 413


@pytest.mark.parametrize("length", [b"1048577", b"9" * 20, b"9" * 5000])
def test_a_body_that_announces_to_be_too_large_is_not_read(server: Server, length: bytes) -> None:
    scope = http_scope("POST", "/api/v1/users", headers=[JSON, (b"content-length", length)])

    assert status_of(converse(server.app, scope, [])) == 413


def test_an_endless_body_is_read_no_further_than_it_may_be_long(server: Server) -> None:
    piece: Message = {"type": "http.request", "body": b" " * 65536, "more_body": True}
    scope = http_scope("POST", "/api/v1/users", headers=[JSON])

    assert status_of(converse(server.app, scope, [piece] * 17)) == 413


def test_a_body_may_arrive_in_pieces(server: Server) -> None:
    whole = json.dumps(SIGN_UP).encode()
    pieces = [whole[index : index + 7] for index in range(0, len(whole), 7)] + [b""]

    answer = ask(
        server.app,
        "POST",
        "/api/v1/users",
        headers=[JSON, (b"transfer-encoding", b"chunked")],
        body=pieces,
    )

    assert answer.status_code == 201


@pytest.mark.parametrize("length", [b"", b"ten", b"-1", "²".encode("latin-1"), b"0" * 30 + b"5"])
def test_a_strange_length_does_not_matter(server: Server, length: bytes) -> None:
    answer = ask(
        server.app,
        "POST",
        "/api/v1/users",
        headers=[JSON, (b"content-length", length)],
        body=json.dumps(SIGN_UP).encode(),
    )

    assert answer.status_code == 201


def test_a_body_that_is_too_large_is_not_kept() -> None:
    class Piece(dict[str, Any]):
        """What can be watched."""

    pieces = [Piece(type="http.request", body=b"x" * (MAX_BODY_BYTES + 1))]
    watched = weakref.ref(pieces[0])

    async def receive() -> Message:
        return pieces.pop()

    with pytest.raises(HTTPError):
        asyncio.run(read_body({"headers": []}, receive))
    gc.collect()

    assert watched() is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_body_where_none_belongs_is_not_even_read(server: Server, method: str) -> None:
    length = (b"content-length", b"99999999")
    scope = http_scope(method, "/healthz", headers=[JSON, length])

    assert status_of(converse(server.app, scope, [])) in {200, 204}


def test_a_body_of_a_delete_is_not_read(server: Server) -> None:
    token = server.admin.headers["Authorization"].encode()
    path = f"/api/v1/users/{server.user('ada')}"
    scope = http_scope("DELETE", path, headers=[JSON, (b"authorization", token)])

    assert status_of(converse(server.app, scope, [])) == 204


def test_a_client_that_goes_away_gets_no_answer_and_is_no_failure(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    begun: Message = {"type": "http.request", "body": b"{", "more_body": True}
    scope = http_scope("POST", "/api/v1/users", headers=[JSON])

    with caplog.at_level(logging.INFO):
        assert converse(server.app, scope, [begun, {"type": "http.disconnect"}]) == []

    assert not caplog.records


# Methods


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/", "/api/v1/openapi.json", "/api/v1/users"])
def test_head_answers_as_get_does_without_a_body(server: Server, path: str) -> None:
    headers = server.admin.headers
    get = server.client.get(path, headers=headers)

    head = server.client.head(path, headers=headers)

    own = {"x-request-id", "ratelimit"}
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert {name: value for name, value in head.headers.items() if name not in own} == {
        name: value for name, value in get.headers.items() if name not in own
    }


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/api/v1/users", "/auth/oauth2/token"])
def test_no_body_is_sent_for_head(server: Server, path: str) -> None:
    start, body = converse(server.app, http_scope("HEAD", path), [])

    assert int(dict(start["headers"])[b"content-length"]) > 0
    assert body["body"] == b""


def test_head_of_nothing_has_no_body(client: CheckedClient) -> None:
    answer = client.head("/nothing")

    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PROPFIND", "get", ""])
def test_a_method_that_no_path_has_is_refused_with_those_that_it_has(
    server: Server, method: str
) -> None:
    for route in server.app.definition.routes:
        path = route.template.replace("{client_id}", "documentation")
        path = re.sub(r"\{\w+\}", "1", path)

        answer = ask(server.app, method, path)

        assert answer.status_code == 405
        allowed = answer.headers["allow"].split(", ")
        assert set(allowed) == set(route.operations)
        assert answer.headers["content-type"].partition(";")[0] == route.error_media_type


def test_a_method_of_another_path_is_refused_too(client: CheckedClient) -> None:
    answer = client.delete("/api/v1/users/me")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_a_websocket_is_refused(server: Server) -> None:
    scope = {**http_scope("GET", "/api/v1/users"), "type": "websocket"}

    assert converse(server.app, scope, [{"type": "websocket.connect"}]) == [
        {"type": "websocket.close", "code": 1003}
    ]


# Paths


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api",
        "/api/v2/users",
        "/api/v1/nothing",
        "///",
        "//api/v1/users",
        "/api/v1//users",
        "/api/v1/users//",
        "/api/v1/users/me/me",
        "/API/V1/USERS",
        "/api/v1/users ",
        "/api/v1/users\n",
        "/api/v1/users;x=1",
        "/api/v1/users/../users",
        "/api/v1/swagger-ui.css/",
        "/api/v1/../../roster/settings.py",
        "*",
    ],
)
def test_what_the_definition_does_not_have_is_not_there(server: Server, path: str) -> None:
    answer = ask(server.app, "GET", path, headers=[(b"authorization", b"Bearer x")])

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/users",
        "/api/v1/users/me",
        "/api/v1/users/1",
        "/api/v1/teams",
        "/api/v1/openapi.json",
        "/healthz",
    ],
)
def test_a_slash_at_the_end_does_not_matter(server: Server, path: str) -> None:
    without = server.client.get(path, headers=server.admin.headers)

    with_slash = server.client.get(f"{path}/", headers=server.admin.headers)

    assert with_slash.status_code == without.status_code == 200
    assert with_slash.content == without.content


def test_a_slash_at_the_end_does_not_matter_for_changes(server: Server) -> None:
    made = server.admin.post("/teams/", {"title": "Analysts"})

    assert made.status_code == 201
    assert server.admin.delete(f"/teams/{made.json()['id']}/").status_code == 204


def test_the_page_answers_without_its_slash_too(client: CheckedClient) -> None:
    assert client.get("/api/v1").content == client.get("/api/v1/").content


ODD_IDS = [
    "0",
    "-1",
    "+5",
    "1_0",
    "007",
    "1.0",
    "1e0",
    "0x1",
    " 1",
    "1 ",
    "1\n",
    "1\0",
    "\uff11",  # a full-width digit
    "\u0661",  # an Arabic-Indic one
    str(MAX_ID + 1),
    "9" * 19,
    "9" * 5000,
    "abc",
    "me2",
    "",
    "null",
    "%31",
]


@pytest.mark.parametrize("odd", [odd for odd in ODD_IDS if odd])
@pytest.mark.parametrize(
    "path", ["/users/{}", "/teams/{}", "/teams/{}/members", "/teams/{}/members/1"]
)
def test_an_id_that_no_row_can_have_is_no_path(server: Server, path: str, odd: str) -> None:
    server.admin.post("/teams", {"title": "Analysts"})
    headers = [(b"authorization", server.admin.headers["Authorization"].encode())]

    answer = ask(server.app, "GET", "/api/v1" + path.format(odd), headers=headers)

    assert answer.status_code == 404


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_odd_member_id_is_no_path_for_changes_either(server: Server, odd: str) -> None:
    token = server.admin.headers["Authorization"].encode()
    team = server.admin.post("/teams", {"title": "Analysts"}).json()["id"]

    answer = ask(
        server.app,
        "DELETE",
        f"/api/v1/teams/{team}/members/{odd}",
        headers=[(b"authorization", token)],
    )

    # Without any id the path is that of the list, which cannot be deleted.
    assert answer.status_code == (404 if odd else 405)
    assert server.admin.get(f"/teams/{team}").status_code == 200


@both_databases
def test_the_largest_id_is_one_that_a_row_could_have(server: Server) -> None:
    for path in (f"/users/{MAX_ID}", f"/teams/{MAX_ID}/members/{MAX_ID}"):
        answer = server.admin.request("DELETE", path)

        assert answer.status_code == 404
        assert answer.json()["detail"].startswith("There is no such")


# Request ids


def test_every_answer_has_a_request_id_of_its_own(client: CheckedClient) -> None:
    ids = {client.get(path).headers["x-request-id"] for path in ("/", "/healthz", "/nothing")}

    assert len(ids) == 3


@pytest.mark.parametrize("given", [UUID, UUID.replace("-", "")])
def test_a_uuid_is_taken_over_as_request_id(client: CheckedClient, given: str) -> None:
    answer = client.get("/nothing", headers={"X-Request-ID": given})

    assert answer.headers.get_list("x-request-id") == [given]
    assert answer.json()["request_id"] == given


@pytest.mark.parametrize(
    "given",
    [
        "canary",
        "-" * 500 + "0" * 32,
        "urn:uuid:" + UUID,
        "{" + UUID + "}",
        "1_" * 15 + "11",
        "+" + "1" * 31,
        "0" * 33,
        "",
    ],
)
def test_what_is_no_uuid_is_not_taken_over(
    client: CheckedClient, caplog: pytest.LogCaptureFixture, given: str
) -> None:
    answer = client.get("/nothing", headers={"X-Request-ID": given})

    made = answer.headers["x-request-id"]
    assert made != given
    assert uuid.UUID(made).hex == made
    assert not given or given not in caplog.text


# Headers for the browser's user

PROTECTING = {
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
POLICY = {"default-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"}


# Pages of a sign-in may be in a popup, and the documentation opens them in one.
OPENERS = {
    "/auth/oauth2/authorize": "unsafe-none",
    "/auth/login": "unsafe-none",
    "/auth/logout": "unsafe-none",
    "/api/v1/oauth2-redirect.html": "unsafe-none",
    "/api/v1/": "same-origin-allow-popups",
    "/api/v1": "same-origin-allow-popups",
}


def protects(answer: Any) -> bool:
    """Tell whether an answer tells a browser to be careful with it."""
    policy = answer.headers["content-security-policy"]
    opener = OPENERS.get(answer.request.url.path, "same-origin")
    expected = {**PROTECTING, "cross-origin-opener-policy": opener}
    return (
        expected.items() <= dict(answer.headers).items()
        and set(policy.split("; ")) >= POLICY
        and "unsafe" not in policy
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 307),
        ("GET", "/api/v1/", 200),
        ("GET", "/api/v1", 200),
        ("GET", "/api/v1/swagger-ui.css", 200),
        ("GET", "/api/v1/oauth2-redirect.html", 200),
        ("GET", "/api/v1/openapi.json", 200),
        ("GET", "/api/v1/users", 401),
        ("OPTIONS", "/api/v1/users", 204),
        ("GET", "/nothing", 404),
        ("DELETE", "/healthz", 405),
        ("POST", "/auth/oauth2/token", 400),
    ],
)
def test_every_answer_protects_the_user_of_a_browser(
    client: CheckedClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)

    assert answer.status_code == status
    assert protects(answer)
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/auth/login", 200),
        ("POST", "/auth/login", 403),
        ("GET", "/auth/logout", 405),
        ("POST", "/auth/logout", 403),
        ("GET", "/auth/oauth2/authorize", 400),
        ("GET", "/auth/oauth2/authorize?client_id=documentation", 303),
        ("OPTIONS", "/auth/oauth2/authorize", 204),
    ],
)
def test_the_pages_of_a_sign_in_keep_who_opened_them(
    client: CheckedClient, method: str, path: str, status: int
) -> None:
    redirect_uri = quote("http://localhost:5000/api/v1/oauth2-redirect.html", safe="")
    answer = client.request(method, path + (f"&redirect_uri={redirect_uri}" if "?" in path else ""))

    assert answer.status_code == status
    assert answer.headers.get_list("cross-origin-opener-policy") == ["unsafe-none"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_failure_protects_the_user_of_a_browser_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(User, "everyone", broken)

    answer = server.admin.get("/users")

    assert answer.status_code == 500
    assert protects(answer)


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("broken")


def test_answers_are_not_kept_unless_they_say_so(client: CheckedClient) -> None:
    kept = {
        path: client.get(path).headers["cache-control"]
        for path in ("/healthz", "/api/v1/users/me", "/nothing", "/api/v1/swagger-ui.css")
    }

    assert kept == {
        "/healthz": "no-store",
        "/api/v1/users/me": "no-store",
        "/nothing": "no-store",
        "/api/v1/swagger-ui.css": "public, max-age=3600",
    }


def test_https_is_demanded_where_the_issuer_has_it(serve: Serve) -> None:
    client = serve(issuer="https://api.example").client

    for path in ("/healthz", "/api/v1/swagger-ui.css", "/nothing"):
        assert "max-age=" in client.get(path).headers["strict-transport-security"]


# The Host header


@pytest.mark.parametrize(
    "name",
    [b"host", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix", b"forwarded"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/api/v1/"),
        ("GET", "/api/v1/users/"),
        ("GET", "/api/v1/users"),
        ("POST", "/api/v1/teams"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/api/v1/openapi.yaml"),
        ("GET", "/nothing"),
        ("GET", "/metrics"),
        ("POST", "/auth/oauth2/token"),
    ],
)
def test_the_host_that_a_client_names_shows_up_nowhere(
    serve: Serve, name: bytes, method: str, path: str
) -> None:
    server = serve(development_exposed=True)
    canary = b"host=canary.example; proto=canary" if name == b"forwarded" else b"canary.example"
    headers = [
        (name, canary),
        (b"authorization", server.admin.headers["Authorization"].encode()),
        FORM if "token" in path else JSON,
    ]

    answer = ask(
        server.app,
        method,
        path,
        headers=headers,
        query=b"limit=1" if path == "/api/v1/users" else b"",
        body=b'{"title": "Analysts"}' if path.endswith("teams") else b"",
    )

    assert answer.status_code < 500
    assert "canary" not in answer.text
    assert "canary" not in str(answer.headers)


def test_urls_in_answers_are_made_from_the_issuer(serve: Serve) -> None:
    server = serve(issuer="https://api.example", development_exposed=True)

    moved = server.client.get("/", headers={"Host": "evil.example"})
    made = server.admin.post("/teams", {"title": "Analysts"})
    listed = server.admin.get("/users?limit=1")

    assert moved.headers["location"] == "/api/v1/"
    assert made.headers["location"] == f"https://api.example/api/v1/teams/{made.json()['id']}"
    assert listed.headers["link"].startswith("<https://api.example/api/v1/users?")


# Other origins (CORS)


@pytest.fixture
def shared(serve: Serve) -> Server:
    """Return a server whose answers the scripts of one origin may read."""
    return serve(cors_origins=(ORIGIN,))


PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "authorization, content-type",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/users/me", 401),
        ("GET", "/api/v1/users/1", 401),
        ("GET", "/api/v1/nothing", 404),
        ("DELETE", "/api/v1/users", 405),
        ("GET", "/api/v1/openapi.json", 200),
        ("POST", "/api/v1/users", 400),
        ("POST", "/auth/oauth2/token", 400),
        ("POST", "/auth/oauth2/revoke", 400),
    ],
)
def test_an_origin_that_may_reads_all_answers(
    shared: Server, method: str, path: str, status: int
) -> None:
    answer = shared.client.request(method, path, headers={"Origin": ORIGIN})

    assert answer.status_code == status
    is_public = path == "/api/v1/openapi.json"
    assert answer.headers["access-control-allow-origin"] == ("*" if is_public else ORIGIN)
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    operations = shared.app.definition.operations
    for operation in (each for each in operations if each.path == path):
        for declared in operation.spec["responses"].values():
            assert exposed >= declared.get("headers", {}).keys()
    assert exposed >= {"X-Request-ID", *(["ETag"] if is_public else ["Link", "Retry-After"])}


@pytest.mark.parametrize("origins", [(), (ORIGIN,)])
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/openapi.json",
        "/api/v1/openapi.yaml",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource",
    ],
)
def test_any_origin_reads_what_is_public(serve: Serve, origins: tuple[str, ...], path: str) -> None:
    client = serve(cors_origins=origins).client

    for origin in (ORIGIN, OTHER_ORIGIN, "null"):
        answer = client.get(path, headers={"Origin": origin})
        preflight = client.options(
            path,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "if-none-match,mcp-protocol-version",
            },
        )

        assert (answer.status_code, preflight.status_code) == (200, 200)
        for each in (answer, preflight):
            assert each.headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-credentials" not in each.headers
        assert "ETag" in answer.headers["access-control-expose-headers"]
        allowed = preflight.headers["access-control-allow-headers"]
        assert allowed == "if-none-match,mcp-protocol-version"


def test_a_named_origin_sends_the_headers_that_it_likes(shared: Server) -> None:
    asked = "authorization,traceparent,x-request-id,x-requested-with"

    for path in ("/api/v1/users", "/auth/oauth2/token", "/auth/oauth2/introspect"):
        headers = {**PREFLIGHT, "Access-Control-Request-Method": "POST"}
        headers["Access-Control-Request-Headers"] = asked
        answer = shared.client.options(path, headers=headers)

        assert answer.status_code == 200
        assert answer.headers["access-control-allow-headers"] == asked


@pytest.mark.parametrize("path", ["/api/v1/users", "/auth/oauth2/token"])
def test_an_origin_that_may_reads_failures_too(
    shared: Server, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("roster.stack.resolver.Rules.judge", broken)

    answer = shared.client.request("GET", path, headers={**shared.admin.headers, "Origin": ORIGIN})

    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_another_origin_reads_nothing(shared: Server) -> None:
    answer = shared.client.get("/api/v1/users/me", headers={"Origin": OTHER_ORIGIN})

    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/api/v1/", "/healthz", "/metrics", "/api/v1/oauth2-redirect.html"]
)
def test_no_origin_reads_the_pages(shared: Server, path: str) -> None:
    answer = shared.client.get(path, headers={"Origin": ORIGIN})

    assert answer.status_code in {200, 307}
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/api/v1/users/1", "/api/v1/teams", "/auth/oauth2/token", "/auth/oauth2/revoke"]
)
def test_a_preflight_is_answered_as_such(shared: Server, path: str) -> None:
    answer = shared.client.options(path, headers=PREFLIGHT)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    methods = set(answer.headers["access-control-allow-methods"].split(", "))
    assert {"GET", "POST", "PATCH", "DELETE"} <= methods
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert {"authorization", "content-type"} <= set(allowed.split(", "))


def test_a_preflight_of_another_origin_is_refused(shared: Server) -> None:
    answer = shared.client.options("/api/v1/users/1", headers={**PREFLIGHT, "Origin": OTHER_ORIGIN})

    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_options_of_an_origin_that_is_no_preflight_tells_what_the_caller_may_do(
    shared: Server,
) -> None:
    answer = shared.client.options(
        "/api/v1/users", headers={**shared.admin.headers, "Origin": ORIGIN}
    )

    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("headers", [{"Origin": ORIGIN}, PREFLIGHT])
def test_without_the_setting_no_origin_may(client: CheckedClient, headers: dict[str, str]) -> None:
    for method in ("GET", "OPTIONS"):
        answer = client.request(method, "/api/v1/users/me", headers=headers)

        is_preflight = method == "OPTIONS" and headers == PREFLIGHT
        assert answer.status_code == (204 if is_preflight else 401)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


# The server's life


def test_the_server_starts_and_stops_with_the_asgi_server(database_url: str) -> None:
    app = create_app(settings.load(database_url=database_url))
    assert status_of(converse(app, http_scope("GET", "/api/v1/users/me"), body_of())) == 401

    life: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = converse(app, {"type": "lifespan", "asgi": {"version": "3.0"}}, life)

    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    # The threads have ended: nobody is left to answer.
    assert status_of(converse(app, http_scope("GET", "/api/v1/users/me"), body_of())) == 500


# What is left of a request


class _Context(RequestContext):
    """A context that is known as long as anything leads to it."""

    alive: ClassVar[weakref.WeakSet["_Context"]] = weakref.WeakSet()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.alive.add(self)


BODIES = [
    ([], b""),
    ([(b"content-type", b"application/json")], b"{broken"),
    ([(b"content-type", b"application/x-www-form-urlencoded")], b"grant_type=password&username=x"),
]


@pytest.mark.parametrize("who", ["nobody", "admin", "stranger"])
def test_nothing_of_a_request_waits_for_the_garbage_collector(
    server: Server, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setattr(entry, "RequestContext", _Context)
    given = {"admin": server.admin.headers["Authorization"], "stranger": "Bearer x"}.get(who)
    token = [(b"authorization", given.encode())] if given else []
    left = []
    gc.collect()
    gc.disable()
    try:
        for operation in server.app.definition.operations:
            path = re.sub(r"\{[^}]*\}", "9999", operation.path)
            for headers, body in BODIES:
                status = ask(
                    server.app, operation.method, path, headers=[*token, *headers], body=body
                ).status_code
                # The thread that has answered may still be on its way to the next request.
                ends = time.monotonic() + 5
                while _Context.alive and time.monotonic() < ends:
                    time.sleep(0.001)
                if _Context.alive:
                    left.append((operation.id, status))
                    _Context.alive.clear()
    finally:
        gc.enable()

    assert left == []


def test_no_exception_is_raised_again_and_again(server: Server) -> None:
    for path in ("/nothing", "/api/v1/users/me", "/site/nothing"):
        ask(server.app, "GET", path)
    modules = [each for name, each in sys.modules.items() if name.startswith(("roster", "models"))]
    kept = [each for module in modules for each in vars(module).values()]

    # The frames of every raise would hang on it.
    assert [each for each in kept if isinstance(each, BaseException) and each.__traceback__] == []

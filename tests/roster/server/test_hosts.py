"""Hosts: a development server answers under its developer's names for it, and no others."""

import pytest

from roster.http.errors import OAUTH_ERROR, PAGE
from roster.origins import check_origin
from tests.roster.raw import Headers, converse, http_scope
from tests.serving import PRODUCTION, Serve, Server

pytestmark = pytest.mark.one_database

OURS = [
    b"localhost",
    b"localhost:5000",
    b"LocalHost:8080",
    b"localhost.",
    b"localhost.:5000",
    b"127.0.0.1",
    b"127.0.0.1:5000",
    b"127.8.9.10:1",
    b"[::1]",
    b"[::1]:5000",
    b"127.0.0.1:",
]
OTHERS = [
    b"evil.example",
    b"evil.example:5000",
    b"127.0.0.1.evil.example",
    b"localhost.evil.example:5000",
    b"evil.localhost.example",
    b"localhost:5000@evil.example",
    b"evil.example@localhost",
    b"localhost:5000:5000",
    b"localhost:port",
    b"localhost/",
    b"localhost, evil.example",
    b"localhost..",
    b"[::1",
    b"[::1].evil.example",
    b"[::2]:5000",
    b"::1",
    b"10.0.0.1",
    b"0.0.0.0:5000",
    b"192.168.1.1:5000",
    b"2130706433",
    b"0x7f.1",
    b"127.1",
    "localhos\N{LATIN SMALL LETTER T WITH STROKE}".encode(),
    b"localhost\xa0",
    b" localhost",
    b"",
    b".",
    b"-",
    b"localhost:" + b"0" * 300,
]


def ask(
    server: Server, *hosts: bytes, method: str = "GET", path: str = "/healthz", more: Headers = ()
) -> tuple[int, dict[bytes, bytes], bytes]:
    headers = [*((b"host", host) for host in hosts), *more]
    start, *bodies = converse(server.app, http_scope(method, path, headers=headers), [])
    body = b"".join(message["body"] for message in bodies)
    return start["status"], dict(start["headers"]), body


@pytest.mark.parametrize("host", OURS, ids=repr)
def test_names_of_this_machine_are_answered(server: Server, host: bytes) -> None:
    assert ask(server, host)[0] == 200


@pytest.mark.parametrize("host", OTHERS, ids=repr)
def test_every_other_name_is_refused(server: Server, host: bytes) -> None:
    status, headers, body = ask(server, host)

    assert status == 400
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"x-request-id"]
    assert b"ROSTER_DEVELOPMENT_EXPOSED" in body
    assert b"evil" not in body


def test_who_names_no_host_is_answered(server: Server) -> None:
    assert ask(server)[0] == 200


@pytest.mark.parametrize(
    "hosts", [(b"localhost", b"evil.example"), (b"evil.example", b"localhost")]
)
def test_no_second_host_hides_a_foreign_one(server: Server, hosts: tuple[bytes, bytes]) -> None:
    assert ask(server, *hosts)[0] == 400


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT"])
@pytest.mark.parametrize("path", ["/api/v1/users", "/nothing", "/api/v1/swagger-ui.css", "/"])
def test_nothing_is_done_under_another_name(server: Server, method: str, path: str) -> None:
    assert ask(server, b"evil.example", method=method, path=path)[0] == 400


def test_a_preflight_of_another_name_is_refused_too(serve: Serve) -> None:
    server = serve(cors_origins=("https://app.example",))
    more = [(b"origin", b"https://app.example"), (b"access-control-request-method", b"GET")]
    path = "/api/v1/users"

    assert ask(server, b"localhost", method="OPTIONS", path=path, more=more)[0] == 200
    assert ask(server, b"evil.example", method="OPTIONS", path=path, more=more)[0] == 400


@pytest.mark.parametrize(
    ("path", "form"), [("/auth/oauth2/token", OAUTH_ERROR), ("/auth/login", PAGE)]
)
def test_the_refusal_has_the_form_of_its_path(server: Server, path: str, form: str) -> None:
    _, headers, _ = ask(server, b"evil.example", path=path)

    assert headers[b"content-type"].decode().startswith(form)


def test_the_names_of_the_settings_are_answered(serve: Serve) -> None:
    server = serve(host="localhost", issuer="https://Roster.Test:8443".lower())

    assert ask(server, b"roster.test")[0] == 200
    assert ask(server, b"ROSTER.test:1")[0] == 200
    assert ask(server, b"roster.test.evil.example")[0] == 400


@pytest.mark.parametrize("settings", [PRODUCTION, {"development_exposed": True}])
def test_who_is_exposed_on_purpose_does_not_look(serve: Serve, settings: dict[str, object]) -> None:
    assert ask(serve(**settings), b"evil.example")[0] == 200


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://example.com", "https://example.com"),
        ("HTTPS://Example.COM", "https://example.com"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("https://example.com:08443", "https://example.com:8443"),
        ("https://example.com.", "https://example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:443", "https://xn--bcher-kva.example"),
        ("https://[0:0:0:0:0:0:0:1]:8443", "https://[::1]:8443"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(written: str, origin: str) -> None:
    assert check_origin(written) == origin
    assert check_origin(origin) == origin


@pytest.mark.parametrize(
    "written",
    [
        "https://",
        "https://example.com/",
        "https://example.com:",
        "https://example.com:65536",
        "https://exa mple.com",
        "https://ex%61mple.com",
        "https://a..b",
        "https://-a.example",
        "https://a\nb",
        'https://a"b',
        "https://me@example.com",
        "https://[::1",
        "https://[zz]",
        "https://\u200b.example",
        "com.example.app://",
        "",
    ],
)
def test_what_is_no_origin_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="must be an origin"):
        check_origin(written)

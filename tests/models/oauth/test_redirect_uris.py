"""Redirect URIs: which are safe, and which a request may use."""

import pytest

from models.errors import Unprocessable
from models.oauth.redirect_uris import check, matches

POINTER = "/redirect_uris/3"


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/cb",
        "https://app.example:8443/cb?a=b&c=d",
        "https://app.example/%20/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:80/cb",
        "http://localhost",
        "org.example.app:/cb",
        "org.example.app-2://cb/x",
    ],
)
def test_a_safe_uri_passes(uri: str) -> None:
    check(uri, POINTER)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/cb",
        "//app.example/cb",
        "app.example/cb",
        "http://app.example/cb",
        "http://127.0.0.1.example/cb",
        "http://localhost@app.example/cb",
        "https://a@app.example/cb",
        "https://@app.example/cb",
        "https://app.example/cb#",
        "https://app.example/*",
        "https://app.example\\@evil.example/cb",
        "https://app.example/\r\nX: y",
        "https://app.example/\tcb",
        " https://app.example/cb",
        "https://app.example/ü",
        "https://app.example:0/cb",
        "https://app.example:99999/cb",
        "https://app.example:x/cb",
        "https://[::1/cb",
        "http://[::1].evil.example/cb",
        "http://evil.example[::1]/cb",
        "https://evil.example[::1]:80/cb",
        "https://app.example/cb[1]",
        "https://app.example/cb?a=%zz",
        "https://-app.example/cb",
        "https://app..example/cb",
        f"https://{'a' * 64}.example/cb",
        f"https://{'a.' * 127}example/cb",
        "https://",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "app:/cb",
        "Org.Example.App:/cb",
        ".example:/cb",
        "org.example.app://a@cb",
    ],
)
def test_any_other_is_refused_with_its_place(uri: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        check(uri, POINTER)

    assert [pointer for pointer, _ in caught.value.errors] == [POINTER]


@pytest.mark.parametrize(
    ("registered", "used"),
    [
        ("https://app.example/cb", "https://app.example/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:4711/cb"),
        ("http://127.0.0.1:8080/cb", "http://127.0.0.1:4711/cb"),
        ("http://127.0.0.1:8080/cb", "http://127.0.0.1/cb"),
        ("http://[::1]/cb?a=b", "http://[::1]:4711/cb?a=b"),
        ("http://localhost/cb", "http://localhost:65535/cb"),
        ("org.example.app:/cb", "org.example.app:/cb"),
    ],
)
def test_a_request_uses_what_is_registered_on_the_loopback_at_any_port(
    registered: str, used: str
) -> None:
    assert matches(registered, used)


@pytest.mark.parametrize(
    ("registered", "used"),
    [
        ("https://app.example/cb", "https://app.example/cb/"),
        ("https://app.example/cb", "https://app.example/cb?a=b"),
        ("https://app.example/cb", "https://app.example:443/cb"),
        ("https://app.example/cb", "https://app.example:8443/cb"),
        ("https://app.example/cb", "https://APP.example/cb"),
        ("https://app.example/cb", "https://app.example/x/../cb"),
        ("https://app.example/cb", "http://app.example/cb"),
        ("https://app.example/cb", "https://evil.example/cb"),
        ("https://localhost/cb", "https://localhost:4711/cb"),
        ("http://127.0.0.1/cb", "http://localhost/cb"),
        ("http://127.0.0.1/cb", "https://127.0.0.1/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1/cb2"),
        ("http://127.0.0.1/cb", "http://127.0.0.1/cb?a=b"),
        ("http://127.0.0.1/cb", "http://127.0.0.1/cb#x"),
        ("http://127.0.0.1/cb", "http://a@127.0.0.1/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb"),
        ("http://[::1]/cb", "http://evil.example[::1]:80/cb"),
        ("http://[::1]/cb", "http://[::1].evil.example/cb"),
        ("org.example.app:/cb", "org.example.app:/cb2"),
        ("org.example.app://cb", "org.example.app://cb:80"),
    ],
)
def test_nothing_else_will_do(registered: str, used: str) -> None:
    assert not matches(registered, used)

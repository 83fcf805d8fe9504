"""Responses: what is sent is what Flask's own would send, but for what it would change."""

from typing import Any

import flask
import pytest
from werkzeug.test import create_environ

from roster.stack.wsgi import Response

ENVIRON = create_environ("/things", "http://api.example:8000")


def sent(response: flask.Response) -> tuple[bytes, str, list[tuple[str, str]]]:
    pieces, status, headers = response.get_wsgi_response(ENVIRON)
    return b"".join(pieces), status, headers


@pytest.mark.parametrize("status", [200, 201, 204, 303, 304, 400, 404, 500])
@pytest.mark.parametrize("body", [b"", b"{}", "ä"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "text/html; charset=utf-8", "ETag": '"x"', "Cache-Control": "no-cache"},
        {"Content-Type": "text/plain", "Location": "https://api.example/things/7?a=b%20c"},
        [("Content-Type", "text/html"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
    ],
)
def test_a_response_is_what_flasks_own_is(status: int, body: Any, headers: Any) -> None:
    assert sent(Response(body, status, headers)) == sent(flask.Response(body, status, headers))


def test_without_a_body_the_length_is_left_to_the_boundary() -> None:
    body, _, headers = sent(Response(status=307, headers={"Location": "https://api.example/"}))

    assert (body, headers) == (b"", [("Location", "https://api.example/")])


def test_a_location_stays_what_it_is() -> None:
    location = "com.example.app:///cb?code=x"

    _, _, headers = sent(Response(b"", 303, {"Location": location}))

    assert dict(headers)["Location"] == location


def test_no_media_type_is_made_up() -> None:
    _, _, headers = sent(Response(status=204))

    assert "Content-Type" not in dict(headers)


def test_a_header_cannot_hold_another() -> None:
    with pytest.raises(ValueError, match="newline"):
        Response(b"", 303, {"Location": "https://api.example\r\nSet-Cookie: a=1"})

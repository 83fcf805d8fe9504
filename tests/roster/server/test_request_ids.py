"""Request ids: they are those that the middleware of asgi-correlation-id would give."""

import re
from typing import Any

import pytest
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from starlette.types import ASGIApp

from roster.server.request_ids import RequestIds
from tests.roster.raw import body_of, converse, http_scope

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-?)(?:[0-9A-Fa-f]{4}\1){3}[0-9A-Fa-f]{12}")
GIVEN = b"0b8ee1a1-1111-4abc-8def-0123456789ab"


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer with the id that is known inside."""
    known = (correlation_id.get() or "").encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"a")]})
    await send({"type": "http.response.body", "body": known})


def theirs(inner: ASGIApp) -> ASGIApp:
    return CorrelationIdMiddleware(
        inner,
        update_request_header=False,
        generator=lambda: "made",
        validator=lambda value: _UUID.fullmatch(value) is not None,
    )


def ours(inner: ASGIApp) -> ASGIApp:
    return RequestIds(inner)


def answer_of(wrapped: ASGIApp, headers: list[tuple[bytes, bytes]]) -> tuple[Any, bytes]:
    start, body = converse(wrapped, http_scope("GET", "/", headers=headers), body_of(b""))
    return start["headers"], body["body"]


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [GIVEN],
        [GIVEN.replace(b"-", b"")],
        [GIVEN.upper()],
        [GIVEN, b"another"],
        [b"another", GIVEN],
        [GIVEN + b"\n"],
        [b" " + GIVEN],
        [b"\xe4" * 32],
        [b"x" * 36],
    ],
)
def test_an_id_is_taken_over_or_made(values: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roster.server.request_ids.token_hex", lambda _: "made")
    headers = [(b"host", b"localhost"), *((b"x-request-id", value) for value in values)]

    answers = [answer_of(wrap(app), headers) for wrap in (ours, theirs)]

    assert answers[0] == answers[1]
    assert answers[0][0] == [(b"x-a", b"a"), (b"x-request-id", answers[0][1])]


def test_ids_that_are_made_differ() -> None:
    made = {answer_of(ours(app), [])[1] for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(rb"[0-9a-f]{32}", each) for each in made)

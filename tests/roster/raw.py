"""Requests byte for byte, straight to the ASGI application: what no decent client would send."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message

from roster.application import Application
from tests.serving import check_answer

Headers = Sequence[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
FORM = (b"content-type", b"application/x-www-form-urlencoded")


def converse(app: ASGIApp, scope: dict[str, Any], messages: Iterable[Message]) -> list[Message]:
    """Run an ASGI application on what it receives, to the end; return what it sends.

    It must not ask for more than there is.
    """
    waiting = list(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        assert waiting, "The application asks for more."
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    return sent


def http_scope(
    method: str, path: str, *, query: bytes = b"", headers: Headers = (), **more: Any
) -> dict[str, Any]:
    """Return the scope of an HTTP request, as a server would make it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "scheme": "http",
        "headers": list(headers),
        "client": ("192.0.2.1", 40000),
        "server": ("127.0.0.1", 5000),
        **more,
    }


def body_of(*pieces: bytes) -> list[Message]:
    """Return the messages of a body that arrives in pieces."""
    last = len(pieces) - 1
    return [
        {"type": "http.request", "body": piece, "more_body": index < last}
        for index, piece in enumerate(pieces)
    ]


def ask(
    app: Application,
    method: str,
    path: str,
    *,
    query: bytes = b"",
    headers: Headers = (),
    body: bytes | Sequence[bytes] = b"",
) -> httpx2.Response:
    """Send a request, its body whole or in pieces; hold the answer against the definition."""
    messages = body_of(*((body,) if isinstance(body, bytes) else body))
    scope = http_scope(method, path, query=query, headers=headers)
    start, *bodies = converse(app, scope, messages)
    answer = httpx2.Response(
        start["status"],
        headers=start["headers"],
        content=b"".join(message["body"] for message in bodies),
    )
    check_answer(app, method, path, answer)
    return answer

"""Request bodies: read as a whole, up to a limit."""

from starlette.types import Receive, Scope

from roster.http.errors import HTTPError

MAX_BODY_BYTES = 1024 * 1024

_TOO_LARGE = "The body is larger than 1 MiB."


class DisconnectedError(Exception):
    """The client went away before its request was complete."""


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """Read a request body, by length or in chunks.

    :raises HTTPError: 413, as soon as it is known to be too large.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > MAX_BODY_BYTES:
            raise HTTPError(413, _TOO_LARGE)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise HTTPError(413, _TOO_LARGE)
        if not message.get("more_body", False):
            return bytes(body)

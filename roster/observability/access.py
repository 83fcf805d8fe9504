"""The access log: a line for each request, with what is known of it and nothing that it sent."""

import re
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from asgi_correlation_id import correlation_id
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roster.http.context import CONTEXT, RequestContext

_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
# An id. Tokens and client secrets are longer, of 43 characters.
_ID = re.compile(r"[\w-]{1,32}", re.ASCII)
_MAX_ADDRESS = 64


class AccessLine(NamedTuple):
    """What is known of one answered request; it keeps nothing else of the request alive."""

    moment: float
    request_id: str | None
    operation: str | None
    method: str
    path: str | None
    status: int | None
    seconds: float
    size: int
    user: int | None
    client: int | None
    address: str


@dataclass(frozen=True)
class AccessLog:
    """Log the requests to an ASGI application; `write` gets a line for each.

    The path is the definition's, with the ids of the request filled in; a file's of this server
    is itself. Others may hold anything, a token perhaps, and are left out. A status of None is an
    answer that was never begun, because the client went away.
    """

    app: ASGIApp
    write: Callable[[AccessLine], None]
    files: Container[object]
    address: Callable[[Scope], str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and log it."""
        began = time.perf_counter()
        status: int | None = None
        size = 0

        async def counting(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, counting)
        finally:
            self._log(scope, status, time.perf_counter() - began, size)

    def _log(self, scope: Scope, status: int | None, seconds: float, size: int) -> None:
        context: RequestContext | None = scope.get(CONTEXT)
        operation = path = user = client = None
        if context is not None:
            operation = context.operation.id if context.operation else None
            path = _path(context.route.template, context.path_parameters)
            user = context.caller.user.id if context.caller.user else None
            client = context.caller.client
            address = context.client_address
        else:
            path = scope["path"] if scope["path"] in self.files else None
            address = self.address(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.write(
            AccessLine(
                time.time(),
                correlation_id.get(),
                operation,
                method,
                path,
                status,
                seconds,
                size,
                user,
                client,
                address[:_MAX_ADDRESS],
            )
        )


def _path(path: str, parameters: Mapping[str, Any]) -> str:
    """Fill the ids into a path of the definition."""
    for name, value in parameters.items():
        if _ID.fullmatch(str(value)):
            path = path.replace(f"{{{name}}}", str(value))
    return path


def as_json(line: AccessLine) -> bytes:
    """Return the line as a JSON object; what is not known of the request is left out."""
    moment, request_id, operation, method, path, status, seconds, size, *ids, address = line
    known = {
        "timestamp": datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z"),
        "level": "info",
        "logger": "roster.access",
        "message": "request",
        "request_id": request_id,
        "operation": operation,
        "method": method,
        "path": path,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "bytes": size,
        "user": ids[0],
        "client": ids[1],
        "address": address,
    }
    return orjson.dumps({k: v for k, v in known.items() if v is not None}) + b"\n"


def as_text(line: AccessLine) -> bytes:
    """Return the line for a developer."""
    moment = datetime.fromtimestamp(line.moment).astimezone()
    by = "".join(
        f" {name}={value}"
        for name, value in (("user", line.user), ("client", line.client))
        if value
    )
    return (
        f"{moment:%H:%M:%S} [info] {line.method} {line.path or '(unknown)'} {line.status or '-'}"
        f" {line.seconds * 1000:.1f}ms {line.size}B{by} [{line.request_id}]\n"
    ).encode("utf-8", "backslashreplace")

"""Writing: an answer that is whole is written to the connection at once."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

# With these uvicorn decides how the body is sent, and whether the connection is closed.
_ABOUT_CONNECTION = {b"connection: ", b"transfer-encoding: "}
_LENGTH = b"content-length: "


class WholeAnswers:
    """An application of one request, whose answer is written at once where it comes whole.

    uvicorn looks at each header, and writes the head and the body apart. Both together take a tenth
    of the time of a request for `users/me`. Where an answer comes in pieces, or says anything of
    the connection, uvicorn writes it. `close` closes the connection after the answer.
    """

    def __init__(
        self, cycle: RequestResponseCycle, app: ASGIApp, close: Callable[[], None]
    ) -> None:
        self._cycle = cycle
        self._app = app
        self._close = close
        self._start: Message | None = None
        self._send: Send

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        self._send = send
        await self._app(scope, receive, self._write)

    async def _write(self, message: Message) -> None:
        is_first = self._start is None and not self._cycle.response_started
        if is_first and message["type"] == "http.response.start":
            if self._cycle.waiting_for_100_continue and self._cycle.more_body:
                # The client may send its body now or leave it out: what comes next could be either
                # the body or another request (RFC 9110 section 10.1.1).
                self._cycle.keep_alive = False
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            is_whole = message["type"] == "http.response.body" and not message.get("more_body")
            if is_whole and self._is_written(start, message.get("body", b"")):
                return
            await self._send(start)
        await self._send(message)

    def _is_written(self, start: Message, body: bytes) -> bool:
        """Write an answer, and tell so; False where that is left to uvicorn."""
        cycle = self._cycle
        is_free = not (cycle.response_started or cycle.disconnected or cycle.flow.write_paused)
        if not is_free or cycle.access_log:
            return False
        has_body = cycle.scope["method"] != "HEAD"
        headers = [*cycle.default_headers, *start.get("headers", ())]
        head = _head(headers, len(body) if has_body else None)
        if head is None:
            return False
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        content = body if has_body else b""
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = cycle.chunked_encoding = False
        cycle.transport.write(b"".join((STATUS_LINE[start["status"]], head, end, content)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._close()
        cycle.on_response()
        return True


def _head(headers: Sequence[tuple[bytes, bytes]], length: int | None) -> bytes | None:
    """Return the lines of the headers; None where they are not those of so long a body alone.

    An answer to HEAD has the length that the body of another answer would have.
    """
    lines: list[bytes] = []
    lengths = 0
    for name, value in headers:
        begin = _begin(bytes(name))
        if begin == _LENGTH:
            lengths += 1
            if not (value.isdigit() if length is None else value == b"%d" % length):
                return None
        elif begin is None or begin in _ABOUT_CONNECTION:
            return None
        lines += (begin, value, b"\r\n")
    # One look at all values; a tab may stand in them.
    if lengths != 1 or HEADER_VALUE_RE.search(b"\t".join(lines[1::3])):
        return None
    return b"".join(lines)


@lru_cache(256)
def _begin(name: bytes) -> bytes | None:
    """Return the begin of a header's line; None for what is no name."""
    return None if HEADER_RE.search(name) else name.lower() + b": "

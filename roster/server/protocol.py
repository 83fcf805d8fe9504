"""The protocol: uvicorn's HTTP/1.1, with bounds on what it keeps of a client and waits for.

`roster serve` uses it. uvicorn takes it as `--http roster.server.protocol:Bounded`.
"""

import asyncio
from functools import cache, partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from roster.server import places
from roster.server.capacity import REFUSED_POLITELY, capacity
from roster.server.closing import settings_of_process
from roster.server.parser import Parser
from roster.server.pipelining import PIECE, Part, Pipelining
from roster.server.writing import WholeAnswers

_BLANKS = (b" ", b"\t")
_A_MOMENT = 0.05  # seconds, less than uvicorn waits for its connections at the least


class _RefusedError(Exception):
    """The head of a request is not as it must be, and its answer is made."""


@cache
def _most() -> int:
    return capacity(settings_of_process()).connections


class Bounded(Pipelining):
    """One connection: a head of so many bytes and headers, and a time for head and body.

    A request that arrives at once, as nearly all do, needs no timer. Timers run while some of a
    request is missing, or while a client does not read its answer.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._new_parser()
        self._most = _most()
        self._places = places.of(self.server_state)
        self._is_refused = False
        # Each head and each body has a time of its own.
        self._number = 0
        self._timed = -1
        self._timer: asyncio.TimerHandle | None = None
        # Bytes of the present head or, of a body, those since the last that were some of its data:
        # extensions of chunks, trailers.
        self._length = 0
        self._received = 0
        self._has_data = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request, which has to come."""
        super().connection_made(transport)
        is_full = len(self.connections) > self._most + REFUSED_POLITELY
        if not self._places.arrive(self, is_full=is_full):
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._places.leave(self)
        self._stop_waiting()

    def piece_received(self, data: bytes) -> None:
        """Read some bytes, and see whether they end with a request."""
        number = self._number
        self._places.end_idle(self)
        self._has_data = False
        self._received = self._length + len(data)
        super().piece_received(data)
        if self._last_words is not None:
            self._stop_waiting()
        elif self._part is Part.NOTHING and self._is_answering:
            if self._timer:
                self._stop_waiting()
            self._length = 0
        elif not self.transport.is_closing():
            # What ended within these bytes was looked at when it ended.
            is_new = self._has_data or number != self._number
            self._length = 0 if is_new else self._received
            if self._is_too_large:
                self._refuse(431)
            elif is_new and self._part is Part.NOTHING:
                # The answer was complete before the request was.
                self._stop_waiting()
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
                self._places.begin_idle(self)
            else:
                self._wait()

    def on_message_begin(self) -> None:
        """Begin with a head."""
        super().on_message_begin()
        self._part = Part.HEAD
        self._number += 1

    def on_headers_complete(self) -> None:
        """Let only a request go on whose head is as it may be."""
        size = self._received
        # What came with its first bytes is not counted, and what came behind it is.
        if size > self._settings.head_bytes - PIECE:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._settings.head_bytes or len(self.headers) > self._settings.headers:
            self._refuse(431)
            raise _RefusedError
        hosts = 0
        # The parser takes white space off the front alone (RFC 9110 section 5.5).
        for place, (name, value) in enumerate(self.headers):
            hosts += name == b"host"
            if value[-1:] in _BLANKS:
                self.headers[place] = name, value.rstrip(b" \t")
        version = self.parser.get_http_version()
        if hosts > 1 or (not hosts and version != "1.0"):  # RFC 9112 section 3.2
            self._refuse(400)
            raise _RefusedError
        if version == "1.0":  # RFC 9110 section 10.1.1
            self.expect_100_continue = False
        # uvicorn's own limit would refuse those too that were here before.
        if not self._is_refused and not self._places.take(self, self._most):
            self._is_refused = True
            self.limit_concurrency = 0
        if self._is_offer:
            return
        super().on_headers_complete()
        # Behind a CONNECT there is no HTTP any more.
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False
        self._part = Part.BODY
        self._number += 1
        # Trailers are read into this list; they must not become headers (RFC 9110 section 6.5).
        self.headers = []

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        answers = WholeAnswers(cycle, app, self.close_after_answer)
        super()._start_asgi_task(cycle, cast("Any", answers))

    def on_body(self, body: bytes) -> None:
        """Take some of a body."""
        self._has_data = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End with what is there."""
        if self._is_offer:
            return
        super().on_message_complete()
        self._part = Part.NOTHING
        self._number += 1

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, in its turn, unless it has been refused already."""
        self.say_last(partial(super().send_400_response, msg))

    def on_response_complete(self) -> None:
        """Go on with the next request, or see to it that the connection ends."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_in_time()
        elif self.timeout_keep_alive_task and self._part is Part.NOTHING:
            self._places.begin_idle(self)

    def shutdown(self) -> None:
        """Answer what has arrived, whole, and close."""
        seconds = self.config.timeout_graceful_shutdown
        if seconds is not None:
            # A moment before uvicorn stops those that are still under way.
            self.loop.call_later(seconds, self._stop_writing)
        self.end()
        if not self._is_answering:  # a request may be on its way from the system to this process
            self.loop.call_later(_A_MOMENT, self._close_unless_answering)

    def _close_unless_answering(self) -> None:
        if not self._is_answering:
            self.close()

    @property
    def _is_too_large(self) -> bool:
        is_head = self._part is Part.HEAD
        return self._length > self._settings.head_bytes or (
            is_head and len(self.headers) > self._settings.headers
        )

    @property
    def _is_offer(self) -> bool:
        """Whether this is a head that offers an upgrade, and will be read without the offer."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _new_parser(self) -> Parser:
        self.parser = Parser(self, self._head_without_offer, self._new_parser)
        return self.parser

    def _head_without_offer(self) -> bytes | None:
        if not self._is_offer:
            return None
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _should_upgrade(self) -> bool:
        return False

    def _wait(self) -> None:
        """Wait for the rest of a head or of a body, from its first byte on."""
        if self._timer is None or self._timed != self._number:
            self._stop_waiting()
            self._timed = self._number
            is_body = self._part is Part.BODY
            seconds = self._settings.body_seconds if is_body else self._settings.head_seconds
            self._timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        waits_for_us = self._part is not Part.BODY and self._is_answering
        if waits_for_us or self.flow.read_paused:
            self._wait()
        elif self._part is Part.NOTHING:
            self.close()
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Say what is wrong, in its turn, and close."""
        self.say_last(partial(self._say, status))

    def _say(self, status: int) -> None:
        self.transport.write(
            STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.close()

    def _stop_writing(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()

"""The protocol: uvicorn's HTTP/1.1, with bounds on what it keeps of a client and waits for.

`roster serve` uses it. uvicorn takes it as `--http roster.server.protocol:Bounded`.
"""

import asyncio
from enum import Enum, auto
from functools import cache
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from roster import settings
from roster.server import places
from roster.server.capacity import REFUSED_POLITELY, capacity
from roster.server.parser import Parser
from roster.server.writing import WholeAnswers
from roster.settings import Settings

_BLANKS = (b" ", b"\t")
_A_MOMENT = 0.05  # seconds, less than uvicorn waits for its connections at the least


class _Part(Enum):
    """What a client is sending."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class _TooLargeError(Exception):
    """The head of a request is larger than it may be."""


@cache
def _settings() -> Settings:
    return settings.load()


@cache
def _most() -> int:
    return capacity(_settings()).connections


class Bounded(HttpToolsProtocol):
    """One connection: a head of so many bytes and headers, and a time for head and body.

    A request that arrives at once, as nearly all do, needs no timer. Timers run while some of a
    request is missing, or while a client does not read its answer.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._new_parser()
        self._settings = _settings()
        self._most = _most()
        self._places = places.of(self.server_state)
        self._is_refused = False
        self._is_ending = False
        self._part = _Part.NOTHING
        # Each head and each body has a time of its own.
        self._number = 0
        self._timed = -1
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.TimerHandle | None = None
        # Bytes of the present head or, of a body, those since the last that were some of its data:
        # extensions of chunks, trailers.
        self._length = 0
        self._received = 0
        self._has_data = False
        self._running: RequestResponseCycle | None = None

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
        self._unset_keepalive_if_required()  # uvicorn leaves the timer where the client reset
        self._places.leave(self)
        if self._running:  # uvicorn only tells the last of several requests
            self._running.disconnected = True
            self._running.message_event.set()
        self._stop_waiting()
        self._stop_ending()

    def data_received(self, data: bytes) -> None:
        """Read what arrived, and see whether it is the whole of a request."""
        number = self._number
        self._places.end_idle(self)
        self._has_data = False
        self._received = self._length + len(data)
        super().data_received(data)
        if self._part is _Part.NOTHING and self._is_answering:
            if self._timer:
                self._stop_waiting()
            self._length = 0
        elif not self.transport.is_closing():
            # What ended within these bytes was looked at when it ended.
            is_new = self._has_data or number != self._number
            self._length = 0 if is_new else self._received
            if self._is_too_large:
                self._refuse(431)
            elif is_new and self._part is _Part.NOTHING:
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
        self._part = _Part.HEAD
        self._number += 1

    def on_headers_complete(self) -> None:
        """Let only a request go on whose head is as large as it may be."""
        size = self._received
        if size > self._settings.head_bytes:  # with what came before and behind, perhaps
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._settings.head_bytes or len(self.headers) > self._settings.headers:
            self._refuse(431)
            raise _TooLargeError
        # The parser takes white space off the front alone (RFC 9110 section 5.5).
        for place, (name, value) in enumerate(self.headers):
            if value[-1:] in _BLANKS:
                self.headers[place] = name, value.rstrip(b" \t")
        # uvicorn's own limit would refuse those too that were here before.
        if not self._is_refused and not self._places.take(self, self._most):
            self._is_refused = True
            self.limit_concurrency = 0
        if self._is_offer:
            return
        super().on_headers_complete()
        # Behind a CONNECT there is no HTTP any more.
        if self._is_ending or self.parser.should_upgrade():
            self.cycle.keep_alive = False
        self._part = _Part.BODY
        self._number += 1
        # Trailers are read into this list; they must not become headers (RFC 9110 section 6.5).
        self.headers = []

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, cast("Any", WholeAnswers(cycle, app)))

    def on_body(self, body: bytes) -> None:
        """Take some of a body."""
        self._has_data = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End with what is there."""
        if self._is_offer:
            return
        super().on_message_complete()
        self._part = _Part.NOTHING
        self._number += 1

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless it has been refused already."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """Go on with the next request, or see to it that the connection ends."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_in_time()
        elif self.timeout_keep_alive_task and self._part is _Part.NOTHING:
            self._places.begin_idle(self)

    def shutdown(self) -> None:
        """Answer what has arrived, whole, and close."""
        self._is_ending = True
        seconds = self.config.timeout_graceful_shutdown
        if seconds is not None:
            # A moment before uvicorn stops those that are still under way.
            self.loop.call_later(seconds, self._stop_writing)
        if self._is_answering:
            super().shutdown()
        else:  # a request may be on its way from the system to this process
            self.loop.call_later(_A_MOMENT, super().shutdown)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle."""
        super().timeout_keep_alive_handler()
        self._end_in_time()

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answer, but not for ever."""
        super().pause_writing()
        self._end_in_time()

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        self._stop_ending()

    @property
    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    @property
    def _may_speak(self) -> bool:
        """Whether an answer to what is being sent would come in its turn."""
        if self._part is _Part.BODY:
            return not (self.cycle.response_started or self.pipeline)
        return not self._is_answering

    @property
    def _is_too_large(self) -> bool:
        is_head = self._part is _Part.HEAD
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
            is_body = self._part is _Part.BODY
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
        waits_for_us = self._part is not _Part.BODY and self._is_answering
        if waits_for_us or self.flow.read_paused:
            self._wait()
        elif self._part is _Part.NOTHING:
            self.transport.close()
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Say what is wrong, where nothing else is being said, and close."""
        if self._may_speak:
            self.transport.write(
                STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
        self.transport.close()
        self._end_in_time()

    def _stop_writing(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _end_in_time(self) -> None:
        if self._ending is None:
            self._ending = self.loop.call_later(self._settings.body_seconds, self.transport.abort)

    def _stop_ending(self) -> None:
        if self._ending:
            self._ending.cancel()
            self._ending = None

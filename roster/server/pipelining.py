"""Pipelining: what a client sends before it has its answers is read when its turn comes."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from roster.server.closing import Closing

# The parser is given so many bytes at once, for it makes a request of each that is in them, which
# takes some kilobytes. Hardly any request is larger, but for its body.
PIECE = 1024
_PIECE_OF_BODY = 65_536


class Part(Enum):
    """What a client is sending."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Pipelining(Closing):
    """A connection whose requests are answered in their order, however early they arrive.

    uvicorn has the parser read all that has arrived. Here it waits as bytes while a request waits
    for the answer to the one before it. What cannot be read is told after the answers to what came
    before (RFC 9112 section 9.3.2). A client that closes its side of the connection after its
    requests gets their answers (section 9.6).
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._part = Part.NOTHING
        self._running: RequestResponseCycle | None = None
        self._unread = bytearray()
        self._is_ending = False
        self._has_ended = False
        self._last_words: Callable[[], None] | None = None

    def piece_received(self, data: bytes) -> None:
        """Have the parser read some bytes."""
        super().data_received(data)

    def data_received(self, data: bytes) -> None:
        """Read what arrived, as far as its turn has come."""
        if self._is_lingering or self._last_words is not None or self.transport.is_closing():
            return
        if len(data) <= PIECE and not self._unread:  # as nearly always
            self.piece_received(data)
            self._mark_last()
            return
        self._unread += data
        self._read_on()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Tell whether there are answers to come to a client that sends no more."""
        self._has_ended = self._is_ending = True
        if self._is_lingering:
            return False
        if not self._unread:
            self._end_input()
        return not self.transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all requests that nobody waits for their answers."""
        super().connection_lost(exc)
        self._unread.clear()
        if self._running:  # uvicorn only tells the last of several requests
            self._running.disconnected = True
            self._running.message_event.set()

    def on_response_complete(self) -> None:
        """Go on with what has waited for its turn."""
        if self._is_lingering:
            return
        is_last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if is_last and self._last_words is not None:
            self._last_words()
        elif self._unread:
            self._read_on()

    def end(self) -> None:
        """Let the connection end with the answer to the last request that has arrived."""
        self._is_ending = True
        self._mark_last()

    def close_after_answer(self) -> None:
        """Close, but let a client that is still sending its request see the answer."""
        if self._part is Part.BODY and not self.pipeline:
            self.linger()
        else:
            self.close()

    def say_last(self, words: Callable[[], None]) -> None:
        """Say something in its turn, and read nothing more; the words close the connection.

        They are left out where the answer to the request that they are about has begun.
        """
        if self._last_words is not None or self.transport.is_closing():
            return
        self._unread.clear()
        self._last_words = words
        if self._may_speak:
            words()
        elif self._part is Part.BODY and not self.pipeline:
            self.close()
        else:
            self._forget_unfinished()

    @property
    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    @property
    def _may_speak(self) -> bool:
        """Whether an answer to what is being sent would come in its turn."""
        if self._part is Part.BODY:
            return not (self.cycle.response_started or self.pipeline)
        return not self._is_answering

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _read_on(self) -> None:
        """Read requests until one has to wait for its turn."""
        while self._unread:
            if self.pipeline:
                self.flow.pause_reading()
                return
            size = _PIECE_OF_BODY if self._part is Part.BODY else PIECE
            piece = bytes(self._unread[:size])
            del self._unread[:size]
            self.piece_received(piece)
            self._mark_last()
        if self._has_ended and not self.transport.is_closing():
            self._end_input()

    def _mark_last(self) -> None:
        if self._is_ending and not self._unread and self._is_answering:
            self.cycle.keep_alive = False

    def _end_input(self) -> None:
        """Close after the answers to what has arrived whole: no more will come."""
        if self._part is Part.BODY and not self.pipeline:
            self.close()
            return
        self._forget_unfinished()
        if self._is_answering:
            self._mark_last()
        else:
            self.close()

    def _forget_unfinished(self) -> None:
        """Forget a request whose body will not be whole, while others before it are answered."""
        if self._part is Part.BODY and self.pipeline:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else cast("Any", self._running)
        self._part = Part.NOTHING

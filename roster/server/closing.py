"""Closing: a connection ends in time, whether its client reads what it was sent or not."""

import asyncio
from functools import cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from roster import settings
from roster.settings import Settings

# For how long a client may go on sending what is not read, so that it sees its answer.
_LINGERS = 5.0  # seconds


@cache
def settings_of_process() -> Settings:
    """Return the settings with which this process serves."""
    return settings.load()


class Closing(HttpToolsProtocol):
    """A connection that is closed when its client has read everything, or after some time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._settings = settings_of_process()
        self._ending: asyncio.TimerHandle | None = None
        self._is_lingering = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves the timer where the client reset
        self._stop_ending()

    def close(self) -> None:
        """Close when all is sent, but do not wait for that for ever."""
        self.transport.close()
        self._end_in_time()

    def linger(self) -> None:
        """Close after an answer whose client may still be sending (RFC 9112 section 9.6).

        If it were closed at once, the system would reset the connection at the next bytes, and the
        client might lose an answer that it has not read yet.
        """
        if self._is_lingering or self.transport.is_closing():
            return
        self._is_lingering = True
        self.transport.write_eof()
        self.flow.resume_reading()
        self._end_in_time()
        self.loop.call_later(_LINGERS, self.transport.close)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle."""
        super().timeout_keep_alive_handler()
        self._end_in_time()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and close."""
        super().send_400_response(msg)
        self._end_in_time()

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answer, but not for ever."""
        super().pause_writing()
        self._end_in_time()

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_ending()

    def _end_in_time(self) -> None:
        if self._ending is None:
            self._ending = self.loop.call_later(self._settings.body_seconds, self.transport.abort)

    def _stop_ending(self) -> None:
        if self._ending:
            self._ending.cancel()
            self._ending = None

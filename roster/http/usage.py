"""Usage: one request as the rate limits see it, which count by address and by token."""

from collections.abc import Sequence
from typing import Protocol

from models import Caller


class Usage(Protocol):
    """What one request uses of the requests that its address and its token may send.

    Whoever handles the request says how far it has come; it is counted once. Each method raises
    HTTPError: 429 where there were too many, 503 where nobody can count them and that matters.
    """

    @property
    def is_open(self) -> bool:
        """Whether it is still to be counted, in a thread: the count may take a while."""

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The headers that tell the client what is left, in ASGI's form."""

    def enter(self) -> None:
        """Judge the address on the event loop, before anything is done: it never waits."""

    def begin(self) -> None:
        """Judge the address in the thread, where nobody will ask for the token."""

    def count(self, caller: Caller | None) -> None:
        """Judge the token of a caller, with the address where that has not been done."""


class Uncounted:
    """The usage of a request that nobody counts."""

    is_open = False
    headers: Sequence[tuple[bytes, bytes]] = ()

    def enter(self) -> None:
        """Let it pass."""

    def begin(self) -> None:
        """Let it pass."""

    def count(self, caller: Caller | None) -> None:
        """Let it pass."""

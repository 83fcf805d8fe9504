"""Detours: requests that leave their thread before the handler, and are run again after that."""

from collections.abc import Awaitable, Callable


class Detour(BaseException):
    """A request must leave its thread: it has written nothing, and is run again from its start.

    It is no Exception, so that no error handler takes it for one.

    With a `question`, that is awaited on the event loop first; without one, the request is run in
    the threads for hashing.
    """

    def __init__(self, question: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self.question = question

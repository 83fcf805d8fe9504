"""Detours: requests that leave their thread before the handler, and are run again after that."""

from collections.abc import Awaitable, Callable


class Detour(Exception):
    """A request has to go on elsewhere: nothing was written, and it is run again from its start.

    With a `question`, after that was awaited on the event loop; without one, in the threads that
    hash passwords.
    """

    def __init__(self, question: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self.question = question

"""What stands between a guess and its judgement: a count of the guesses before."""

from typing import Protocol


class Gate(Protocol):
    """Count attempts at accounts, each as a failure until it has passed.

    The kind is `login` for a password that begins something, `current_password` for one that a
    user who has a token gives once more, and `secret` for client secrets.
    """

    def enter(self, kind: str, account: str) -> None:
        """Count an attempt before it is judged; raise TooManyAttempts where it may not be."""

    def passed(self, kind: str, account: str) -> None:
        """Take an attempt for a success, and forget the account's failures."""


class OpenGate:
    """A gate for those who need none: the command line, tests."""

    def enter(self, kind: str, account: str) -> None:
        """Let every attempt be judged."""

    def passed(self, kind: str, account: str) -> None:
        """Forget nothing, as nothing was counted."""

"""A limit on attempts: how often somebody may guess at a password or a secret."""

from typing import Protocol


class AttemptLimit(Protocol):
    """Count attempts at accounts, each as a failure until it has succeeded.

    The kind is `login` for a password with which a login begins, `current_password` for one that a
    user with a token repeats, and `secret` for client secrets, of which failures alone are counted.
    """

    def count(self, kind: str, account: str) -> None:
        """Count an attempt before it is judged; raise TooManyAttempts where there were too many."""

    def succeeded(self, kind: str, account: str) -> None:
        """Count an attempt as a success, and forget the account's failures."""


class Unlimited:
    """No limit, for the command line and tests."""

    def count(self, kind: str, account: str) -> None:
        """Let every attempt be judged."""

    def succeeded(self, kind: str, account: str) -> None:
        """Forget nothing: nothing was counted."""

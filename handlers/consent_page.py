"""Authorization: a client asks for a user's consent, and the user answers."""

from typing import Any


def show_authorization(authorization: Any) -> Any:
    """Show who asks for what, or lead on where there is nothing to ask."""
    return authorization.ask()


def decide_authorization(authorization: Any) -> Any:
    """Carry out what the user decided."""
    return authorization.decide()

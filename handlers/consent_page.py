"""The consent page: a client asks for access, and the user decides."""

from typing import Any


def show_authorization(consent_page: Any) -> Any:
    """Show what a client asks for, or redirect where the user need not be asked."""
    return consent_page.ask()


def decide_authorization(consent_page: Any) -> Any:
    """Carry out the user's decision."""
    return consent_page.decide()

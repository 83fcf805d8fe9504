"""Login: a user signs in at the browser, and out again."""

from typing import Any


def show_login(login: Any) -> Any:
    """Show the login form, or as whom the browser is signed in."""
    return login.show()


def log_in(login: Any) -> Any:
    """Sign a user in."""
    return login.sign_in()


def log_out(login: Any) -> Any:
    """Sign the user out."""
    return login.sign_out()

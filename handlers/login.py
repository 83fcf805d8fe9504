"""The login page: a user signs in and out in the browser."""

from typing import Any


def show_login(login_page: Any) -> Any:
    """Show the login form, or the user who is signed in."""
    return login_page.show()


def log_in(login_page: Any) -> Any:
    """Sign a user in."""
    return login_page.sign_in()


def log_out(login_page: Any) -> Any:
    """Sign the user out."""
    return login_page.sign_out()

"""What usernames, e-mail addresses and names may look like, and when two are the same."""

import re
import unicodedata

from models.base import is_storable
from models.errors import Unprocessable

USERNAME_LENGTH = 80
EMAIL_LENGTH = 120
EMAIL_KEY_LENGTH = 512  # some letters become several; an index of PostgreSQL ends at 2,704 bytes
NAME_LENGTH = 30

_USERNAME_RULE = (
    f"A username has 1 to {USERNAME_LENGTH} letters (A to Z), digits, dots, underscores and "
    "hyphens, and begins with a letter or a digit."
)
_USERNAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{USERNAME_LENGTH - 1}}}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def username_key(username: str) -> str:
    """Return what all usernames that count as the same have in common."""
    return username.casefold()


def email_key(email: str) -> str:
    """Return what all e-mail addresses that count as the same have in common."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold())


def check_username(username: str) -> None:
    """Raise Unprocessable for a username that nobody may have."""
    if not _USERNAME.fullmatch(username):
        raise Unprocessable(
            "The username cannot be used.",
            [("/username", _USERNAME_RULE)],
        )


def check_email(email: str, pointer: str = "/email") -> None:
    """Raise Unprocessable, with `pointer`, for an e-mail address that nobody may have."""
    if (
        len(email) > EMAIL_LENGTH
        or len(email_key(email)) > EMAIL_KEY_LENGTH
        or not is_storable(email)
        or not _EMAIL.fullmatch(email)
    ):
        raise Unprocessable(
            "The e-mail address cannot be used.",
            [(pointer, f"An e-mail address has an @ and at most {EMAIL_LENGTH} characters.")],
        )

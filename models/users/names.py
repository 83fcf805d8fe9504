"""The rules of usernames, e-mail addresses and names, and when two of them are the same."""

import re
import unicodedata

from models.database.base import is_storable
from models.errors import Unprocessable

USERNAME_LENGTH = 80
EMAIL_LENGTH = 120
EMAIL_KEY_LENGTH = 512  # some letters become several; an index of PostgreSQL ends at 2,704 bytes
NAME_LENGTH = 30

USERNAME_RULE = (
    f"A username has 1 to {USERNAME_LENGTH} letters (A to Z), digits, dots, underscores and "
    "hyphens, and begins with a letter or a digit."
)
EMAIL_RULE = (
    f"An e-mail address has an @, a domain behind it, no blanks, and at most {EMAIL_LENGTH}"
    " characters, all of them ASCII."
)
_USERNAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{USERNAME_LENGTH - 1}}}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

_MAX_VISIBLE_LENGTH = 1000
# Invisible characters whose category is one of visible characters or of marks: the code points that
# Unicode calls Default_Ignorable, without those of the category Cf.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2065\u3164\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
# Characters without any ink: the empty braille cell, a musical notehead and two hieroglyphs.
_BLANKS = frozenset("\u2800\U0001d159\U00013441\U00013442")
_NON_CHARACTER = re.compile("[\ufdd0-\ufdef]")
_JOINERS = frozenset("\u200c\u200d")
# V is a visible character, M a mark on it, J a joiner between two of these, B a blank.
_VISIBLE_TEXT = re.compile("B*V(?:J?[VM]|B+V)*B*")


def username_key(username: str) -> str:
    """Return the key of a username; usernames with one key count as the same."""
    return username.casefold()


def email_key(email: str) -> str:
    """Return the key of an e-mail address; addresses with one key count as the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold())


def login_key(text: str) -> str:
    """Return the key of a username or an e-mail address as somebody typed it.

    Blanks and invisible characters around it, which are often copied along, are ignored. It is the
    key of the account's username or e-mail address, where there is such an account: a finer key
    for either would tell by the count of wrong passwords whether there is one.
    """
    seen = [index for index, character in enumerate(text) if not _surrounds(character)]
    return email_key(text[seen[0] : seen[-1] + 1]) if seen else ""


def _surrounds(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}


def check_username(username: str) -> None:
    """Raise Unprocessable for a username that is not allowed."""
    if not _USERNAME.fullmatch(username):
        raise Unprocessable(
            "The username cannot be used.",
            [("/username", USERNAME_RULE)],
        )


def check_email(email: str, pointer: str = "/email") -> None:
    """Raise Unprocessable, with `pointer`, for an e-mail address that is not allowed."""
    if (
        len(email) > EMAIL_LENGTH
        or len(email_key(email)) > EMAIL_KEY_LENGTH
        or not is_storable(email)
        or not _EMAIL.fullmatch(email)
    ):
        raise Unprocessable(
            "The e-mail address cannot be used.",
            [(pointer, EMAIL_RULE)],
        )


def is_visible_text(text: str) -> bool:
    """Tell whether a name is visible; an empty one counts as visible.

    It has a letter, a number, a punctuation character or a symbol, and no character that is
    invisible, a control character, or changes the direction of writing. Marks follow a visible
    character, and joiners (in Persian names, in emoji) stand between two. Characters that are
    newer than this Python's Unicode count as visible. A text of more than 1,000 characters is not
    a name.
    """
    if text.isascii() and text.isprintable():
        return not text or not text.isspace()
    return len(text) <= _MAX_VISIBLE_LENGTH and bool(
        _VISIBLE_TEXT.fullmatch("".join(map(_kind, text)))
    )


def _kind(character: str) -> str:
    """Return the letter of `_VISIBLE_TEXT` for a character; X if a name must not have it."""
    category = unicodedata.category(character)
    if character in _BLANKS or category == "Zs":
        return "B"
    if character in _JOINERS:
        return "J"
    if _IGNORABLE.match(character) or category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
        return "X"
    if _NON_CHARACTER.match(character) or ord(character) & 0xFFFE == 0xFFFE:
        return "X"
    return "M" if category.startswith("M") else "V"

import unicodedata

import pytest

from models.errors import Unprocessable
from models.users.names import (
    check_email,
    check_username,
    email_key,
    is_visible_text,
    login_key,
    username_key,
)

# Of Unicode's Default_Ignorable_Code_Point, those that are neither of the category Cf nor joiners
# nor the variation selectors that emoji need.
IGNORABLE = {
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2065, 0x3164),
    *(0xFFA0, *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000)),
}


def test_letter_case_does_not_tell_usernames_apart() -> None:
    assert username_key("Anna.B") == username_key("aNNA.b")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna@Example.ORG", "anna@example.org"),
        ("STRASSE@example.org", "straße@example.org"),
        ("zoe\u0308@example.org", "zo\u00eb@example.org"),
        ("\uff41nna\uff20example.org", "anna@example.org"),
    ],
)
def test_spelling_does_not_tell_addresses_apart(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


def test_no_login_has_a_finer_key_than_a_username() -> None:
    """Or variants of one login would have counts of their own."""
    for letter in map(chr, (*range(0xD800), *range(0xE000, 0x30000))):
        if username_key(letter).isascii() and username_key(letter).isalnum():
            assert login_key(letter) == username_key(letter)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        (" Anna\u200b\n", "anna"),
        ("\0anna", "anna"),
        ("\uff21\uff4e\uff4e\uff41", "anna"),
        ("anna\uff20Example.org", "anna@example.org"),
        ("an\0na", "an\0na"),
        (" ", ""),
    ],
)
def test_a_login_has_the_key_of_what_was_meant(typed: str, key: str) -> None:
    assert login_key(typed) == key


def test_a_key_is_its_own_key() -> None:
    for letter in map(chr, (*range(0xD800), *range(0xE000, 0x30000))):
        assert email_key(email_key(letter)) == email_key(letter)


@pytest.mark.parametrize("username", ["a", "0", "A.b_c-d", "a" * 80])
def test_usernames_that_may_be(username: str) -> None:
    check_username(username)


@pytest.mark.parametrize(
    "username", ["", ".a", "-a", "_a", "a b", "a@b", "ä", "a\n", "a\0", "a" * 81, "\ud800"]
)
def test_usernames_that_may_not_be(username: str) -> None:
    with pytest.raises(Unprocessable) as raised:
        check_username(username)
    [(pointer, _)] = raised.value.errors
    assert pointer == "/username"


@pytest.mark.parametrize("email", ["root@localhost", "ä@ö.example", "a" * 112 + "@b.c.org"])
def test_addresses_that_may_be(email: str) -> None:
    check_email(email)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "@b",
        "a@",
        "a@b@c",
        "a b@c",
        "a@b\n",
        "a\0@b",
        "\ud800@b",
        "a" * 113 + "@b.c.org",
        "\ufdfa" * 100 + "@b.c",
    ],
)
def test_addresses_that_may_not_be(email: str) -> None:
    with pytest.raises(Unprocessable) as raised:
        check_email(email, "/3/value")
    [(pointer, _)] = raised.value.errors
    assert pointer == "/3/value"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "-",
        "Ada King",
        " a ",
        "Zoe\u0308",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937",
        "\u09b0\u200d\u09cd\u09af",
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
        "\u5bb6\u8a08\u7c3f",
        "\ud55c\uae00",
        "\u05de\u05d7\u05e9\u05d1\u05d5\u05df",
        "\u0e44\u0e17\u0e22",
        "\U0001f469\u200d\U0001f4bb at work",
        "\u2764\ufe0f\u200d\U0001f525",
        "1\ufe0f\u20e3",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "\U0001f44d\U0001f3fd",
        "a\u00a0b\u3000c",
        "a\u2800b",
        "\U0001faff",
        "a" * 1000,
        "\u00e9" * 1000,
    ],
)
def test_names_that_can_be_seen(name: str) -> None:
    assert is_visible_text(name)


@pytest.mark.parametrize(
    "name",
    [
        " ",
        "   ",
        "\u00a0",
        "\u2800\u2800",
        "\u3164",
        "\u115f\u1160",
        "\u200d",
        "\u200c\u200d",
        "\ufe0f",
        "\u0301",
        "\u0301a",
        " \u0301",
        "a \u0301",
        "a\u200d",
        "\u200da",
        "a\u200c\u200cb",
        "a \u200d b",
        "\ufe0fa",
        "a\u00ad",
        "knab \u202ebank",
        "a\tb",
        "a\nb",
        "a\x7f",
        "a\x85b",
        "\U0001f3f4\U000e0067\U000e0062\U000e007f",
        "\u845b\U000e0100",
        "\U0001d173a",
        "\U0001d159",
        "\ue000",
        "\uffff",
        "\ufdd0",
        "\U0010ffff",
        "\ud800",
        "a" * 1000 + "\u00e9",
    ],
)
def test_names_that_cannot_be_seen(name: str) -> None:
    assert not is_visible_text(name)


def test_each_character_is_judged_by_its_category() -> None:
    for code in (*range(0x30000), *range(0xE0000, 0xE2000), *range(0x10FF00, 0x110000)):
        character = chr(code)
        category = unicodedata.category(character)
        is_allowed = (
            code not in IGNORABLE
            and category not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
            and code & 0xFFFE != 0xFFFE
            and not 0xFDD0 <= code <= 0xFDEF
        ) or code in {0x200C, 0x200D}
        is_seen = (
            is_allowed
            and (category[0] in "LNPS" or category == "Cn")
            and code not in {0x2800, 0x1D159, 0x13441, 0x13442}
        )

        assert is_visible_text(f"a{character}a") is is_allowed, hex(code)
        assert is_visible_text(character) is is_seen, hex(code)

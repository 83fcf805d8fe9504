import pytest

from models.errors import Unprocessable
from models.names import check_email, check_username, email_key, username_key


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

import threading
import time
from collections.abc import Iterator
from typing import Any
from unicodedata import normalize

import pytest

from models.errors import Unprocessable
from models.users import passwords
from models.users.passwords import (
    check_rules,
    hash_password,
    is_right,
    prepare,
    verify,
    verify_nobody,
)
from tests.models.factories import PASSWORD, old_hash


@pytest.fixture
def _default_cost() -> Iterator[None]:
    cost = dict(passwords._cost)
    passwords.configure()
    yield
    passwords.configure(**cost)


@pytest.mark.usefixtures("_default_cost")
def test_the_default_cost_is_that_of_the_cheat_sheet() -> None:
    password_hash = hash_password("horse battery")
    assert password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify("horse battery", password_hash) == (True, None)


def test_a_hash_verifies_its_password_only() -> None:
    password_hash = hash_password("horse battery")
    assert verify("horse battery", password_hash) == (True, None)
    assert verify("Horse battery", password_hash) == (False, None)
    assert is_right("horse battery", password_hash)
    assert not is_right("", password_hash)
    assert hash_password("horse battery") != password_hash


def test_a_hash_of_another_cost_is_made_anew_for_the_right_password() -> None:
    right, upgraded = verify(PASSWORD, old_hash())
    assert right
    assert upgraded is not None
    assert verify(PASSWORD, upgraded) == (True, None)
    assert verify("wrong", old_hash()) == (False, None)


@pytest.mark.parametrize("password", ["a" * 129, "a" * 1_000_000, "\ud800", "a\0b"])
def test_what_can_be_no_password_is_wrong(password: str) -> None:
    assert verify(password, hash_password("horse battery")) == (False, None)
    verify_nobody(password)


@pytest.mark.usefixtures("_default_cost")
@pytest.mark.parametrize("password", ["wrong", "a" * 10_000])
def test_nobody_takes_the_same_work_as_somebody(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    verified = []
    context = passwords._context
    monkeypatch.setattr(context, "verify", lambda _given, hashed: verified.append(hashed))
    somebodys = hash_password("horse battery")

    verify(password, somebodys)
    verify_nobody(password)

    # The algorithm, its version and its cost stand in the hash; salt and digest follow.
    assert len(verified) == 2
    assert {hashed.rsplit("$", 2)[0] for hashed in verified} == {somebodys.rsplit("$", 2)[0]}


def test_no_more_hashes_at_once_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = 0, 0
    lock = threading.Lock()

    class Context:
        def hash(self, password: str) -> str:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1
            return password

    monkeypatch.setattr(passwords, "_context", Context())
    threads = [
        threading.Thread(target=hash_password, args=("a",)) for _ in range(3 * passwords.CORES)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == passwords.CORES


@pytest.mark.parametrize(
    "password",
    [
        "kX9!vq2a",
        "correct horse battery",
        "a" * 127 + "!",
        "ünïcödé!",
        "🐎" * 128,
        normalize("NFD", "ü" * 128),
        normalize("NFD", "각" * 128),
        "a\u3000b\u00a0" * 4,
    ],
)
def test_passwords_that_may_be(password: str) -> None:
    check_rules(password, "anna")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "8 to 128 characters"),
        ("kX9!vq2", "8 to 128 characters"),
        ("a" * 129, "8 to 128 characters"),
        ("kX9!vq2\ud800", "8 to 128 characters"),
        ("kX9!vq2\0", "control character"),
        ("kX9!vq2a\n", "control character"),
        ("kX9!vq2a\u200b", "invisible"),
        ("u\u0308" * 7, "8 to 128 characters"),
        ("ü" * 129, "8 to 128 characters"),
        ("\U0001d160" * 60, "8 to 128 characters"),
        ("pass\u00a0word" * 10_000, "8 to 128 characters"),
        ("a\u0301" * 4000, "8 to 128 characters"),
        ("password", "too common"),
        ("PassWord", "too common"),
        ("anna.example", "username"),
        ("ANNA.EXAMPLE", "username"),
    ],
)
def test_passwords_that_may_not_be(password: str, reason: str) -> None:
    with pytest.raises(Unprocessable) as raised:
        check_rules(password, "Anna.Example", "/1/value")
    [(pointer, detail)] = raised.value.errors
    assert pointer == "/1/value"
    assert reason in detail


def test_the_rules_point_into_a_sign_up_by_default() -> None:
    with pytest.raises(Unprocessable) as raised:
        check_rules("12345678", "anna")
    assert raised.value.errors[0][0] == "/password"


# Each password with another way to type it (RFC 8265 section 4.2).
SAME = [
    (normalize("NFC", "Fünf-Füße-2026"), normalize("NFD", "Fünf-Füße-2026")),
    (normalize("NFC", "각 나라의 말씀"), normalize("NFD", "각 나라의 말씀")),
    ("correct horse", "correct\u00a0horse"),
    ("correct horse", "correct\u3000horse"),
    ("\u00c5ngstr\u00f6m-2026", "\u212bngstro\u0308m-2026"),
    ("ấ" * 128, normalize("NFD", "ấ" * 128)),
]
both_ways = pytest.mark.parametrize(
    ("one", "other"), [*SAME, *((other, one) for one, other in SAME)]
)


@both_ways
def test_a_password_is_the_same_however_it_is_typed(one: str, other: str) -> None:
    password_hash = hash_password(one)

    assert verify(other, password_hash) == (True, None)
    assert is_right(other, password_hash)
    assert passwords.are_same(one, other)
    assert not is_right(other.swapcase() + "x", password_hash)


@pytest.mark.parametrize(
    ("one", "other"), [("\ufb01sh-and-chips", "fish-and-chips"), ("\uff211", "A1")]
)
def test_what_only_looks_alike_is_another_password(one: str, other: str) -> None:
    assert not is_right(other, hash_password(one))
    assert not passwords.are_same(one, other)


@pytest.mark.parametrize(
    "typed",
    [*(other for one, other in SAME if len(other) <= 128), "tab\there-2026", "🧑\u200d🚀-2026"],
)
def test_an_old_hash_of_what_was_typed_goes_on_working(typed: str) -> None:
    old = str(passwords._context.hash(typed))

    assert is_right(typed, old)
    right, upgraded = verify(typed, old)

    assert right
    if prepare(typed) is None:
        assert upgraded is None
    else:
        assert upgraded is not None
        assert is_right(normalize("NFC", typed), upgraded)
        assert verify(typed, upgraded) == (True, None)


@pytest.mark.parametrize(
    ("password", "hashes"),
    [
        ("wrong horse", 1),
        (normalize("NFC", "Füße-2026"), 1),
        (normalize("NFD", "Füße-2026"), 2),
        ("wrong\u00a0horse", 2),
        ("tab\there", 1),
        ("", 1),
        ("a" * 129, 1),
        ("\u00a0" * 129, 1),
        (normalize("NFD", "ü" * 128), 1),
        ("\ud800", 1),
    ],
)
def test_a_wrong_password_costs_one_hash_more_at_most_and_nobodys_as_much(
    monkeypatch: pytest.MonkeyPatch, password: str, hashes: int
) -> None:
    verified: list[str] = []
    somebodys = hash_password("horse battery")
    compute = passwords._compute

    def counted(*given: Any) -> Any:
        verified.append(given[-1])
        return compute(*given)

    monkeypatch.setattr(passwords, "_compute", counted)

    assert verify(password, somebodys) == (False, None)
    assert len(verified) == hashes
    verify_nobody(password)
    assert len(verified) == 2 * hashes

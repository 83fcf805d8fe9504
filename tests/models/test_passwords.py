import threading
import time
from collections.abc import Iterator

import pytest

from models import passwords
from models.errors import Unprocessable
from models.passwords import check_rules, hash_password, is_right, verify, verify_nobody
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
    "password", ["kX9!vq2a", "correct horse battery", "a" * 127 + "!", "ünïcödé!"]
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
        ("kX9!vq2\0", "8 to 128 characters"),
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

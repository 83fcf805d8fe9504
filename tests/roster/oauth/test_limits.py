"""Guessing is limited by account and by address, and forgiven after a success."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from models.errors import TooManyAttempts
from roster import settings
from roster.oauth.limits import AddressGate, Limits, _network

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def limits() -> Callable[..., Limits]:
    def make(**chosen: Any) -> Limits:
        return Limits(settings.load(**chosen))

    return make


def fail(limits: Limits, account: str, address: str, kind: str = "login") -> None:
    gate = AddressGate(limits, address)
    gate.enter(kind, account)
    gate.settle()


def succeed(limits: Limits, account: str, address: str, kind: str = "login") -> None:
    gate = AddressGate(limits, address)
    gate.enter(kind, account)
    gate.passed(kind, account)
    gate.settle()


def test_ten_failures_of_an_account_from_an_address_are_enough(
    limits: Callable[..., Limits],
) -> None:
    some = limits()
    for _ in range(10):
        fail(some, "ada", HERE)

    with pytest.raises(TooManyAttempts) as error:
        fail(some, "ada", HERE)

    assert 1 <= error.value.retry_after <= 900
    fail(some, "ada", THERE)
    fail(some, "bob", HERE)


def test_an_account_has_a_limit_over_all_addresses(limits: Callable[..., Limits]) -> None:
    some = limits(limit_per_account=4)
    for number in range(4):
        fail(some, "ada", f"192.0.2.{number}")

    with pytest.raises(TooManyAttempts):
        fail(some, "ada", "192.0.2.99")

    fail(some, "bob", "192.0.2.99")


def test_an_address_has_a_limit_over_all_accounts(limits: Callable[..., Limits]) -> None:
    some = limits(limit_per_address=4)
    for number in range(4):
        fail(some, f"user{number}", HERE)

    with pytest.raises(TooManyAttempts):
        succeed(some, "root", HERE)

    succeed(some, "root", THERE)


def test_a_success_clears_the_account_and_never_the_address(
    limits: Callable[..., Limits],
) -> None:
    some = limits(limit_per_address=12)
    for _ in range(9):
        fail(some, "ada", HERE)
    succeed(some, "ada", HERE)
    for _ in range(3):
        fail(some, "ada", HERE)

    with pytest.raises(TooManyAttempts):
        fail(some, "bob", HERE)


def test_a_success_counts_against_nobody(limits: Callable[..., Limits]) -> None:
    some = limits(limit_per_address=3, limit_per_account=3)

    for _ in range(20):
        succeed(some, "ada", HERE)


def test_client_secrets_are_counted_apart(limits: Callable[..., Limits]) -> None:
    some = limits(limit_per_address=1)
    for _ in range(10):
        fail(some, "site", HERE, kind="secret")

    with pytest.raises(TooManyAttempts):
        fail(some, "site", HERE, kind="secret")

    fail(some, "site", THERE, kind="secret")
    fail(some, "site", HERE)


def test_the_window_passes(limits: Callable[..., Limits], monkeypatch: pytest.MonkeyPatch) -> None:
    some = limits(limit_per_account_and_address=1, limit_window_seconds=60)
    fail(some, "ada", HERE)
    with pytest.raises(TooManyAttempts):
        fail(some, "ada", HERE)
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)

    fail(some, "ada", HERE)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:40000", "192.0.2.1"),
        ("[2001:db8::1]:40000", "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_an_address_or_a_network_of_ipv6_is_one_party(address: str, network: str) -> None:
    assert _network(address) == network


def test_no_account_is_stored_by_its_name(limits: Callable[..., Limits]) -> None:
    some = limits()
    fail(some, "a-password-typed-as-a-name", HERE)

    assert "a-password" not in str(vars(some._limiter.storage))

"""Guessing is limited by account and by address, and forgiven after a success."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from limits import RateLimitItemPerSecond

from models import Caller
from models.errors import TooManyAttempts
from roster import settings
from roster.contract.errors import DefinitionError
from roster.http import addresses
from roster.oauth.devices import Device
from roster.oauth.rate_limits import AddressAttempts, Limit, Limits

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture(params=["memory", "redis"])
def limits(request: pytest.FixtureRequest) -> Iterator[Callable[..., Limits]]:
    url = "" if request.param == "memory" else request.getfixturevalue("redis_url")
    made: list[Limits] = []

    def make(**chosen: Any) -> Limits:
        made.append(Limits(settings.load(limits_url=url, **chosen)))
        return made[-1]

    yield make
    for each in made:
        if url:
            storage: Any = each._storage
            storage.storage.close()


def fail(
    limits: Limits,
    account: str,
    address: str,
    kind: str = "login",
    device: Device | None = None,
) -> None:
    attempts = AddressAttempts(limits, address, device)
    attempts.count(kind, account)
    attempts.settle()


def succeed(
    limits: Limits,
    account: str,
    address: str,
    kind: str = "login",
    device: Device | None = None,
) -> None:
    attempts = AddressAttempts(limits, address, device)
    attempts.count(kind, account)
    attempts.succeeded(kind, account)
    attempts.settle()


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


# Who signed in before


def test_strangers_cannot_close_an_account_where_its_owner_signed_in_before(
    limits: Callable[..., Limits],
) -> None:
    some = limits(limit_per_account=4)
    succeed(some, "ada", HERE)
    for number in range(4):
        fail(some, "ada", f"198.51.100.{number}")

    succeed(some, "ada", HERE)

    # Nor does the owner's success let strangers guess on.
    with pytest.raises(TooManyAttempts):
        fail(some, "ada", THERE)


def test_failures_from_a_known_address_count_against_it_alone(
    limits: Callable[..., Limits],
) -> None:
    some = limits(limit_per_account=4)
    succeed(some, "ada", HERE)
    for _ in range(10):
        fail(some, "ada", HERE)

    with pytest.raises(TooManyAttempts):
        succeed(some, "ada", HERE)

    succeed(some, "ada", THERE)


def test_an_address_is_known_to_who_signed_in_there_alone(limits: Callable[..., Limits]) -> None:
    some = limits(limit_per_account=4)
    succeed(some, "eve", HERE)
    for number in range(4):
        fail(some, "ada", f"198.51.100.{number}")

    with pytest.raises(TooManyAttempts):
        fail(some, "ada", HERE)


def test_a_known_address_is_stopped_by_its_own_failures_at_others(
    limits: Callable[..., Limits],
) -> None:
    some = limits(limit_per_address=3)
    succeed(some, "ada", HERE)
    for number in range(3):
        fail(some, f"user{number}", HERE)

    with pytest.raises(TooManyAttempts):
        succeed(some, "ada", HERE)


@pytest.mark.parametrize(("days", "is_known"), [(29, True), (31, False)])
def test_an_address_is_known_for_thirty_days_after_the_last_login(
    limits: Callable[..., Limits], monkeypatch: pytest.MonkeyPatch, days: int, *, is_known: bool
) -> None:
    some = limits(limit_per_account=1)
    succeed(some, "ada", HERE)
    first = time.time()
    monkeypatch.setattr(time, "time", lambda: first + 20 * 86400)
    succeed(some, "ada", HERE)
    monkeypatch.setattr(time, "time", lambda: first + (20 + days) * 86400)
    fail(some, "ada", THERE)

    with nullcontext() if is_known else pytest.raises(TooManyAttempts):
        fail(some, "ada", HERE)


def test_who_has_the_password_for_a_while_gets_so_many_known_addresses_only(
    limits: Callable[..., Limits],
) -> None:
    some = limits(limit_per_account=1)
    for number in range(200):
        succeed(some, "ada", f"198.51.100.{number}")
    fail(some, "ada", THERE)

    passed = 0
    for number in range(200):
        with suppress(TooManyAttempts):
            fail(some, "ada", f"198.51.100.{number}")
            passed += 1

    assert passed == 100


def test_a_device_has_a_count_of_its_own_and_no_part_in_others(
    limits: Callable[..., Limits],
) -> None:
    some = limits(limit_per_account=4, limit_per_address=4)
    device = Device.new("ada")
    for number in range(4):
        fail(some, "ada", f"198.51.100.{number}")
        fail(some, f"user{number}", HERE)

    for _ in range(9):
        fail(some, "ada", HERE, device=device)
    succeed(some, "ada", HERE, device=device)
    for _ in range(10):
        fail(some, "ada", THERE, device=device)

    with pytest.raises(TooManyAttempts):
        succeed(some, "ada", THERE, device=device)
    # From there nothing was counted: the device was.
    succeed(some, "bob", THERE)


def test_a_device_is_worth_nothing_for_another_account(limits: Callable[..., Limits]) -> None:
    some = limits(limit_per_account=4)
    for number in range(4):
        fail(some, "ada", f"198.51.100.{number}")

    with pytest.raises(TooManyAttempts):
        fail(some, "ada", HERE, device=Device.new("eve"))


def test_an_account_gets_so_many_devices_only(limits: Callable[..., Limits]) -> None:
    some = limits()

    made = [some.new_device("ada") for _ in range(101)]

    assert made[100] is None
    assert len({device.id for device in made[:100] if device}) == 100
    assert some.new_device("bob")


# Other counts


@pytest.mark.parametrize(
    ("one", "other"), [("login", "current_password"), ("current_password", "login")]
)
def test_passwords_that_confirm_and_those_that_log_in_are_counted_apart(
    limits: Callable[..., Limits], one: str, other: str
) -> None:
    some = limits(limit_per_account=4, limit_per_address=4)
    for number in range(4):
        fail(some, "ada", HERE if number % 2 else THERE, kind=one)
    with pytest.raises(TooManyAttempts):
        fail(some, "ada", "198.51.100.1", kind=one)

    for _ in range(4):
        fail(some, "ada", HERE, kind=other)
    with pytest.raises(TooManyAttempts):
        fail(some, "ada", HERE, kind=other)


def test_a_password_that_confirms_makes_no_address_known(limits: Callable[..., Limits]) -> None:
    some = limits(limit_per_account=4)
    succeed(some, "ada", HERE, kind="current_password")
    for number in range(4):
        fail(some, "ada", f"198.51.100.{number}")

    with pytest.raises(TooManyAttempts):
        fail(some, "ada", HERE)


def test_calls_are_counted_by_who_calls_and_the_hour_passes(
    limits: Callable[..., Limits], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = limits(limit_members_added=2).step(operation("members-added"))
    assert step
    callers = {
        "a user": by(user=SimpleNamespace(id=1)),
        "another": by(user=SimpleNamespace(id=2)),
        "a client of the same number": by(client=1),
        "nobody": by(),
    }
    for caller in callers.values():
        step(caller)
        step(caller)
        with pytest.raises(TooManyAttempts, match="too often") as error:
            step(caller)
        assert 1 <= error.value.retry_after <= 3600
    later = time.time() + 3601
    monkeypatch.setattr(time, "time", lambda: later)

    step(callers["a user"])


def test_an_operation_without_a_limit_is_not_counted(limits: Callable[..., Limits]) -> None:
    assert limits().step(operation(None)) is None


def test_a_limit_that_nobody_knows_stops_the_start(limits: Callable[..., Limits]) -> None:
    with pytest.raises(DefinitionError, match="must be one of members-added; did you"):
        limits().step(operation("memebrs-added"))


def operation(limit: str | None) -> Any:
    return SimpleNamespace(id="add", limit=limit, path="/things", method="POST")


def by(**fields: Any) -> Any:
    return SimpleNamespace(caller=Caller(**fields), client_address=HERE)


def test_client_secrets_are_counted_apart(limits: Callable[..., Limits]) -> None:
    some = limits(limit_per_address=1)
    for _ in range(10):
        fail(some, "site", HERE, kind="secret")

    with pytest.raises(TooManyAttempts):
        fail(some, "site", HERE, kind="secret")

    fail(some, "site", THERE, kind="secret")
    fail(some, "site", HERE)


def test_a_client_may_authenticate_often_at_the_same_time(limits: Callable[..., Limits]) -> None:
    some = limits()
    at_once = [AddressAttempts(some, HERE) for _ in range(50)]
    for each in at_once:
        each.count("secret", "site")

    for each in at_once:
        each.succeeded("secret", "site")
        each.settle()

    fail(some, "site", HERE, kind="secret")


def test_an_earlier_failure_is_cleared_by_a_success(limits: Callable[..., Limits]) -> None:
    counted = limits()
    for _ in range(3):
        for _ in range(9):
            attempt = counted.enter("secret", "service", "198.51.100.1")
            counted.failed(attempt)
        counted.passed(counted.enter("secret", "service", "198.51.100.1"))


@pytest.mark.parametrize("identifiers", [(), ("a",), ("a", "b/c"), ("a", "", "d")])
def test_keys_are_those_of_the_library(identifiers: tuple[str, ...]) -> None:
    theirs = RateLimitItemPerSecond(7, 600, namespace="roster:login")

    assert Limit(7, 600, "login").key_for(*identifiers) == theirs.key_for(*identifiers)


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
    assert addresses.network(address) == network


def test_no_account_is_stored_by_its_name() -> None:
    some = Limits(settings.load())
    fail(some, "a-password-typed-as-a-name", HERE)

    storage: Any = some._limiter.storage
    assert len(storage) == 3
    assert "a-password" not in str(vars(storage))

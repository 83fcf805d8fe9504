"""Rate limits: on wrong passwords and client secrets, captchas, and operations with `x-limit`."""

import hashlib
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from models.errors import TooManyAttempts
from roster.contract.errors import DefinitionError, nearest
from roster.contract.operation import Operation
from roster.http.addresses import network
from roster.http.context import RequestContext
from roster.oauth.attempts import Attempts
from roster.oauth.devices import LIFETIME_SECONDS, Device
from roster.redis_client import pool_of
from roster.settings import Settings

_HOUR = 3600
# How long an address from which an account has signed in is remembered, and how many addresses an
# account may have in that time. Each has a count of its own, so their number is limited: somebody
# may know the password for a while.
_KNOWN_SECONDS = 30 * 24 * _HOUR
_MAX_KNOWN = 100
_NAMESPACE = "roster:"


@dataclass(frozen=True)
class _Guesses:
    """The limits on one kind of guesses: per account and place, per account, per address.

    For a device or an address from which the owner has signed in, only the first one counts. A
    guess is counted before it is checked, and removed after a success, so that parallel guesses are
    not more. Where `is_random` is what is guessed, a few more are none that could be right, and
    only failures are counted: a client authenticates often at the same time.
    """

    at_place: RateLimitItem
    at_account: RateLimitItem | None = None
    from_address: RateLimitItem | None = None
    is_random: bool = False


class Attempt(NamedTuple):
    """A guess at an account, named by its digest, from an address or a device."""

    kind: str
    account: str
    address: str
    device: str | None
    is_known: bool
    # Nothing has to be cleared when it succeeds.
    is_clean: bool = False

    @property
    def place(self) -> str:
        """The device or the address."""
        return self.device or self.address


class Limits:
    """Count the attempts of all requests, in this process or in the Redis that workers share."""

    def __init__(self, settings: Settings, limited: Callable[[str], None] = lambda _: None) -> None:
        self._limited = limited
        url = settings.limits_url
        self._storage = _shared(url) if url else Attempts()
        self._limiter = MovingWindowRateLimiter(self._storage)
        seconds = settings.limit_window_seconds
        at_place, at_account = settings.limit_per_account_and_address, settings.limit_per_account
        self._kinds = {
            "login": _Guesses(
                Limit(at_place, seconds, "login"),
                Limit(at_account, seconds, "account"),
                Limit(settings.limit_per_address, seconds, "address"),
            ),
            "current_password": _Guesses(
                Limit(at_place, seconds, "current-password"),
                Limit(at_account, seconds, "current-password-account"),
            ),
            "secret": _Guesses(
                Limit(settings.limit_per_client_and_address, seconds, "secret"), is_random=True
            ),
        }
        self._known = Limit(1, _KNOWN_SECONDS, "known")
        self._becoming_known = Limit(_MAX_KNOWN, _KNOWN_SECONDS, "becoming-known")
        self._devices = Limit(_MAX_KNOWN, LIFETIME_SECONDS, "devices")
        self._captchas = Limit(settings.limit_captchas_per_address, seconds, "captcha")
        self._by_name = {
            "members-added": Limit(settings.limit_members_added, _HOUR, "members-added")
        }

    def reset(self) -> None:
        """Forget all attempts."""
        self._storage.reset()

    def attach(self, context: RequestContext, device: Device | None = None) -> None:
        """Attach the rate limits to a request, for the guesses that it makes."""
        attempts = AddressAttempts(self, context.client_address, device)
        context.attempts = attempts
        context.failed = attempts.failed
        context.at_end(attempts.settle)

    def enter(self, kind: str, account: str, address: str, device: Device | None = None) -> Attempt:
        """Begin a guess at an account before it is checked, and count it where it has to be.

        :raises TooManyAttempts: after too many failures; the guess must not be checked then.
        """
        guesses = self._kinds[kind]
        is_owners = kind == "login" and device is not None and device.account == account
        account = _digest(account)
        if not is_owners:
            device = None
            self._check(guesses.from_address, address)
        # Strangers must not be able to lock the owner of an account out everywhere.
        is_known = kind == "login" and (is_owners or self._knows(account, address))
        attempt = Attempt(kind, account, address, device.id if device else None, is_known)
        if guesses.is_random:
            failures = self._failures(guesses.at_place, account, attempt.place)
            return attempt._replace(is_clean=not failures)
        self._count(guesses.at_place, account, attempt.place)
        if not is_known:
            self._count(guesses.at_account, account)
        return attempt

    def passed(self, attempt: Attempt) -> None:
        """Clear the failures of this account; those of the address stay.

        A client's failure while another request of its succeeds stays, too.
        """
        if attempt.is_clean:
            return
        guesses = self._kinds[attempt.kind]
        self._limiter.clear(guesses.at_place, attempt.account, attempt.place)
        if guesses.at_account and not attempt.is_known:
            self._limiter.clear(guesses.at_account, attempt.account)
        if attempt.kind == "login":
            self._remember(attempt.account, attempt.address)

    def failed(self, attempt: Attempt) -> None:
        """Count a failure against its address, and against its account where it is not yet."""
        guesses = self._kinds[attempt.kind]
        if guesses.is_random:
            self._limiter.hit(guesses.at_place, attempt.account, attempt.place)
        if guesses.from_address and attempt.device is None:
            self._limiter.hit(guesses.from_address, attempt.address)

    def new_device(self, account: str) -> Device | None:
        """Make a device for an account that has just signed in; None where it has too many."""
        return Device.new(account) if self._limiter.hit(self._devices, _digest(account)) else None

    def check_captcha(self, context: RequestContext) -> None:
        """Check that a captcha of this address may be verified.

        :raises TooManyAttempts: after too many wrong ones from it.
        """
        self._check(self._captchas, network(context.client_address))

    def captcha_failed(self, context: RequestContext) -> None:
        """Count a wrong captcha against its address."""
        self._limiter.hit(self._captchas, network(context.client_address))

    def step(self, operation: Operation) -> Callable[[RequestContext], None] | None:
        """Make the step that counts a caller's calls of an operation, and raises TooManyAttempts.

        :raises DefinitionError: for an `x-limit` that names no limit.
        """
        if operation.limit is None:
            return None
        if operation.limit not in self._by_name:
            known = ", ".join(self._by_name) + nearest(operation.limit, self._by_name)
            raise DefinitionError(
                f"x-limit must be one of {known}", path=operation.path, method=operation.method
            )
        item = self._by_name[operation.limit]
        detail = "You have done this too often of late. Try again later."
        return lambda context: self._count(item, _party(context), detail=detail)

    def _check(self, item: RateLimitItem | None, *identifiers: str) -> None:
        if item and not self._limiter.test(item, *identifiers):
            raise self._refusal(item, *identifiers)

    def _failures(self, item: RateLimitItem, *identifiers: str) -> int:
        """Return how many failures are remembered, unless they are too many."""
        left = self._limiter.get_window_stats(item, *identifiers).remaining
        if left < 1:
            raise self._refusal(item, *identifiers)
        return item.amount - left

    def _count(self, item: RateLimitItem | None, *identifiers: str, **said: str) -> None:
        if item and not self._limiter.hit(item, *identifiers):
            raise self._refusal(item, *identifiers, **said)

    def _refusal(self, item: RateLimitItem, *identifiers: str, **said: str) -> TooManyAttempts:
        self._limited(item.namespace.removeprefix(_NAMESPACE))
        ends = self._limiter.get_window_stats(item, *identifiers).reset_time
        return TooManyAttempts(max(1, math.ceil(ends - time.time())), **said)

    def _knows(self, account: str, address: str) -> bool:
        return not self._limiter.test(self._known, account, address)

    def _remember(self, account: str, address: str) -> None:
        if self._knows(account, address):
            self._limiter.clear(self._known, account, address)  # its time begins anew
        elif not self._limiter.hit(self._becoming_known, account):
            return
        self._limiter.hit(self._known, account, address)


@dataclass
class AddressAttempts:
    """The rate limits of one request, by the address or the device from which it comes."""

    limits: Limits
    client_address: str
    device: Device | None = None
    _open: dict[tuple[str, str], Attempt] = field(default_factory=dict)

    @cached_property
    def address(self) -> str:
        """The address by which guesses are counted, computed only where there is a guess."""
        return network(self.client_address)

    def count(self, kind: str, account: str) -> None:
        """Count an attempt, as a failure until `succeeded` is called.

        :raises TooManyAttempts: after too many failures.
        """
        entered = self.limits.enter(kind, account, self.address, self.device)
        self._open[kind, account] = entered

    def succeeded(self, kind: str, account: str) -> None:
        """Count an attempt as a success."""
        self.limits.passed(self._open.pop((kind, account)))

    def failed(self) -> Collection[tuple[str, str]]:
        """Return the kind and the account of each attempt that has not succeeded."""
        return self._open.keys()

    def settle(self) -> None:
        """Count the attempts that have not succeeded as failures of the address."""
        for attempt in self._open.values():
            self.limits.failed(attempt)


def _shared(url: str) -> Any:
    # A login waits no longer for its count than any request does.
    return RedisStorage("redis://", connection_pool=pool_of(url), wrap_exceptions=True)


class Limit(RateLimitItemPerSecond):
    """A limit whose keys are those of its base class, made in a fifth of the time."""

    __slots__ = ("_end",)

    def __init__(self, number: int, seconds: int, name: str) -> None:
        super().__init__(number, seconds, namespace=f"{_NAMESPACE}{name}")
        self._end = super().key_for().removeprefix(self.namespace)

    def key_for(self, *identifiers: Any) -> str:
        """Return the key of a party, which some texts name."""
        return "/".join((self.namespace, *identifiers)) + self._end


def _party(context: RequestContext) -> str:
    """Name the caller: a user, a client without a user, or an address."""
    caller = context.caller
    if caller.user is not None:
        return f"user {caller.user.id}"
    if caller.client is not None:
        return f"client {caller.client}"
    return f"address {network(context.client_address)}"


def _digest(account: str) -> str:
    """Return the digest of an account's name: people type passwords in its place."""
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()

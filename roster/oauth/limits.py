"""The limits on guessing: how many wrong passwords and secrets are let pass, and from where."""

import hashlib
import ipaddress
import math
import re
import time
from dataclasses import dataclass, field
from functools import cached_property

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from models.errors import TooManyAttempts
from roster.exchange import Exchange
from roster.oauth.attempts import Attempts
from roster.settings import Settings

_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+):\d+", re.ASCII)


class Limits:
    """Count failures of all requests: in this process, or in the Redis that workers share."""

    def __init__(self, settings: Settings) -> None:
        url = settings.limits_url
        self._storage = storage_from_string(url, wrap_exceptions=True) if url else Attempts()
        self._limiter = MovingWindowRateLimiter(self._storage)
        seconds = settings.limit_window_seconds

        def per_window(most: int, namespace: str) -> RateLimitItem:
            return RateLimitItemPerSecond(most, seconds, namespace=f"roster:{namespace}")

        self._by_address = per_window(settings.limit_per_address, "address")
        self._by_account = per_window(settings.limit_per_account, "account")
        self._by_both = {
            "login": per_window(settings.limit_per_account_and_address, "login"),
            "secret": per_window(settings.limit_per_client_and_address, "secret"),
        }

    def reset(self) -> None:
        """Forget all failures."""
        self._storage.reset()

    def guard(self, exchange: Exchange) -> None:
        """Put a gate into a request's way, which its guesses have to pass."""
        gate = AddressGate(self, exchange.client_address)
        exchange.gate = gate
        exchange.at_end(gate.settle)

    def enter(self, kind: str, account: str, address: str) -> None:
        """Count an attempt at an account from an address before it is judged.

        :raises TooManyAttempts: where there were too many failures; then it is not to be judged.
        """
        if kind == "login" and not self._limiter.test(self._by_address, address):
            raise self._refusal(self._by_address, address)
        account = _digest(account)
        # Counted first and taken back after a success: parallel guesses get no more than others.
        if not self._limiter.hit(self._by_both[kind], account, address):
            raise self._refusal(self._by_both[kind], account, address)
        if kind == "login" and not self._limiter.hit(self._by_account, account):
            raise self._refusal(self._by_account, account)

    def passed(self, kind: str, account: str, address: str) -> None:
        """Forget the failures of an account; those of the address stay."""
        account = _digest(account)
        self._limiter.clear(self._by_both[kind], account, address)
        if kind == "login":
            self._limiter.clear(self._by_account, account)

    def failed(self, kind: str, address: str) -> None:
        """Count a failure against its address."""
        if kind == "login":
            self._limiter.hit(self._by_address, address)

    def _refusal(self, item: RateLimitItem, *identifiers: str) -> TooManyAttempts:
        ends = self._limiter.get_window_stats(item, *identifiers).reset_time
        return TooManyAttempts(max(1, math.ceil(ends - time.time())))


@dataclass
class AddressGate:
    """The gate of one request, at the address that the request came from."""

    limits: Limits
    client_address: str
    _open: set[tuple[str, str]] = field(default_factory=set)

    @cached_property
    def address(self) -> str:
        """The address by which guesses are counted, worked out for those who guess."""
        return _network(self.client_address)

    def enter(self, kind: str, account: str) -> None:
        """Count an attempt, as a failure until it has passed.

        :raises TooManyAttempts: where there were too many failures before.
        """
        self.limits.enter(kind, account, self.address)
        self._open.add((kind, account))

    def passed(self, kind: str, account: str) -> None:
        """Take an attempt for a success."""
        self._open.discard((kind, account))
        self.limits.passed(kind, account, self.address)

    def settle(self) -> None:
        """Count what has not passed by the end of the request against the address."""
        for kind, _ in self._open:
            self.limits.failed(kind, self.address)


def _digest(account: str) -> str:
    """Return what stands for an account: people type passwords where a name belongs."""
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()


def _network(address: str) -> str:
    """Return what one party has: an IPv4 address, or the /64 of an IPv6 one."""
    # Some proxies write the port too, of which everybody has many.
    found = _WITH_PORT.fullmatch(address)
    address = found[1] or found[2] if found else address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address

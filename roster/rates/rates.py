"""Rates: counts the requests of each address and of each token, and refuses those beyond."""

import time
from collections.abc import Callable, Sequence

from models import Caller
from roster.contract.definition import Definition
from roster.contract.derived import RATE_LIMITS
from roster.http.addresses import network
from roster.http.context import RequestContext
from roster.http.errors import HTTPError
from roster.rates.policies import WINDOW_SECONDS, Policies, Policy, Standing, refusal
from roster.rates.shared import SharedWindows, SilentError
from roster.rates.windows import Windows
from roster.settings import Settings

# Addresses that are refused without asking the Redis again.
_MAX_REFUSED = 10_000


class Rates:
    """Make the usage of each request, which is counted in this process or in the shared Redis.

    A definition without `x-rate-limits` declares none, and nothing is counted then.
    """

    def __init__(
        self,
        settings: Settings,
        definition: Definition,
        limited: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._limited = limited
        self.policies = Policies(settings.rate_per_address, settings.rate_per_token)
        self.is_open = settings.rate_without_redis == "open"
        self._is_on = RATE_LIMITS in definition.document and bool(
            settings.rate_per_address or settings.rate_per_token
        )
        self.addresses = Windows(WINDOW_SECONDS)
        self.tokens = Windows(WINDOW_SECONDS)
        self.shared = SharedWindows(settings.limits_url) if settings.limits_url else None
        # With a Redis: until when an address is refused, by this process's clock.
        self.refused: dict[str, float] = {}

    def attach(self, context: RequestContext) -> None:
        """Attach its usage to a request for an operation, or for OPTIONS, that is limited."""
        operation = context.operation
        is_limited = (
            context.route.is_rate_limited if operation is None else operation.is_rate_limited
        )
        if not self._is_on or not is_limited:
            return
        # Where a token may be left out, a refusal in its place would come after validation.
        has_token = context.route.needs_token if operation is None else operation.needs_token
        address = network(context.client_address)
        if self.shared is None:
            context.usage = LocalUsage(self, address, has_token=has_token)
        else:
            context.usage = SharedUsage(self, self.shared, address, has_token=has_token)

    def refusal(self, policy: Policy, left: float) -> HTTPError:
        """Make the error of a party that is beyond its quota, and count it."""
        # Guesses at passwords have a limit by address, too.
        self._limited(f"rate-{policy.name.decode()}")
        return refusal(left)

    def reset(self) -> None:
        """Forget all requests."""
        self.addresses.reset()
        self.tokens.reset()
        self.refused.clear()
        if self.shared is not None:
            self.shared.reset()

    def close(self) -> None:
        """Close the connections to the Redis."""
        if self.shared is not None:
            self.shared.close()


class LocalUsage:
    """A request that is counted in memory: the address before anything else, the token later."""

    __slots__ = ("_address", "_is_counted", "_rates", "_standings")

    is_open = False

    def __init__(self, rates: Rates, address: str, *, has_token: bool) -> None:
        self._rates = rates
        self._address = address
        self._is_counted = not has_token
        self._standings: list[Standing] = []

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The headers that tell what is left."""
        return self._rates.policies.headers(self._standings)

    def enter(self) -> None:
        """Count the request for its address."""
        policy = self._rates.policies.address
        if policy:
            self._judge(policy, self._rates.addresses.hit(self._address))

    def begin(self) -> None:
        """Do nothing: the address has been judged."""

    def count(self, caller: Caller | None) -> None:
        """Count the request for the caller's token, once."""
        policy = self._rates.policies.token
        if policy and caller is not None and not self._is_counted:
            self._is_counted = True
            self._judge(policy, self._rates.tokens.hit(_key_of(caller)))

    def _judge(self, policy: Policy, found: tuple[int, float]) -> None:
        sent, left = found
        self._standings.append((policy, sent, left))
        if sent > policy.quota:
            raise self._rates.refusal(policy, left)


class SharedUsage:
    """A request that is counted in a Redis: for its address and its token by one question.

    So an operation that needs a token is judged when security knows whose that is, and no sooner.
    An address that has been refused is refused at once until its window ends.
    """

    __slots__ = ("_address", "_has_token", "_rates", "_shared", "_standings", "is_open")

    def __init__(
        self, rates: Rates, shared: SharedWindows, address: str, *, has_token: bool
    ) -> None:
        self._rates = rates
        self._shared = shared
        self._address = address
        self._has_token = has_token
        self._standings: list[Standing] = []
        self.is_open = True

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The headers that tell what is left."""
        return self._rates.policies.headers(self._standings)

    def enter(self) -> None:
        """Refuse an address that the Redis has refused in this window."""
        policy, refused = self._rates.policies.address, self._rates.refused
        if not policy or not refused:
            return
        left = refused.get(self._address, 0.0) - time.monotonic()
        if left > 0:
            self.is_open = False
            self._standings = [(policy, policy.quota + 1, left)]
            raise self._rates.refusal(policy, left)
        refused.pop(self._address, None)

    def begin(self) -> None:
        """Count the request for its address, where no token is waited for."""
        if not self._has_token:
            self.count(None)

    def count(self, caller: Caller | None) -> None:
        """Count the request for its address, and for the caller's token."""
        if not self.is_open:
            return
        self.is_open = False
        rates, policies = self._rates, self._rates.policies
        parties = [(policies.address, self._address)] if policies.address else []
        if policies.token and caller is not None:
            parties.append((policies.token, str(_key_of(caller))))
        if not parties:
            return
        try:
            self._standings = self._shared.hit(parties)
        except SilentError:
            if rates.is_open:
                return
            raise HTTPError(
                503,
                "The service cannot answer just now. Try again shortly.",
                headers={"Retry-After": "5"},
            ) from None
        policy, sent, left = self._standings[-1]
        if sent > policy.quota:
            if policy is policies.address:
                self._remember(left)
            raise self._rates.refusal(policy, left)

    def _remember(self, left: float) -> None:
        refused = self._rates.refused
        if len(refused) >= _MAX_REFUSED:
            refused.clear()
        refused[self._address] = time.monotonic() + left


def _key_of(caller: Caller) -> object:
    """Name whose requests are counted together as those of a token.

    They are those of the grant behind it, so that a refreshed token has no count of its own. A
    service gets a grant with each token, and is counted as the client.
    """
    return caller.grant_id if caller.user is not None else f"client {caller.client}"

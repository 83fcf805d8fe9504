"""Policies: how many requests a party may send, and the headers that say so.

They are those of draft-ietf-httpapi-ratelimit-headers-10, in structured fields (RFC 9651).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from roster.http.errors import HTTPError

WINDOW_SECONDS = 60

# A policy's name, how many requests a party has sent in its window, and how many seconds that has
# still to go. It is a plain tuple, for one is made for each request.
Standing = tuple["Policy", int, float]


@dataclass(frozen=True, slots=True)
class Policy:
    """A number of requests that a party may send in the time of a window."""

    name: bytes
    quota: int

    @property
    def text(self) -> bytes:
        """The policy as an item of `RateLimit-Policy`."""
        return b'"%b";q=%d;w=%d' % (self.name, self.quota, WINDOW_SECONDS)


class Policies:
    """The policies for addresses and for tokens; None where there is no limit."""

    def __init__(self, per_address: int, per_token: int) -> None:
        self.address = Policy(b"address", per_address) if per_address else None
        self.token = Policy(b"token", per_token) if per_token else None
        given = [each.text for each in (self.address, self.token) if each]
        self._both = b"ratelimit-policy", b", ".join(given)

    def headers(self, standings: Sequence[Standing]) -> Sequence[tuple[bytes, bytes]]:
        """Return `RateLimit` and `RateLimit-Policy`, in ASGI's form; none for no standing."""
        if not standings:
            return ()
        policy, sent, left = standings[0]
        rest = policy.quota - sent
        limits = b'"%b";r=%d;t=%d' % (policy.name, max(0, rest), ceil(left))
        if len(standings) == 1:
            return (b"ratelimit", limits), (b"ratelimit-policy", policy.text)
        policy, sent, left = standings[1]
        rest = policy.quota - sent
        rest = max(0, rest)
        limits = b'%b, "%b";r=%d;t=%d' % (limits, policy.name, rest, ceil(left))
        return (b"ratelimit", limits), self._both


def refusal(seconds: float) -> HTTPError:
    """Make the error of a party that has sent too many requests, and may go on in some seconds."""
    return HTTPError(
        429,
        "There were too many requests. Try again later.",
        headers={"Retry-After": str(max(1, ceil(seconds)))},
    )

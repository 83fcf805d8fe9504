"""Shared windows: the requests of each party as all workers count them, in one Redis."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import cast

from roster.rates.policies import WINDOW_SECONDS, Policy, Standing
from roster.redis_client import client_of, failure, reason_of

# After a failure nobody asks for so long, so that few threads wait for what does not answer.
_REST_SECONDS = 1.0

# Counts for one key after the other, up to the first one that is over its limit. A window that has
# no end is new; one that ends later than it could shows that the clock was set back.
_COUNT = """
local standings = {}
for index, key in ipairs(KEYS) do
  local quota, window = tonumber(ARGV[index]), tonumber(ARGV[#KEYS + 1])
  local count, left = redis.call('INCR', key), redis.call('PTTL', key)
  if left < 0 or left > window then
    count, left = 1, window
    redis.call('SET', key, 1, 'PX', window)
  end
  standings[#standings + 1] = count
  standings[#standings + 1] = left
  if count > quota then break end
end
return standings
"""

_logger = logging.getLogger(__name__)


class SilentError(Exception):
    """The Redis does not answer."""


class SharedWindows:
    """Count requests in a Redis, by one round trip for all parties of a request.

    A Redis that does not answer is waited for shortly, and then by one thread in a second only.
    """

    def __init__(self, url: str) -> None:
        self._client = client_of(url)
        self._errors = failure()
        self._count = self._client.register_script(_COUNT)
        self._lock = threading.Lock()
        self._is_silent = False
        self._asked_again_at = 0.0

    def hit(self, parties: Sequence[tuple[Policy, str]]) -> list[Standing]:
        """Count a request for each party, up to the first one that has sent too many.

        :raises SilentError: where the Redis does not answer.
        """
        if self._is_silent and not self._may_ask():
            raise SilentError
        keys = [f"roster:rate:{policy.name.decode()}:{key}" for policy, key in parties]
        quotas = [policy.quota for policy, _ in parties]
        try:
            found = cast("list[int]", self._count(keys, [*quotas, WINDOW_SECONDS * 1000]))
        except self._errors as error:
            self._fail(error)
            raise SilentError from None
        if self._is_silent:
            self._is_silent = False
            _logger.warning("The Redis of the rate limits answers again.")
        return [
            (policy, sent, left / 1000)
            for (policy, _), sent, left in zip(parties, found[::2], found[1::2], strict=False)
        ]

    def reset(self) -> None:
        """Forget all requests."""
        keys = [*self._client.scan_iter("roster:rate:*")]
        if keys:
            self._client.delete(*keys)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _may_ask(self) -> bool:
        """Tell one thread in a while that it may find out whether the Redis answers again."""
        with self._lock:
            now = time.monotonic()
            if now < self._asked_again_at:
                return False
            self._asked_again_at = now + _REST_SECONDS
        return True

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._asked_again_at = time.monotonic() + _REST_SECONDS
            was_silent, self._is_silent = self._is_silent, True
        if not was_silent:
            reason = reason_of(error)
            _logger.error("The Redis of the rate limits does not answer: %s", reason)

"""Proxies: whose address a request has that came through some."""

import logging
from typing import Any

from roster.origins import is_local

_logger = logging.getLogger(__name__)


class Proxies:
    """Find the address of a client behind a number of proxies that the operator trusts."""

    def __init__(self, trusted: int) -> None:
        self._trusted = trusted
        self._looks_for_others = not trusted

    def client_address(self, scope: Any) -> str:
        """Return the address of the client, as the outermost of the trusted proxies saw it.

        Each proxy adds to `X-Forwarded-For` whom it was asked by; what stands before their entries
        may be anybody's invention.
        """
        peer = str((scope.get("client") or ("",))[0])
        if not self._trusted:
            if self._looks_for_others:
                self._look_for_others(scope, peer)
            return peer
        entries = [
            entry.strip()
            for name, value in scope["headers"]
            if name == b"x-forwarded-for"
            for entry in value.decode("latin-1").split(",")
        ]
        return entries[-self._trusted] if len(entries) >= self._trusted else peer

    def _look_for_others(self, scope: Any, peer: str) -> None:
        """Warn once of a proxy that nobody told of: to the limits all its clients are one."""
        for name, _ in scope["headers"]:
            if name == b"x-forwarded-for" and is_local(peer):
                self._looks_for_others = False
                _logger.warning(
                    "A proxy sends X-Forwarded-For, but ROSTER_TRUSTED_PROXIES is 0: requests and"
                    " failed logins of all its clients are counted as if they were one. Set it to"
                    " the number of proxies in front."
                )
                return

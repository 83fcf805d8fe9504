"""Response headers: those that protect a browser's user, and the completed bearer challenge."""

from functools import lru_cache
from typing import Any

from starlette.types import Send

from roster.contract.operation import ISOLATED
from roster.http.answers import RawHeaders
from roster.http.errors import REALM

OPENER_POLICY = b"cross-origin-opener-policy"

_CHALLENGE = f'Bearer realm="{REALM}"'.encode()
_HEADERS: dict[bytes, bytes] = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'self'; base-uri 'none'; form-action 'self';"
    b" frame-ancestors 'none'",
    OPENER_POLICY: ISOLATED.encode(),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
_SECURE_HEADERS: dict[bytes, bytes] = {
    b"strict-transport-security": b"max-age=31536000; includeSubDomains"
}


class ResponseHeaders:
    """Complete the headers of the responses of a server that is reached under an origin."""

    def __init__(self, origin: str) -> None:
        secure = _SECURE_HEADERS if origin.startswith("https:") else {}
        self._defaults = [*_HEADERS.items(), *secure.items()]
        # Answers have the same headers again and again.
        self.missing = lru_cache(256)(self._find_missing)
        self._metadata = f"{origin}/.well-known/oauth-protected-resource"

    def _find_missing(self, present: frozenset[bytes]) -> RawHeaders:
        """Return the protecting headers that are not among the names that a response has."""
        return [header for header in self._defaults if header[0] not in present]

    def with_metadata(self, raw: RawHeaders) -> RawHeaders:
        """Add to a bearer challenge where to read which token is wanted (RFC 9728 section 5.1)."""
        return [(name, self._completed(name, value)) for name, value in raw]

    def _completed(self, name: bytes, value: bytes) -> bytes:
        if name != b"www-authenticate" or not value.startswith(_CHALLENGE):
            return value
        return value + f', resource_metadata="{self._metadata}"'.encode()

    def completing(self, send: Send) -> Send:
        """Wrap an ASGI `send` so that it adds the protecting headers that are missing."""

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = frozenset(name.lower() for name, _ in message["headers"])
                message["headers"] = [*message["headers"], *self.missing(present)]
            await send(message)

        return send_with_headers

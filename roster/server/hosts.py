"""Hosts: a development server answers under the names that its developer uses, and no others.

A page of anybody's may have its own name lead to 127.0.0.1 (DNS rebinding). To the browser the
server then is of that page's origin, and a development server has passwords that everybody knows.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from roster.http.errors import HTTPError
from roster.origins import host_of, is_loopback
from roster.settings import Settings

_FOREIGN = HTTPError(
    400,
    "A development server answers under the names of this machine only. Its operator can change"
    " that by ROSTER_DEVELOPMENT_EXPOSED=1.",
)

_MAX_LENGTH = 255  # of a name, in DNS

Refuse = Callable[[Exception, Scope, Send], Awaitable[None]]


class KnownHosts:
    """Refuse what asks for a host that is not this machine, HOST or the issuer's."""

    def __init__(self, app: ASGIApp, refuse: Refuse, names: frozenset[str]) -> None:
        self._app = app
        self._refuse = refuse
        self._names = names
        self._is_known = lru_cache(64)(self._find)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it before anything else looks at it."""
        # HTTP/1.0 may say nothing of its host.
        for name, host in scope["headers"]:
            if name == b"host" and (len(host) > _MAX_LENGTH or not self._is_known(host)):
                await self._refuse(_FOREIGN, scope, send)
                return
        await self._app(scope, receive, send)

    def _find(self, header: bytes) -> bool:
        host = host_of(header.decode("latin-1"))
        return host is not None and (host in self._names or is_loopback(host))


def known_hosts_only(app: ASGIApp, refuse: Refuse, settings: Settings) -> ASGIApp:
    """Return an application that looks at Host first, where the settings ask for that."""
    if not settings.is_development or settings.development_exposed:
        return app
    issuer = urlsplit(settings.origin).hostname or ""
    return KnownHosts(app, refuse, frozenset({issuer, settings.host.lower()}))

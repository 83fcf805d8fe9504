"""The browser of a user who signs in: its cookies, its session, and its CSRF protection."""

import hashlib
import hmac
import json
import secrets
from functools import cached_property
from urllib.parse import urlsplit

from werkzeug.http import dump_cookie
from werkzeug.sansio.http import parse_cookie

from models.oauth.authorization_rows import AuthorizationRows, hold
from models.oauth.browser_session import BrowserSession, SessionLifetimes, SignedIn
from models.oauth.client import ClientRow
from models.users.user import User
from roster.http.context import RequestContext
from roster.oauth import devices
from roster.oauth.devices import Device
from roster.origins import host_of, is_loopback
from roster.settings import Settings

_MAX_COOKIES = 65_536
_HALF = 64  # characters of a form's code: a SHA-256 in hexadecimal


class Browser:
    """Keep a browser signed in by a cookie, and tell its forms from forged ones.

    The session cookie holds a random id; the session's row is found by its hash. The form cookie
    holds a random value, set with the first page; a form is genuine if it sends a code derived
    from that value, which no other site can read or set. The code also depends on the user for
    whom the page was made, and on what it showed, where the user decides by that. The device cookie
    outlives the session: by it the rate limits know that its user has signed in here before.
    """

    def __init__(self, context: RequestContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._is_secure = settings.origin.startswith("https://")
        # Read as Latin-1: our cookies are ASCII, and others of the host may not be UTF-8.
        header = context.header(b"cookie") or ""
        # No browser sends more for one host.
        header = header if len(header) <= _MAX_COOKIES else ""
        self._cookies: dict[str, str] = dict(parse_cookie(header).items())
        # A cookie with this prefix is bound to this origin (RFC 6265bis section 4.1.3.2).
        prefix = "__Host-" if self._is_secure else ""
        self._session_name = f"{prefix}roster_session"
        self._form_name = f"{prefix}roster_form"
        self._device_name = f"{prefix}roster_device"
        self._to_set: dict[str, str] = {}

    @property
    def _lifetimes(self) -> SessionLifetimes:
        return SessionLifetimes(
            idle=self._settings.session_idle_seconds, total=self._settings.session_total_seconds
        )

    @cached_property
    def home(self) -> str:
        """The prefix of the URLs of this server's pages: the issuer.

        It is empty where a development server is reached under another name of its machine, or at
        a published port: the browser stays on that host, as it may not reach the issuer.
        """
        origin = self._settings.origin
        issuer = urlsplit(origin)
        asked = (self._context.header(b"host") or "").lower()
        hosts = (host_of(asked) or "", issuer.hostname or "")
        is_here = self._settings.is_development and all(map(is_loopback, hosts))
        return "" if is_here and asked != issuer.netloc else origin

    @cached_property
    def user(self) -> SignedIn | None:
        """The user who is signed in."""
        value = self._cookies.get(self._session_name)
        if not value:
            return None
        return BrowserSession.find(self._context.connection, value, self._lifetimes)

    def hold(self, client: ClientRow) -> AuthorizationRows:
        """Lock the user, a client and the consent between them until the transaction ends.

        Return what there is now; the browser's user is that one from here on. Without a user
        nothing is locked but the client.
        """
        connection = self._context.connection
        if self.user is None:
            return AuthorizationRows(client=ClientRow.lock_shared(connection, client.id, ()))
        value = self._cookies[self._session_name]
        found = hold(connection, self.user.id, client.id, value, self._lifetimes)
        self.__dict__["user"] = found.user
        return found

    def sign_in(self, user: User) -> None:
        """Begin a new session, and end the present one."""
        self.sign_out()
        most = self._settings.quotas.sessions
        value = BrowserSession.begin(self._context.session, user, self._lifetimes, most)
        self._cookies = {**self._cookies, self._session_name: value}
        self._set(self._session_name, value, self._settings.session_total_seconds)

    def sign_out(self) -> bool:
        """End the session; tell whether there was one."""
        value = self._cookies.get(self._session_name)
        # Only by its id: no other user's row may be locked after that of the user who signs in.
        ended = bool(value) and BrowserSession.end(self._context.session, value or "")
        self._set(self._session_name, "", 0)
        self.__dict__.pop("user", None)
        self._cookies = {name: v for name, v in self._cookies.items() if name != self._session_name}
        return ended

    @property
    def device(self) -> Device | None:
        """The device of this browser, if an account has signed in here before."""
        return devices.read(self._cookies.get(self._device_name, ""), self._settings)

    def remember(self, device: Device) -> None:
        """Set the long-lived cookie that says that an account has signed in here."""
        value = devices.write(device, self._settings)
        self._set(self._device_name, value, devices.LIFETIME_SECONDS)

    def form_code(self, *shown: str) -> str:
        """Return the code that a form of this page has to send.

        `shown` is what the page shows and the user decides by, if there is anything.
        """
        value = self._cookies.get(self._form_name)
        if not value:
            value = secrets.token_urlsafe(32)
            self._cookies = {**self._cookies, self._form_name: value}
            self._set(self._form_name, value, None)
        return self._genuine(value) + self._current(value, shown)

    def is_genuine(self, code: str | None) -> bool:
        """Tell whether a form comes from a page that was sent to this browser, however long ago."""
        value = self._cookies.get(self._form_name)
        if not value or not code:
            return False
        return hmac.compare_digest(code[:_HALF].encode(), self._genuine(value).encode())

    def is_current(self, code: str, *shown: str) -> bool:
        """Tell whether a genuine form comes from a page that would be the same now.

        That is one for the user who is signed in, which showed what is `shown`.
        """
        value = self._cookies.get(self._form_name, "")
        return hmac.compare_digest(code[_HALF:].encode(), self._current(value, shown).encode())

    def _genuine(self, value: str) -> str:
        return self._code(f"form {value}")

    def _current(self, value: str, shown: tuple[str, ...]) -> str:
        # As JSON, so that no name of a client, and no planted cookie, looks like another text.
        return self._code(json.dumps([self.user.id if self.user else 0, shown, value]))

    def _code(self, text: str) -> str:
        key = self._settings.signing_key.encode()
        return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def _set(self, name: str, value: str, max_age: int | None) -> None:
        self._to_set[name] = dump_cookie(
            name,
            value,
            max_age=max_age,
            path="/",
            secure=self._is_secure,
            httponly=True,
            samesite="Lax",
        )

    @property
    def set_cookies(self) -> list[str]:
        """The Set-Cookie headers of the response."""
        return list(self._to_set.values())

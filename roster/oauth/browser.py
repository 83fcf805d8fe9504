"""The browser of the user who signs in: its cookies, its session, and its own forms."""

import hashlib
import hmac
import secrets
from functools import cached_property
from urllib.parse import urlsplit

from werkzeug.http import dump_cookie
from werkzeug.sansio.http import parse_cookie

from models.oauth.browser_session import BrowserSession, SessionLifetimes
from models.users.user import User
from roster.http.context import RequestContext
from roster.oauth import devices
from roster.oauth.devices import Device
from roster.origins import host_of, is_loopback
from roster.settings import Settings

_MAX_COOKIES = 65_536
_HALF = 64  # of a form's code: a SHA-256 in hexadecimal


class Browser:
    """Keep a browser signed in by a cookie, and its forms apart from forged ones.

    The session cookie holds a random id, whose hash finds the session's row. Another cookie
    holds a random value from the first page on; a form is genuine if it brings a code made of
    that value, which no other site can read or set. The code tells too for which user the page
    was made. A third cookie outlives the session, and tells the limits on guessing that its user
    signed in here before.
    """

    def __init__(self, context: RequestContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._is_secure = settings.origin.startswith("https://")
        # Read as Latin-1: ours are ASCII, and others on the host may hold what is no UTF-8.
        header = context.header(b"cookie") or ""
        # No browser sends so many for one host.
        header = header if len(header) <= _MAX_COOKIES else ""
        self._cookies: dict[str, str] = dict(parse_cookie(header).items())
        # A cookie so named is bound to this very origin (RFC 6265bis section 4.1.3.2).
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
        """What the addresses of this server's pages begin with: the issuer.

        Nothing where a development server is asked under another name of its machine, or at a port
        that was published: there the browser stays where it is, for the issuer may not be reached.
        """
        origin = self._settings.origin
        issuer = urlsplit(origin)
        asked = (self._context.header(b"host") or "").lower()
        hosts = (host_of(asked) or "", issuer.hostname or "")
        is_here = self._settings.is_development and all(map(is_loopback, hosts))
        return "" if is_here and asked != issuer.netloc else origin

    @cached_property
    def _session(self) -> BrowserSession | None:
        value = self._cookies.get(self._session_name)
        if not value:
            return None
        return BrowserSession.find(self._context.session, value, self._lifetimes)

    @property
    def user(self) -> User | None:
        """The user who is signed in."""
        return None if self._session is None else self._session.user

    def hold(self) -> User | None:
        """Keep the user and the session as they are until the transaction ends; return the user.

        Either may have ended just before; then nobody is signed in any more.
        """
        if self.user is not None:
            User.hold(self._context.session, self.user.id)
            self.__dict__.pop("_session", None)
        return self.user

    def sign_in(self, user: User) -> None:
        """Begin a new session, in place of the one that there may be."""
        self.sign_out()
        most = self._settings.quotas.sessions
        value = BrowserSession.begin(self._context.session, user, self._lifetimes, most)
        self._cookies = {**self._cookies, self._session_name: value}
        self._set(self._session_name, value, self._settings.session_total_seconds)

    def sign_out(self) -> None:
        """End the session."""
        value = self._cookies.get(self._session_name)
        if value:
            # Only by its id: another user's row must not be locked after that of who signs in.
            BrowserSession.end(self._context.session, value)
        self._set(self._session_name, "", 0)
        self.__dict__.pop("_session", None)
        self._cookies = {name: v for name, v in self._cookies.items() if name != self._session_name}

    @property
    def device(self) -> Device | None:
        """What this browser is to the account that last signed in here."""
        return devices.read(self._cookies.get(self._device_name, ""), self._settings)

    def remember(self, device: Device) -> None:
        """Keep for long that an account signed in here."""
        value = devices.write(device, self._settings)
        self._set(self._device_name, value, devices.LIFETIME_SECONDS)

    @property
    def form_code(self) -> str:
        """The code that a form of the page at hand has to bring back."""
        value = self._cookies.get(self._form_name)
        if not value:
            value = secrets.token_urlsafe(32)
            self._cookies = {**self._cookies, self._form_name: value}
            self._set(self._form_name, value, None)
        return self._genuine(value) + self._current(value)

    def is_genuine(self, code: str | None) -> bool:
        """Tell whether a form comes from a page that this browser was given, at whatever time."""
        value = self._cookies.get(self._form_name)
        if not value or not code:
            return False
        return hmac.compare_digest(code[:_HALF].encode(), self._genuine(value).encode())

    def is_current(self, code: str) -> bool:
        """Tell whether a genuine form comes from a page for the user who is signed in now."""
        value = self._cookies.get(self._form_name, "")
        return hmac.compare_digest(code[_HALF:].encode(), self._current(value).encode())

    def _genuine(self, value: str) -> str:
        return self._code(f"form {value}")

    def _current(self, value: str) -> str:
        return self._code(f"page {self.user.id if self.user else 0} {value}")

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
        """The Set-Cookie headers that the answer has to carry."""
        return list(self._to_set.values())

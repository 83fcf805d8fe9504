"""Device cookies: they show that an account has signed in on a browser before."""

import secrets
from dataclasses import dataclass
from typing import Self

from itsdangerous import BadData, URLSafeTimedSerializer

from roster.settings import Settings

LIFETIME_SECONDS = 180 * 24 * 3600


@dataclass(frozen=True)
class Device:
    """A browser on which an account has signed in: its failed logins are counted by its id.

    The idea is OWASP's ("Slow Down Online Guessing Attacks with Device Cookies"). The cookie
    gives no access; it only keeps the failures of strangers from locking the owner out.
    """

    account: str
    id: str

    @classmethod
    def new(cls, account: str) -> Self:
        """Make one for an account that has just signed in."""
        return cls(account, secrets.token_urlsafe(16))


def write(device: Device, settings: Settings) -> str:
    """Return the value of a device's cookie, signed."""
    return str(_serializer(settings).dumps([device.account, device.id]))


def read(value: str, settings: Settings) -> Device | None:
    """Return the device that a cookie names; None where this server has not signed it."""
    try:
        account, device_id = _serializer(settings).loads(value, max_age=LIFETIME_SECONDS)
    except BadData:
        return None
    return Device(account, device_id)


def _serializer(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.signing_key, salt="device")

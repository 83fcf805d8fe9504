"""A device's cookie is this server's own, for one account, and ends."""

import time

import pytest
from itsdangerous import URLSafeTimedSerializer

from roster import settings
from roster.oauth import devices
from roster.oauth.devices import Device

SETTINGS = settings.load()


def test_a_cookie_brings_its_device_back() -> None:
    device = Device.new("user 1")

    assert devices.read(devices.write(device, SETTINGS), SETTINGS) == device
    assert Device.new("user 1").id != device.id


def test_a_cookie_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    value = devices.write(Device.new("user 1"), SETTINGS)
    later = time.time() + devices.LIFETIME_SECONDS
    monkeypatch.setattr(time, "time", lambda: later - 10)
    assert devices.read(value, SETTINGS)
    monkeypatch.setattr(time, "time", lambda: later + 10)

    assert devices.read(value, SETTINGS) is None


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "\xff", "." * 8000])
def test_a_forged_cookie_is_none(value: str) -> None:
    assert devices.read(value, SETTINGS) is None


def test_what_was_signed_for_another_purpose_or_by_another_key_is_none() -> None:
    other = settings.load(secret_key="another key of this server")
    content = ["user 1", "an id"]

    for value in (
        devices.write(Device("user 1", "an id"), other),
        str(URLSafeTimedSerializer(SETTINGS.signing_key, salt="cursor").dumps(content)),
    ):
        assert devices.read(value, SETTINGS) is None

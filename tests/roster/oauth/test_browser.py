"""Where the pages of a sign-in lead: to the issuer, but for a developer's other names of it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from roster import settings
from roster.oauth.browser import Browser
from tests.serving import PRODUCTION

ISSUER = "http://127.0.0.1:5000"


def home_of(host: str, **chosen: Any) -> str:
    """Return what the addresses of pages begin with, for a browser that asked a host."""
    context = SimpleNamespace(header={b"host": host}.get)
    return Browser(cast("Any", context), settings.load(**chosen)).home


@pytest.mark.parametrize("host", ["localhost:5000", "localhost:8080", "127.0.0.1", "[::1]:5000"])
def test_a_development_server_keeps_a_browser_on_the_name_of_its_machine(host: str) -> None:
    assert home_of(host, issuer=ISSUER) == ""


@pytest.mark.parametrize(
    "host", ["127.0.0.1:5000", "evil.example", "evil.example:5000", "localhost:x", "", "\xff"]
)
def test_everybody_else_is_led_to_the_issuer(host: str) -> None:
    assert home_of(host, issuer=ISSUER) == ISSUER


def test_an_issuer_elsewhere_is_where_a_developer_is_led() -> None:
    issuer = "https://api.example"

    assert home_of("localhost:5000", issuer=issuer) == issuer


def test_production_leads_to_the_issuer_whatever_was_asked() -> None:
    chosen = {**PRODUCTION, "issuer": ISSUER}

    assert home_of("localhost:5000", **chosen) == ISSUER

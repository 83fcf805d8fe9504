"""Proxies: whose address counts, and a warning where a proxy is not told of."""

import logging
from typing import Any

import pytest

from roster.server.proxies import Proxies
from tests.roster.raw import converse, http_scope
from tests.serving import PRODUCTION, Serve

FORWARDED = (b"x-forwarded-for", b"192.0.2.7")
NAME = "ROSTER_TRUSTED_PROXIES"


def scope(peer: str | None, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return http_scope("GET", "/healthz", headers=headers, client=peer and (peer, 40000))


@pytest.mark.parametrize(
    "peer",
    [
        "127.0.0.1",
        "::1",
        "10.0.0.2",
        "172.17.0.1",
        "192.168.1.1",
        "fd00::1",
        "::ffff:10.1.1.1",
        None,
    ],
)
def test_a_proxy_that_nobody_told_of_is_warned_of_once(
    peer: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    proxies = Proxies(0)

    proxies.client_address(scope(peer))
    assert not caplog.records
    for _ in range(3):
        assert proxies.client_address(scope(peer, FORWARDED)) == (peer or "")

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert NAME in record.getMessage()
    assert "192.0.2.7" not in record.getMessage()


def test_what_a_stranger_says_is_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    Proxies(0).client_address(scope("8.8.8.8", FORWARDED))

    assert not caplog.records


def test_a_proxy_that_is_told_of_is_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    assert Proxies(1).client_address(scope("127.0.0.1", FORWARDED)) == "192.0.2.7"
    assert not caplog.records


@pytest.mark.parametrize("settings", [{}, PRODUCTION], ids=["unsaid", "zero"])
def test_a_server_warns_whether_it_was_told_nothing_or_zero(
    serve: Serve, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    # A lifetime of its own makes it another server than that of other tests, which has warned.
    app = serve(**settings, code_seconds=61).app

    for _ in range(2):
        converse(app, scope("127.0.0.1", FORWARDED), [])

    assert [NAME in record.getMessage() for record in caplog.records].count(True) == 1

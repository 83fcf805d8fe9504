"""The pages escape what they show, and let nothing else in."""

import pytest

from roster.oauth import pages


@pytest.mark.parametrize(
    ("redirect_uri", "target"),
    [
        ("https://client.example/cb?a=b", "https://client.example"),
        ("https://client.example:8443/cb", "https://client.example:8443"),
        ("http://127.0.0.1:9000/cb", "http://127.0.0.1:9000"),
        ("http://[::1]:9000/cb", "http:"),
        ("com.example.app:/cb", "com.example.app:"),
    ],
)
def test_a_form_may_lead_to_the_client_and_nowhere_else(redirect_uri: str, target: str) -> None:
    assert f"form-action 'self' {target}" in pages.policy(redirect_uri)


def test_without_a_client_a_form_stays_here() -> None:
    assert pages.policy().endswith("form-action 'self'")
    assert "frame-ancestors 'none'" in pages.policy()
    assert "default-src 'none'" in pages.policy()


def test_what_is_shown_is_escaped() -> None:
    shown = pages.render("problem", heading="<b>", detail="<script>", request_id='"')

    assert "<script>" not in shown
    assert "<b>" not in shown


@pytest.mark.parametrize(
    ("redirect_uri", "place"),
    [
        ("https://client.example:8443/cb", "client.example:8443"),
        ("http://[::1]:9000/cb", "[::1]:9000"),
        ("com.example.app:/cb", "com.example.app:"),
        ("com.example.app://bank.example/cb", "com.example.app:"),
    ],
)
def test_a_person_is_told_the_host_or_the_scheme_of_an_app(redirect_uri: str, place: str) -> None:
    assert pages.place(redirect_uri) == place

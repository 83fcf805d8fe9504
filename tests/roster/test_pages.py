"""The pages escape what they show, and let nothing else in."""

import pytest

from roster import pages


def test_the_forms_of_a_page_stay_here() -> None:
    assert "form-action 'self'" in pages.policy()
    assert "frame-ancestors 'none'" in pages.policy()
    assert "default-src 'none'" in pages.policy()


def test_where_a_client_waits_its_own_redirects_are_followed_too() -> None:
    assert "form-action" not in pages.policy(leads_to_client=True)
    assert "frame-ancestors 'none'" in pages.policy(leads_to_client=True)
    assert "default-src 'none'" in pages.policy(leads_to_client=True)


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

"""Tokens: issuing, revoking and introspecting them."""

from typing import Any


def issue_token(oauth: Any) -> Any:
    """Issue an access token."""
    return oauth.token()


def issue_token_by_get(oauth: Any) -> Any:
    """Issue an access token to a request whose parameters are all in the URL."""
    return oauth.token()


def revoke_token(oauth: Any) -> None:
    """Revoke a token."""
    oauth.revoke()


def introspect_token(oauth: Any) -> Any:
    """Return the state of one of the client's own tokens."""
    return oauth.introspect()

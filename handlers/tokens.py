"""Tokens: issuing and revoking them."""

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
    """Tell a client about a token of its own."""
    return oauth.introspect()

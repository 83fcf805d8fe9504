"""Metadata of the OAuth server and of the API (RFC 8414, RFC 9728)."""

from typing import Any


def read_authorization_server_metadata(metadata: Any) -> Any:
    """Return the endpoints of the authorization server and what they support."""
    return metadata.authorization_server


def read_protected_resource_metadata(metadata: Any) -> Any:
    """Return which tokens this API accepts, and from which server."""
    return metadata.protected_resource


def read_api_resource_metadata(metadata: Any, asked_path: str) -> Any:
    """Return the same for the API's own URL."""
    return metadata.resource_below(asked_path)

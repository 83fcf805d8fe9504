"""Metadata: what OAuth clients can find out by themselves."""

from typing import Any


def read_authorization_server_metadata(metadata: Any) -> Any:
    """Tell where the authorization server's endpoints are and what they can do."""
    return metadata.authorization_server


def read_protected_resource_metadata(metadata: Any) -> Any:
    """Tell which tokens this API takes, and from where."""
    return metadata.protected_resource


def read_api_resource_metadata(metadata: Any, asked_path: str) -> Any:
    """Tell the same of the API's own URL."""
    return metadata.resource_below(asked_path)

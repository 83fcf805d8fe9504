"""The metadata documents: where the endpoints are and what they can do."""

from typing import Any

from models.oauth.client import GRANT_TYPES
from roster.contract.definition import Definition
from roster.settings import Settings


class Metadata:
    """The metadata documents (RFC 8414, RFC 9728), derived from the definition."""

    def __init__(self, definition: Definition, settings: Settings) -> None:
        self._origin = settings.origin
        self._scopes = sorted(definition.scopes)
        self._paths = {operation.id: operation.path for operation in definition.operations}

    @property
    def authorization_server(self) -> dict[str, Any]:
        """The metadata of the authorization server (RFC 8414 section 2, RFC 9207 section 3)."""
        by_secret = ["client_secret_basic", "client_secret_post"]
        return {
            "issuer": self._origin,
            "authorization_endpoint": self._url("show_authorization"),
            "token_endpoint": self._url("issue_token"),
            "revocation_endpoint": self._url("revoke_token"),
            "introspection_endpoint": self._url("introspect_token"),
            "scopes_supported": self._scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(GRANT_TYPES),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": [*by_secret, "none"],
            "revocation_endpoint_auth_methods_supported": [*by_secret, "none"],
            "introspection_endpoint_auth_methods_supported": by_secret,
            "authorization_response_iss_parameter_supported": True,
            "service_documentation": self._url("read_documentation"),
        }

    @property
    def protected_resource(self) -> dict[str, Any]:
        """The metadata of the resource server (RFC 9728 section 2)."""
        return {
            "resource": self._origin,
            "authorization_servers": [self._origin],
            "scopes_supported": self._scopes,
            "bearer_methods_supported": ["header"],
            "resource_name": "Roster",
            "resource_documentation": self._url("read_documentation"),
        }

    def resource_below(self, asked_path: str) -> dict[str, Any]:
        """Return the metadata of a resource below the origin, in whose URL `asked_path` was put.

        It names the resource as the client did, with a slash at its end or without (RFC 9728
        section 3.3).
        """
        path = asked_path.removeprefix(self._paths["read_protected_resource_metadata"])
        return {**self.protected_resource, "resource": self._origin + path}

    def _url(self, operation_id: str) -> str:
        return self._origin + self._paths[operation_id]

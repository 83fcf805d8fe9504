"""The authorization request of a client, and the response for its redirect URI."""

import re
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

from oauthlib.common import Request
from oauthlib.oauth2 import AuthorizationCodeGrant, BearerToken, OAuth2Error
from sqlalchemy import Connection

from models import TokenStore
from models.oauth import secret
from models.oauth.client import ClientRow
from models.oauth.redirect_uris import matches
from roster.contract.definition import Definition
from roster.http.errors import HTTPError
from roster.oauth import oauthlib_bypass
from roster.oauth.forms import MAX_FIELDS, UNKNOWN, is_clean

PATH = "/auth/oauth2/authorize"
# A SHA-256 in base64url without padding (RFC 7636 section 4.2).
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
# The request is part of this server's own URLs; browsers and proxies accept no longer ones.
_MAX_LENGTH = 8000
_TOO_MUCH = "The application that sent you here asked for too much at once."


@dataclass(frozen=True)
class AuthorizationRequest:
    """An authorization request whose client and redirect URI are valid.

    All other errors are reported to the client, at its redirect URI.
    """

    raw: str
    client: ClientRow
    redirect_uri: str
    fields: dict[str, str]
    repeated: frozenset[str]
    unusable: frozenset[str]
    issuer: str

    @classmethod
    def read(cls, connection: Connection, raw: str, definition: Definition, issuer: str) -> Self:
        """Read a request from its query.

        :raises HTTPError: 400, to be shown to the user, where it cannot be read, or where client or
            redirect URI are unknown: then a redirect is not safe (RFC 6749 section 4.1.2.1).
        """
        longest = {
            parameter["name"]: parameter["schema"]["maxLength"]
            for parameter in definition.operation(PATH, "GET").parameters
            if parameter["in"] == "query"
        }
        # Checked before decoding: a percent-encoded character takes three.
        if len(raw) > 3 * _MAX_LENGTH:
            raise HTTPError(400, _TOO_MUCH)
        try:
            pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            raise HTTPError(400, _TOO_MUCH) from None
        names = [name for name, _ in pairs]
        repeated = frozenset(name for name in names if names.count(name) > 1)
        raw = urlencode([pair for pair in pairs if pair[0] in longest or pair[0] in repeated])
        if len(raw) > _MAX_LENGTH:
            raise HTTPError(400, _TOO_MUCH)
        # The state belongs to the client. Any other value that is too long is unknown here.
        fields = {
            name: value if len(value) <= longest[name] or name == "state" else UNKNOWN
            for name, value in pairs
            if name in longest and value
        }
        client = ClientRow.find(connection, fields.get("client_id", ""))
        client, redirect_uri = _client_and_uri(client, fields, repeated)
        unusable = frozenset(
            name
            for name, value in fields.items()
            if len(value) > longest[name] or not is_clean(value)
        )
        return cls(raw, client, redirect_uri, fields, repeated, unusable, issuer)

    def of(self, client: ClientRow | None) -> Self:
        """Return the request with its client as it is by now, None where that was deleted.

        :raises HTTPError: 400, as `read` does.
        """
        client, redirect_uri = _client_and_uri(client, self.fields, self.repeated)
        return replace(self, client=client, redirect_uri=redirect_uri)

    def scopes(self, store: TokenStore) -> list[str]:
        """Validate the request and return the requested scopes.

        :raises OAuth2Error: where it is not valid, to be sent to the redirect URI.
        """
        if self.repeated or self.unusable:
            raise InvalidRequestError("A parameter is repeated, too long or no clean UTF-8 text.")
        if "response_type" in self.fields and self.fields["response_type"] != "code":
            raise UnsupportedResponseTypeError
        # Without a method RFC 7636 section 4.3 assumes `plain`, which RFC 9700 section 2.1.1
        # forbids.
        if self.fields.get("code_challenge_method") != "S256":
            raise InvalidRequestError("The code_challenge_method must be S256.")
        if not _CHALLENGE.fullmatch(self.fields.get("code_challenge", "")):
            raise InvalidRequestError("The code_challenge must be a SHA-256 in base64url.")
        grant = _CodeGrant(store, issuer=self.issuer)
        return oauthlib_bypass.validate_authorization_request(grant, self.fields)

    def grant(self, store: TokenStore, scopes: list[str]) -> str:
        """Issue a code for some scopes; return the URL that carries it to the client."""
        grant = _CodeGrant(store, issuer=self.issuer)
        bearer = BearerToken(store, secret.generate)
        narrowed = {**self.fields, "scope": " ".join(scopes)}
        return oauthlib_bypass.create_authorization_response(grant, bearer, narrowed, scopes)

    def refuse(self, error: str, description: str | None) -> str:
        """Return the URL that carries an error to the client (RFC 6749 4.1.2.1, RFC 9207)."""
        found = {"error": error, "iss": self.issuer}
        if description:
            found["error_description"] = description
        if "state" in self.fields and not {"state"} & (self.repeated | self.unusable):
            found["state"] = self.fields["state"]
        return _with_parameters(self.redirect_uri, found)


def _client_and_uri(
    client: ClientRow | None, fields: dict[str, str], repeated: frozenset[str]
) -> tuple[ClientRow, str]:
    if client is None or "client_id" in repeated:
        raise HTTPError(400, "The application that sent you here is not known.")
    redirect_uri = _redirect_uri(client, fields.get("redirect_uri"))
    if redirect_uri is None or "redirect_uri" in repeated:
        raise HTTPError(
            400, "The application that sent you here did not say where you may be sent back to."
        )
    return client, redirect_uri


def _redirect_uri(client: ClientRow, asked: str | None) -> str | None:
    if asked is None:
        return client.redirect_uris[0] if len(client.redirect_uris) == 1 else None
    return asked if any(matches(registered, asked) for registered in client.redirect_uris) else None


def _with_parameters(redirect_uri: str, parameters: dict[str, str]) -> str:
    """Add parameters to a redirect URI, which is kept unchanged (RFC 6749 section 3.1.2).

    oauthlib would normalise its query and its path.
    """
    joint = "&" if "?" in redirect_uri else "?"
    return redirect_uri + joint + urlencode(parameters)


class _CodeGrant(AuthorizationCodeGrant):
    """oauthlib's grant, with codes of 256 random bits and with the issuer (RFC 9207)."""

    issuer: str

    def create_authorization_code(self, request: Request) -> dict[str, Any]:
        """Make a code and the other parameters of the response."""
        made = {"code": secret.generate(), "iss": self.issuer}
        if request.state:
            made["state"] = request.state
        return made

    def prepare_authorization_response(
        self, request: Request, token: dict[str, Any], headers: dict[str, str], *rest: Any
    ) -> tuple[Any, ...]:
        """Put the response into the query of the redirect URI."""
        place = _with_parameters(str(request.redirect_uri), token)
        return {**headers, "Location": place}, *rest


class InvalidRequestError(OAuth2Error):
    """The request is malformed (RFC 6749 section 4.1.2.1)."""

    error = "invalid_request"


class UnsupportedResponseTypeError(OAuth2Error):
    """Only the response type `code` is supported (RFC 6749 section 4.1.2.1)."""

    error = "unsupported_response_type"
    description = "The response_type must be code."

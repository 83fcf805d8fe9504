"""A browser without a screen: follows the code flow through the pages, form by form."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.serving import PASSWORD

AUTHORIZE = "/auth/oauth2/authorize"
LOGIN = "/auth/login"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
CALLBACK = "https://app.example/callback"


class Server(Protocol):
    """A server, in this process or in one of its own."""

    @property
    def client(self) -> Any:
        """The client that reaches it."""

    @property
    def origin(self) -> str:
        """The origin under which it leads browsers to itself."""

    def bearer(self, username: str, password: str) -> Any:
        """Return the header with which a user makes requests."""


@dataclass
class Client:
    """A registered client, as its author knows it."""

    client_id: str
    secret: str | None
    redirect_uri: str = CALLBACK

    def request(self, **changes: Any) -> dict[str, str]:
        """Return the parameters of an authorization request; None takes one away."""
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "users:read teams:read",
            "state": "a state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def exchange(self, code: str, **changes: Any) -> dict[str, str]:
        """Return the parameters of a token request with a code; None takes one away."""
        parameters = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "client_secret": self.secret,
            "redirect_uri": self.redirect_uri,
            "code": code,
            "code_verifier": VERIFIER,
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}


def register(server: Server, owner: str = "user", **fields: Any) -> Client:
    """Register a client over the API, with all scopes and the code and refresh grants."""
    body = {"name": "An app", "redirect_uris": [CALLBACK], **fields}
    headers = server.bearer(owner, {"root": "q", "user": "w"}.get(owner, PASSWORD))
    answer = server.client.post("/api/v1/auth/oauth2_clients", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    return Client(found["client_id"], found.get("client_secret"), body["redirect_uris"][0])


@dataclass
class Browser:
    """A browser with cookies, which shows one page at a time."""

    server: Server
    page: Any = None
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def open(self, place: str, parameters: dict[str, str] | None = None) -> Any:
        """Open a page of the server, following its redirects as long as they stay on it."""
        url = place + (f"?{urlencode(parameters)}" if parameters else "")
        return self._follow(self._send("GET", url))

    def submit(self, action: str, **fields: str) -> Any:
        """Send the form of the page that leads to `action`, with its hidden fields."""
        form = {**self.hidden(action), **fields}
        return self._follow(self._send("POST", action, data=form))

    def sign_in(self, username: str = "user", password: str = "w") -> Any:
        """Fill the login form in."""
        return self.submit(LOGIN, username=username, password=password)

    def allow(self, *scopes: str) -> Any:
        """Allow some scopes on the consent page."""
        return self.submit(
            AUTHORIZE, decision="allow", **{f"scope.{name}": "on" for name in scopes}
        )

    def hidden(self, action: str) -> dict[str, str]:
        """Return the hidden fields of the form that leads to `action`."""
        pattern = rf'<form[^>]*action="{re.escape(action)}".*?</form>'
        form = re.search(pattern, self.page.text, re.DOTALL)
        assert form, f"no form to {action} in: {self.page.text}"
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[0])
        return {name: unescape(value) for name, value in found}

    def _send(self, method: str, url: str, **options: Any) -> Any:
        self.server.client.cookies.clear()
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**self.headers, "Cookie": cookies}
        answer = self.server.client.request(method, url, headers=headers, **options)
        for name, value in answer.cookies.items():
            self.cookies[name] = value
        for header in answer.headers.get_list("set-cookie"):
            if "Max-Age=0" in header:
                self.cookies.pop(header.partition("=")[0], None)
        self.server.client.cookies.clear()
        return answer

    def _follow(self, answer: Any) -> Any:
        while answer.status_code == 303:
            place = answer.headers["location"]
            if not place.startswith(self.server.origin):
                break
            answer = self._send("GET", place.removeprefix(self.server.origin))
        self.page = answer
        return answer


def led_to(answer: Any) -> tuple[str, dict[str, str]]:
    """Return where a redirect leads, and its parameters."""
    assert answer.status_code == 303, answer.text
    parts = urlsplit(answer.headers["location"])
    return f"{parts.scheme}://{parts.netloc}{parts.path}", dict(parse_qsl(parts.query))

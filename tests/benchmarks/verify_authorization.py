"""The proof that all authorization servers do the same, before anything is measured.

Within the RFCs they choose their claims and errors. So the checks are for what a client relies on,
and for the refusal of all that has to be refused.
"""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2

from tests.benchmarks import authorization as known
from tests.benchmarks import data
from tests.benchmarks.data import Data
from tests.benchmarks.operations import Request
from tests.benchmarks.prepared import prepare
from tests.benchmarks.servers import Server
from tests.benchmarks.verify import DifferenceError, send

# How far a server's clock may have gone on since it issued a token.
_TOLERANCE_SECONDS = 15


def verify_authorization(servers: list[Server], _known: Data) -> None:
    """Check each server by itself.

    :raises DifferenceError: with one sentence that names server and request.
    """
    for server in servers:
        with httpx2.Client(base_url=server.url, trust_env=False, timeout=30) as client:
            visitor = _Visitor(server, client)
            visitor.client_credentials()
            visitor.code(prepare(server, "code", 1)[0])
            visitor.wrong_exchanges()
            visitor.rotation(prepare(server, "refresh", 1)[0])
            visitor.introspection()
            visitor.revocation()
            visitor.login_page()
            if "consent_to_code" not in server.kind.lacks:
                visitor.consent()


@dataclass(frozen=True)
class _Visitor:
    """A client of one server."""

    server: Server
    client: httpx2.Client

    def client_credentials(self) -> None:
        """Get a token of a client for itself, and none with a wrong secret."""
        pair = self._issued("client credentials", known.client_credentials())
        self._hold("refresh_token" not in pair, "client credentials with a refresh token")
        state = self._state(pair["access_token"], client=data.SERVICE)
        self._hold(state.get("client_id") == data.SERVICE, "the state of a service's token")
        self._refused("a wrong secret", known.client_credentials("wrong"))
        self._refused("a wrong secret at introspection", known.introspect("any", "wrong"))

    def code(self, code: str) -> None:
        """Exchange a code, once; use the tokens."""
        pair = self._issued("a code", known.exchange(code))
        self._live(pair["access_token"])
        self._refused("a used code", known.exchange(code))
        code = prepare(self.server, "code", 1)[0]
        self.rotation(self._issued("a second code", known.exchange(code))["refresh_token"])

    def wrong_exchanges(self) -> None:
        """Exchange codes wrongly: each has a code of its own, which the attempt may end."""
        wrong = "another-verifier-of-the-client-43-characters"
        for name, verifier in (("a wrong verifier", wrong), ("no verifier", "")):
            code = prepare(self.server, "code", 1)[0]
            self._refused(name, known.exchange(code, verifier))
        self._refused("an unknown code", known.exchange("unknown"))

    def rotation(self, first: str) -> None:
        """Refresh twice, each time by the token before, and then by one that was used."""
        pair = self._issued("a refresh token", known.refresh(first))
        self._hold(pair["refresh_token"] != first, "a refresh by the same refresh token")
        self._live(pair["access_token"])
        again = self._issued("the next refresh token", known.refresh(pair["refresh_token"]))
        self._live(again["access_token"])
        self._refused("a used refresh token", known.refresh(first))
        if not self.server.kind.keeps_families:
            self._refused("a token of an ended family", known.refresh(again["refresh_token"]))
        self._refused("an unknown refresh token", known.refresh("unknown"))

    def introspection(self) -> None:
        """Ask for the state of live and of dead tokens."""
        for token in prepare(self.server, "access", 2):
            self._live(token)
        for token in prepare(self.server, "dead", 2):
            self._hold(self._state(token) == {"active": False}, "a dead token as a live one")

    def revocation(self) -> None:
        """End a token, and one that is none."""
        for token in (prepare(self.server, "access", 1)[0], "unknown"):
            status = self._send(known.revoke(token)).status_code
            self._hold(status == 200, f"a revocation by {status}")
            self._hold(not self._state(token)["active"], "a revoked token as a live one")

    def login_page(self) -> None:
        """Come without a session: the login page is shown, at once or after a redirect."""
        answer = self._send(known.authorize())
        if "location" in answer.headers:
            place = urljoin(str(answer.url), answer.headers["location"])
            answer = self.client.get(place)
        is_page = answer.status_code == 200 and "text/html" in answer.headers["content-type"]
        self._hold(is_page and 'type="password"' in answer.text, "a visitor without a login page")

    def consent(self) -> None:
        """Come back with a session and a remembered consent: the code works, for its client."""
        cookies = prepare(self.server, "session", len(known.USERS))
        for cookie in (cookies[0], cookies[-1], cookies[0]):
            answer = self._send(known.authorize(cookie))
            self._hold(answer.status_code in {302, 303}, f"consent by {answer.status_code}")
            found = self._sent_back(answer)
            self._hold(found.get("state") == known.STATE, "consent without the client's state")
            pair = self._issued("the code of a consent", known.exchange(found.get("code", "")))
            self._live(pair["access_token"])
        for name, changes in (
            ("no challenge", {"code_challenge": "", "code_challenge_method": ""}),
            ("an unknown scope", {"scope": "unknown:read"}),
        ):
            found = self._sent_back(self._send(known.authorize(cookies[0], **changes)))
            self._hold("error" in found and "code" not in found, f"{name} by {sorted(found)}")
        elsewhere = known.authorize(cookies[0], redirect_uri="https://elsewhere.example.com/")
        status = self._send(elsewhere).status_code
        self._hold(400 <= status < 500, f"an unknown redirect URI by {status}")

    def _sent_back(self, answer: httpx2.Response) -> dict[str, str]:
        place = answer.headers.get("location", "")
        self._hold(place.startswith(f"{data.REDIRECT_URI}?"), f"a client by {place!r}")
        return {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}

    def _issued(self, name: str, request: Request) -> dict[str, Any]:
        answer = self._send(request)
        self._hold(answer.status_code == 200, f"{name} by {answer.status_code}: {answer.text}")
        pair: dict[str, Any] = answer.json()
        self._hold(pair["token_type"].lower() == "bearer", f"{name} by a {pair['token_type']}")
        self._hold(pair["expires_in"] == known.ACCESS_SECONDS, f"{name} for {pair['expires_in']} s")
        self._hold({*pair["scope"].split()} == {*data.SCOPES}, f"{name} for {pair['scope']}")
        stored = answer.headers.get("cache-control", "")
        self._hold("no-store" in stored, f"{name} with Cache-Control: {stored!r}")
        return pair

    def _live(self, token: str) -> None:
        state = self._state(token)
        left = state.get("exp", 0) - time.time()
        self._hold(state["active"] is True, "a live token as a dead one")
        self._hold({*state["scope"].split()} == {*data.SCOPES}, "a token of another scope")
        self._hold(state["client_id"] == data.WEB, "a token of another client")
        self._hold("sub" in state or "username" in state, "a token of nobody")
        is_right = known.ACCESS_SECONDS - _TOLERANCE_SECONDS < left <= known.ACCESS_SECONDS + 1
        self._hold(is_right, f"a token that ends in {left:.0f} s")

    def _state(self, token: str, client: str = data.WEB) -> dict[str, Any]:
        answer = self._send(known.introspect(token, client=client))
        self._hold(answer.status_code == 200, f"introspection by {answer.status_code}")
        state: dict[str, Any] = answer.json()
        return state

    def _refused(self, name: str, request: Request) -> None:
        status = self._send(request).status_code
        self._hold(400 <= status < 500, f"{name} by {status}")

    def _send(self, request: Request) -> httpx2.Response:
        self.client.cookies.clear()
        return send(self.client, request)

    def _hold(self, is_right: bool, what: str) -> None:
        if not is_right:
            raise DifferenceError(f"{self.server.kind.label} answers {what}.")

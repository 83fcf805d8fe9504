"""The operations that are measured: the requests of each, and what their answers must be."""

import json
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

from tests.benchmarks import data
from tests.benchmarks.data import Data

TOKEN_PATH = "/auth/oauth2/token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LABELS = {
    "users_me": "GET users/me",
    "users": "GET users?limit=20",
    "team": "GET teams/{id}",
    "create_team": "POST teams",
    "mix": "80 % reads, 20 % writes",
    "password": "token: password",
    "refresh": "token: refresh",
    "client_credentials": "client credentials",
    "code": "code to tokens",
    "rotation": "refresh",
    "introspect_live": "introspect a live token",
    "introspect_dead": "introspect a dead token",
    "revoke": "revoke a token",
    "login_page": "show the login page",
    "consent_to_code": "consent to code",
}


@dataclass(frozen=True)
class Request:
    """An HTTP request."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True)
class Operation:
    """What is measured at once: some requests by turns.

    Where it `takes` a kind of secret (`refresh`, `code`, ...), `{token}` in its only request stands
    for one of that kind, which was made before. `use` says how: each again and again (`repeat`),
    each once (`spend`), or each once and then the next one, which is in the answer (`rotate`).
    `count` is how many are made, where that does not depend on the speed.

    Where it `follows`, each redirect is followed once, and both requests together are one.
    `expects` is a pattern, the same in Lua and in Python, that is found in the Location or the body
    of each answer, but for the redirects that are followed.
    """

    name: str
    requests: tuple[Request, ...]
    takes: str = ""
    use: Literal["repeat", "rotate", "spend"] = "repeat"
    count: int = 32
    follows: bool = False
    expects: str = ""

    @property
    def label(self) -> str:
        """What the operation is called in the report."""
        return LABELS[self.name]

    @property
    def steps(self) -> int:
        """How many requests it takes."""
        return 2 if self.follows else 1


def operations(known: Data) -> list[Operation]:
    """Return the operations, in the order of the report."""
    member, admin = bearer(known.member_token), bearer(known.admin_token)
    me = Request("GET", "/api/v1/users/me", member)
    users = Request("GET", "/api/v1/users?limit=20", admin)
    team = Request("GET", f"/api/v1/teams/{known.team_id}", member)
    creates = tuple(create_team(token, "Analytical Engine") for token in known.founders)
    # Eight reads to two writes, the kinds well mixed.
    mix = [
        request
        for one, other in zip(creates[::2], creates[1::2], strict=True)
        for request in (me, users, team, me, one, users, me, team, users, other)
    ]
    return [
        Operation("users_me", (me,)),
        Operation("users", (users,)),
        Operation("team", (team,)),
        Operation("create_team", creates),
        Operation("mix", tuple(mix)),
        Operation("password", tuple(login(name) for name in data.LOGINS)),
        Operation("refresh", (refresh("{token}"),), takes="refresh", use="rotate"),
    ]


def create_team(token: str, title: object) -> Request:
    """Make the request that creates a team."""
    headers = {**bearer(token), "Content-Type": "application/json"}
    return Request("POST", "/api/v1/teams", headers, json.dumps({"title": title}))


def bearer(token: str) -> dict[str, str]:
    """Make the header that carries an access token."""
    return {"Authorization": f"Bearer {token}"}


def login(username: str, password: str = data.PASSWORD) -> Request:
    """Make the request of a password grant."""
    return _token(grant_type="password", username=username, password=password)


def refresh(token: str) -> Request:
    """Make the request of a refresh token grant."""
    return _token(grant_type="refresh_token", refresh_token=token)


def _token(**form: str) -> Request:
    body = urlencode({"client_id": data.CLIENT, **form}, safe="{}")
    return Request("POST", TOKEN_PATH, FORM, body)

"""The proof that all servers do the same: before anything is measured their answers are compared.

Ids and moments of what a request created are left out, and so are tokens. Moments are compared as
moments, in whatever form of RFC 3339; a cursor is opaque, so the page that it leads to is compared.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

from tests.benchmarks import data
from tests.benchmarks.data import Data
from tests.benchmarks.operations import Request, bearer, create_team, login, refresh
from tests.benchmarks.servers import Server

_HEADERS = ("content-type", "link", "location", "x-total-count")
_CURSOR = re.compile(r"cursor=[^&>]+")


class DifferenceError(Exception):
    """Two servers do not answer the same, or one does not refuse what it has to."""


@dataclass(frozen=True)
class Seen:
    """An answer as it is compared."""

    status: int
    headers: dict[str, str]
    body: Any


def verify(servers: list[Server], known: Data) -> None:
    """Compare the answers of all servers with those of the first.

    :raises DifferenceError: with one sentence that names server, request and difference.
    """
    expected: list[tuple[str, Seen]] = []
    for server in servers:
        with httpx2.Client(base_url=server.url, trust_env=False, timeout=30) as client:
            found = _tour(server, client, known)
            expected = expected or found
            for (name, wanted), (_, seen) in zip(expected, found, strict=True):
                if wanted != seen:
                    raise DifferenceError(
                        f"{server.kind.label} answers {name} otherwise than"
                        f" {servers[0].kind.label}: {_difference(wanted, seen)}"
                    )
            _check_refusals(server, client, known)


def _tour(server: Server, client: httpx2.Client, known: Data) -> list[tuple[str, Seen]]:
    """Make every kind of request that is measured; return the answers with a name for each."""
    member, admin = bearer(known.member_token), bearer(known.admin_token)
    seen = []

    def ask(name: str, request: Request, *ignored: str) -> Any:
        answer = send(client, request)
        seen.append((name, _seen(server, answer, ignored)))
        return answer

    ask("GET users/me", Request("GET", "/api/v1/users/me", member))
    ask("GET teams/{id}", Request("GET", f"/api/v1/teams/{known.team_id}", member))
    ask("GET teams/{id} as an admin", Request("GET", f"/api/v1/teams/{known.team_id}", admin))
    ask("GET users", Request("GET", "/api/v1/users", admin))
    ask("the last page of users", Request("GET", f"/api/v1/users?offset={data.USERS - 5}", admin))
    page = ask("GET users?limit=20", Request("GET", "/api/v1/users?limit=20", admin))
    link = re.match("<(.+)>", page.headers.get("link", ""))
    path = link[1].removeprefix(server.url) if link else "/api/v1/users?cursor="
    ask("the second page of users", Request("GET", path, admin))

    created = ask("POST teams", create_team(known.member_token, "Verified"), "id", "location")
    read = Request("GET", f"/api/v1/teams/{created.json().get('id')}", member)
    if _json(created) != _json(send(client, read)):
        raise DifferenceError(f"{server.kind.label} does not keep the team that it creates.")

    tokens = ("access_token", "refresh_token")
    password = ask("the password grant", login(data.LOGINS[0]), *tokens)
    first = password.json().get("refresh_token", "")
    second = ask("the refresh token grant", refresh(first), *tokens)
    token = second.json().get("access_token", "")
    ask("GET users/me with a new token", Request("GET", "/api/v1/users/me", bearer(token)))
    return seen


def _check_refusals(server: Server, client: httpx2.Client, known: Data) -> None:
    """Check that what has to be refused is refused, by whatever status the server likes."""
    member, admin = known.member_token, bearer(known.admin_token)
    pair = send(client, login(data.LOGINS[1])).json()
    send(client, refresh(pair["refresh_token"]))
    refused = {
        "no token": Request("GET", "/api/v1/users/me"),
        "an unknown token": Request("GET", "/api/v1/users/me", bearer("unknown")),
        "an expired token": Request("GET", "/api/v1/users/me", bearer(known.expired_token)),
        "a token without the scope": create_team(known.narrow_token, "Title"),
        "a list of users for a plain user": Request("GET", "/api/v1/users", bearer(member)),
        "a limit of 0": Request("GET", "/api/v1/users?limit=0", admin),
        "a limit of 101": Request("GET", "/api/v1/users?limit=101", admin),
        "a limit that is no number": Request("GET", "/api/v1/users?limit=ten", admin),
        "a team of others": Request(
            "GET", f"/api/v1/teams/{known.foreign_team_id}", bearer(member)
        ),
        "no such team": Request("GET", "/api/v1/teams/999999999", admin),
        "a short title": create_team(member, "ab"),
        "a long title": create_team(member, "a" * 51),
        "a title that is no text": create_team(member, 5),
        "a wrong password": login(data.LOGINS[1], "wrong"),
        "a used refresh token": refresh(pair["refresh_token"]),
    }
    for name, request in refused.items():
        status = send(client, request).status_code
        if not 400 <= status < 500:
            raise DifferenceError(f"{server.kind.label} answers {name} with {status}.")


def send(client: httpx2.Client, request: Request) -> httpx2.Response:
    """Make a request."""
    return client.request(
        request.method, request.path, headers=request.headers, content=request.body.encode()
    )


def _seen(server: Server, answer: httpx2.Response, ignored: tuple[str, ...]) -> Seen:
    headers = {
        name: _CURSOR.sub("cursor=", answer.headers[name].replace(server.url, ""))
        for name in _HEADERS
        if name in answer.headers
    }
    if "content-type" in headers:
        headers["content-type"] = headers["content-type"].partition(";")[0]
    body = _json(answer)
    if isinstance(body, dict):
        if "location" in ignored and "location" in headers:
            headers["location"] = headers["location"].removesuffix(str(body.get("id")))
            ignored = (*ignored, "created", "updated")
        body = {name: _kind(value) if name in ignored else value for name, value in body.items()}
    return Seen(answer.status_code, headers, body)


def _kind(value: Any) -> str:
    length = f" of {len(value)} characters" if isinstance(value, str) else ""
    return type(value).__name__ + length


def _json(answer: httpx2.Response) -> Any:
    try:
        body = answer.json()
    except ValueError:
        return answer.text
    if isinstance(body, dict):
        for name in {"created", "updated"} & body.keys():
            body[name] = datetime.fromisoformat(body[name])
    return body


def _difference(wanted: Seen, seen: Seen) -> str:
    """Tell where two answers differ first."""
    for part in ("status", "headers", "body"):
        place = _place(getattr(wanted, part), getattr(seen, part))
        if place is not None:
            return part + place
    return "nowhere"


def _place(wanted: Any, seen: Any) -> str | None:
    if wanted == seen:
        return None
    if isinstance(wanted, dict) and isinstance(seen, dict) and wanted.keys() == seen.keys():
        pairs = [(f"/{name}", wanted[name], seen[name]) for name in wanted]
    elif isinstance(wanted, list) and isinstance(seen, list) and len(wanted) == len(seen):
        pairs = [(f"/{n}", *pair) for n, pair in enumerate(zip(wanted, seen, strict=True))]
    else:
        return f": {seen!r} for {wanted!r}"
    places = ((name, _place(one, other)) for name, one, other in pairs)
    return next(name + place for name, place in places if place is not None)

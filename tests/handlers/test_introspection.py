"""Introspection (RFC 7662): what a client learns about tokens of its own, and nobody else does."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from models import Token
from models.database.base import now
from models.development import CLIENT_ID, CLIENT_SECRET
from tests.serving import PASSWORD, SCOPES, Server, basic, demand, replace
from tests.signing_in import Client as App
from tests.signing_in import register

INTROSPECT = "/auth/oauth2/introspect"
TOKEN = "/auth/oauth2/token"
ISSUER = "http://127.0.0.1:5000"
MINE = basic(CLIENT_ID, CLIENT_SECRET)
INACTIVE = {"active": False}


def issue(server: Server, **fields: str) -> dict[str, Any]:
    """Log Ada in through the development client."""
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD, **fields}
    answer = server.client.post(TOKEN, data=form, headers=MINE)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask(server: Server, token: str, headers: dict[str, str] | None = None, **form: str) -> Any:
    """Introspect a token, by default as the development client."""
    form = {"token": token, **form}
    return server.client.post(INTROSPECT, data=form, headers=MINE if headers is None else headers)


@pytest.fixture
def ada(server: Server) -> int:
    return server.user("ada")


def test_an_access_token_is_described(server: Server, ada: int) -> None:
    issued = issue(server, scope="users:read teams:read")

    answer = ask(server, issued["access_token"])

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    claims = answer.json()
    assert claims.pop("exp") - claims.pop("iat") == 3600
    assert claims == {
        "active": True,
        "scope": "teams:read users:read",
        "client_id": CLIENT_ID,
        "username": "ada",
        "sub": str(ada),
        "token_type": "Bearer",
        "iss": ISSUER,
    }


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "nonsense"])
def test_a_refresh_token_is_described_without_a_type(server: Server, ada: int, hint: str) -> None:
    issued = issue(server)

    claims = ask(server, issued["refresh_token"], token_type_hint=hint).json()

    assert claims["active"] is True
    assert "token_type" not in claims
    assert claims["exp"] - claims["iat"] == 14 * 24 * 3600
    assert claims["scope"] == " ".join(sorted(SCOPES.split()))


def test_a_service_token_is_its_clients(server: Server) -> None:
    token = server.service["Authorization"].removeprefix("Bearer ")

    claims = ask(server, token).json()

    assert claims["sub"] == CLIENT_ID
    assert "username" not in claims


def test_asking_ends_nothing(server: Server, ada: int) -> None:
    issued = issue(server)

    for _ in range(2):
        assert ask(server, issued["refresh_token"]).json()["active"] is True
        assert ask(server, issued["access_token"]).json()["active"] is True


def test_anothers_token_is_exactly_inactive(server: Server, ada: int) -> None:
    issued = issue(server)
    other = register(server)
    assert other.secret
    theirs = basic(other.client_id, other.secret)

    for token in (issued["access_token"], issued["refresh_token"]):
        answer = ask(server, token, theirs)
        assert answer.status_code == 200
        assert answer.json() == INACTIVE
        assert ask(server, token).json()["active"] is True


@pytest.mark.parametrize("token", ["nonsense", "x" * 43, "ä", "a b", "' OR 1=1 --"])
def test_an_unknown_token_is_exactly_inactive(server: Server, token: str) -> None:
    assert ask(server, token).json() == INACTIVE


def test_a_token_that_ended_is_exactly_inactive(server: Server, ada: int) -> None:
    issued, spent = issue(server), issue(server)
    revoked = issue(server)
    form = {"grant_type": "refresh_token", "refresh_token": spent["refresh_token"]}
    server.client.post(TOKEN, data=form, headers=MINE)
    server.client.post(
        "/auth/oauth2/revoke", data={"token": revoked["refresh_token"]}, headers=MINE
    )

    assert ask(server, spent["refresh_token"]).json() == INACTIVE
    assert ask(server, revoked["access_token"]).json() == INACTIVE
    assert ask(server, revoked["refresh_token"]).json() == INACTIVE
    with server.session() as session:
        session.execute(update(Token).values(expires_at=now() - timedelta(seconds=1)))
        session.commit()
    for token in (issued["access_token"], issued["refresh_token"]):
        assert ask(server, token).json() == INACTIVE


def test_the_token_of_an_inactive_user_is_exactly_inactive(server: Server, ada: int) -> None:
    issued = issue(server)

    proof = demand("/current_password", "q")
    changed = server.admin.patch(f"/users/{ada}", proof, replace("/is_active", False))

    assert changed.status_code == 200
    for token in (issued["access_token"], issued["refresh_token"]):
        assert ask(server, token).json() == INACTIVE


def test_a_client_may_name_itself_in_the_body(server: Server, ada: int) -> None:
    issued = issue(server)
    mine = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

    assert ask(server, issued["access_token"], {}, **mine).json()["active"] is True
    assert ask(server, issued["access_token"], MINE, **mine).json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic(CLIENT_ID, ""),
        basic(CLIENT_ID, "wrong"),
        basic("nobody", CLIENT_SECRET),
        {"Authorization": "Bearer x"},
    ],
)
def test_nobody_learns_anything_without_a_secret(
    server: Server, ada: int, headers: dict[str, str]
) -> None:
    issued = issue(server)

    refused = ask(server, issued["access_token"], headers)

    assert refused.json()["error"] == "invalid_client"
    by_basic = headers.get("Authorization", "").startswith("Basic")
    assert refused.status_code == (401 if by_basic else 400)
    assert refused.headers.get("www-authenticate") == ('Basic realm="roster"' if by_basic else None)
    assert refused.headers["cache-control"] == "no-store"


def test_a_public_client_by_its_id_alone_learns_nothing(server: Server, ada: int) -> None:
    issued = issue(server)
    client: App = register(server, client_type="public")

    for client_id in (CLIENT_ID, client.client_id):
        refused = ask(server, issued["access_token"], {}, client_id=client_id)
        assert refused.status_code == 400
        assert refused.json()["error"] == "invalid_client"


@pytest.mark.parametrize("form", [{}, {"token": ""}])
def test_the_token_is_needed(server: Server, form: dict[str, str]) -> None:
    refused = server.client.post(INTROSPECT, data=form, headers=MINE)

    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_request"


def test_a_repeated_token_is_refused_and_an_unknown_parameter_ignored(
    server: Server, ada: int
) -> None:
    token = issue(server)["access_token"]
    form = {"Content-Type": "application/x-www-form-urlencoded", **MINE}

    twice = server.client.post(INTROSPECT, content=f"token={token}&token=x", headers=form)
    stray = server.client.post(INTROSPECT, content=f"token={token}&user=x", headers=form)

    assert twice.status_code == 400
    assert twice.json()["error"] == "invalid_request"
    assert stray.json()["active"] is True


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_only_post_is_allowed(server: Server, method: str) -> None:
    refused = server.client.request(method, INTROSPECT)

    assert refused.status_code == 405
    assert "POST" in refused.headers["allow"]
    if method != "HEAD":
        assert refused.json()["error"] == "invalid_request"


def test_json_is_no_form(server: Server) -> None:
    refused = server.client.post(INTROSPECT, json={"token": "x"}, headers=MINE)

    assert refused.status_code == 415
    assert refused.json().keys() == {"error", "error_description"}


@pytest.mark.parametrize("length", [1, 513, 5_000, 900_000])
def test_a_token_of_any_length_that_nobody_knows_is_not_active(server: Server, length: int) -> None:
    for hint in ("", "h" * 1000):
        answer = ask(server, "t" * length, token_type_hint=hint)

        assert (answer.status_code, answer.json()) == (200, INACTIVE)


def test_a_hint_of_any_length_is_no_more_than_a_hint(server: Server, ada: int) -> None:
    issued = issue(server)

    answer = ask(server, issued["access_token"], token_type_hint="h" * 100_000)

    assert answer.json()["active"] is True

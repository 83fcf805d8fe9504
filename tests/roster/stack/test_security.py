"""Security: from the Authorization header to the caller, and the challenges of RFC 6750."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from models import Grant, Token, User
from models.database.base import now
from tests.roster.raw import JSON, Headers, ask
from tests.serving import CHALLENGE, PASSWORD, RESOURCE, Server, basic

ME = "/api/v1/users/me"
UNKNOWN = (
    'Bearer realm="roster", error="invalid_token",'
    ' error_description="The access token is unknown, expired or revoked."' + RESOURCE
)
MALFORMED = (
    'Bearer realm="roster", error="invalid_token",'
    ' error_description="The Authorization header holds no bearer token."' + RESOURCE
)


def token_of(server: Server) -> bytes:
    return server.admin.headers["Authorization"].removeprefix("Bearer ").encode()


def authorization(*values: bytes) -> Headers:
    return [(b"authorization", value) for value in values]


@pytest.mark.parametrize("form", [b"Bearer %s", b"bearer %s", b"BEARER   %s", b"Bearer %s  "])
def test_a_bearer_token_may_be_written_in_some_ways(server: Server, form: bytes) -> None:
    answer = ask(server.app, "GET", ME, headers=authorization(form % token_of(server)))

    assert answer.status_code == 200


def test_without_a_token_the_challenge_has_no_error_code(server: Server) -> None:
    answer = server.nobody.get("/users/me")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == CHALLENGE


@pytest.mark.parametrize(
    "value", [b"", b"Basic cm9vdDpx", b"Token x", b"Digest x", b"OAuth x", b"\xff", b"Bearerx x"]
)
def test_another_scheme_counts_as_no_token(server: Server, value: bytes) -> None:
    answer = ask(server.app, "GET", ME, headers=authorization(value))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == CHALLENGE


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer a b",
        b"Bearer a,b",
        b"Bearer \xff",
        b"Bearer \x00",
        b"Bearer =",
        b"Bearer a=b",
        b"Bearer " + b"a" * 513,
        b"Bearer " + b"a" * 100_000,
    ],
)
def test_a_malformed_token_is_challenged(server: Server, value: bytes) -> None:
    answer = ask(server.app, "GET", ME, headers=authorization(value))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == MALFORMED


@pytest.mark.parametrize("value", [b"Bearer a", b"Bearer " + b"a" * 512, b"Bearer a=="])
def test_an_unknown_token_is_challenged(server: Server, value: bytes) -> None:
    answer = ask(server.app, "GET", ME, headers=authorization(value))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == UNKNOWN


@pytest.mark.parametrize("second", [b"Bearer x", b"Basic cm9vdDpx", b""])
def test_two_authorization_headers_are_refused(server: Server, second: bytes) -> None:
    good = b"Bearer " + token_of(server)

    for headers in (authorization(good, second), authorization(second, good)):
        assert ask(server.app, "GET", ME, headers=headers).status_code == 401


def test_the_same_token_twice_is_refused(server: Server) -> None:
    good = b"Bearer " + token_of(server)

    answer = ask(server.app, "GET", ME, headers=authorization(good, good))

    assert answer.status_code == 401


def test_a_token_in_the_url_counts_for_nothing(server: Server) -> None:
    token = token_of(server).decode()

    answer = server.client.get(f"{ME}?access_token={token}")

    assert answer.status_code == 401


def test_a_token_in_a_cookie_counts_for_nothing(server: Server) -> None:
    token = token_of(server).decode()

    assert server.client.get(ME, headers={"Cookie": f"access_token={token}"}).status_code == 401


def test_a_refresh_token_opens_nothing(server: Server) -> None:
    form = {
        "grant_type": "password",
        "client_id": "documentation",
        "username": "root",
        "password": "q",
    }
    refresh = server.client.post("/auth/oauth2/token", data=form).json()["refresh_token"]

    answer = server.client.get(ME, headers={"Authorization": f"Bearer {refresh}"})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, UNKNOWN)


@pytest.mark.parametrize("kind", [Token, Grant])
def test_an_expired_token_is_challenged(server: Server, kind: Any) -> None:
    ada = server.person("ada")
    assert ada.get("/users/me").status_code == 200
    with server.session() as session:
        session.execute(update(kind).values(expires_at=now() - timedelta(seconds=1)))
        session.commit()

    answer = ada.get("/users/me")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, UNKNOWN)


def test_the_token_of_an_inactive_user_is_challenged(server: Server) -> None:
    ada = server.person("ada")
    with server.session() as session:
        session.execute(update(User).where(User.id == ada.id).values(is_active=False))
        session.commit()

    answer = ada.get("/users/me")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, UNKNOWN)


@pytest.mark.parametrize("path", ["/users", "/users/me", "/users/1", "/users/999"])
def test_a_token_without_the_scope_is_told_which_it_lacks(server: Server, path: str) -> None:
    answer = server.caller(1, scope="teams:read users:write").get(path)

    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="roster", error="insufficient_scope",'
        ' error_description="The token lacks a scope; this needs users:read.",'
        ' scope="users:read"' + RESOURCE
    )


def test_a_token_without_any_scope_lacks_it(server: Server) -> None:
    assert server.caller(1, scope="").get("/users/me").status_code == 403


def test_a_scope_is_not_a_part_of_another(server: Server) -> None:
    assert server.caller(1, scope="users:reads users").get("/users/me").status_code == 403


def test_a_refusal_for_lack_of_a_role_is_no_challenge(server: Server) -> None:
    answer = server.person("ada").get("/users")

    assert answer.status_code == 403
    assert "www-authenticate" not in answer.headers


# Where a token is optional: sign-up

NEW = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}
NEW_BY_FORM = {**NEW, "recaptcha_key": "secret_key"}


@pytest.mark.parametrize("value", ["Bearer x", "Bearer", "Basic cm9vdDpx", ""])
def test_a_bad_token_is_refused_where_none_is_needed(server: Server, value: str) -> None:
    answer = server.client.post("/api/v1/users", json=NEW_BY_FORM, headers={"Authorization": value})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="roster"')


def test_an_expired_token_is_refused_where_none_is_needed(server: Server) -> None:
    caller = server.admin
    with server.session() as session:
        session.execute(update(Token).values(expires_at=now() - timedelta(seconds=1)))
        session.commit()

    assert caller.post("/users", NEW_BY_FORM).status_code == 401


def test_an_admin_needs_no_captcha(server: Server) -> None:
    assert server.admin.post("/users", NEW).status_code == 201


def test_an_admins_token_without_the_scope_counts_as_none(server: Server) -> None:
    caller = server.caller(1, scope="users:read")

    assert caller.post("/users", NEW).status_code == 403
    assert caller.post("/users", NEW_BY_FORM).status_code == 201


@pytest.mark.parametrize("who", ["user", "service"])
def test_any_other_token_counts_as_none(server: Server, who: str) -> None:
    caller = server.person("ada") if who == "user" else server.caller(None)

    assert caller.post("/users", NEW).status_code == 403
    assert caller.post("/users", NEW_BY_FORM).status_code == 201


def test_a_clients_basic_credentials_open_no_resource(server: Server) -> None:
    answer = server.client.get(ME, headers=basic("documentation", ""))

    assert answer.status_code == 401


def test_a_bad_token_is_refused_before_the_body_is_looked_at(server: Server) -> None:
    answer = ask(
        server.app,
        "POST",
        "/api/v1/teams",
        headers=[JSON, *authorization(b"Bearer x")],
        body=b"{",
    )

    assert answer.status_code == 401

"""Tokens: how they are issued (RFC 6749), how they are revoked (RFC 7009), and to whom not."""

import base64
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from sqlalchemy import func, select, update

from models import Client, Grant, Token, User, development
from models.database.base import now
from models.oauth import bearer, code_hooks, token_hooks
from models.oauth.client import PUBLIC
from models.oauth.secret import digest
from models.users import passwords
from tests.roster.raw import FORM, ask, converse, http_scope
from tests.serving import PASSWORD, PRODUCTION, SCOPES, CheckedClient, Serve, Server, basic

TOKEN = "/auth/oauth2/token"
REVOKE = "/auth/oauth2/revoke"
SECRET = development.CLIENT_SECRET

LOGIN = {
    "grant_type": "password",
    "client_id": "documentation",
    "username": "root",
    "password": "q",
}
SERVICE = {
    "grant_type": "client_credentials",
    "client_id": "documentation",
    "client_secret": SECRET,
}


def without(form: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in form.items() if name not in names}


def issued(answer: Any) -> dict[str, Any]:
    """Check an answer with a token (RFC 6749 section 5.1); return its body."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    found: dict[str, Any] = answer.json()
    assert found["token_type"] == "Bearer"
    return found


def is_basic(request: Any) -> bool:
    """Tell whether a client named itself by HTTP Basic."""
    return bool(request.headers.get("authorization", "").startswith("Basic"))


def refused(answer: Any, error: str) -> str:
    """Check an error (RFC 6749 section 5.2); return its description."""
    found = answer.json()
    assert found.keys() == {"error", "error_description"}
    is_challenged = error == "invalid_client" and is_basic(answer.request)
    assert (answer.status_code, found["error"]) == (401 if is_challenged else 400, error)
    challenge = 'Basic realm="roster"' if is_challenged else None
    assert answer.headers.get("www-authenticate") == challenge
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    return str(found["error_description"])


def register(server: Server, **fields: Any) -> dict[str, str]:
    """Register a client, a confidential one with all grants by default; return its credentials."""
    values = {
        "name": "A client",
        "scopes": ("teams:read", "users:read"),
        "grant_types": ("client_credentials", "password", "refresh_token"),
    }
    with server.session() as session:
        client, secret = Client.create(session, user_id=1, **(values | fields))
        session.commit()
        credentials = {"client_id": client.client_id}
        return credentials if secret is None else {**credentials, "client_secret": secret}


def login(server: Server, **fields: str) -> dict[str, Any]:
    return issued(server.client.post(TOKEN, data=LOGIN | fields))


def refresh(server: Server, refresh_token: str, **fields: str) -> Any:
    form = {
        "grant_type": "refresh_token",
        "client_id": "documentation",
        "refresh_token": refresh_token,
    }
    return server.client.post(TOKEN, data=form | fields)


def revoke(server: Server, token: str, **fields: str) -> Any:
    return server.client.post(REVOKE, data={"token": token, "client_id": "documentation"} | fields)


def works(server: Server, token: str) -> bool:
    """Tell whether an access token opens the API."""
    header = {"Authorization": f"Bearer {token}"}
    answer = server.client.get("/api/v1/teams", headers=header)
    assert answer.status_code in {200, 401}
    return bool(answer.status_code == 200)


def count(server: Server, kind: Any) -> int:
    with server.session() as session:
        return session.scalar(select(func.count()).select_from(kind)) or 0


# The three grants, and the ways in which parameters travel


def test_a_login_gives_a_pair_of_tokens(server: Server) -> None:
    found = login(server)

    assert found.keys() == {"token_type", "access_token", "refresh_token", "expires_in", "scope"}
    assert found["expires_in"] == 3600
    assert found["scope"] == SCOPES
    me = server.client.get(
        "/api/v1/users/me", headers={"Authorization": f"Bearer {found['access_token']}"}
    )
    assert me.json()["username"] == "root"


@pytest.mark.parametrize("username", ["root", "ROOT", "root@localhost", "Root@LocalHost"])
def test_one_logs_in_by_name_or_address_in_any_letter_case(server: Server, username: str) -> None:
    assert works(server, login(server, username=username)["access_token"])


def test_a_client_credentials_token_is_a_services_and_has_no_refresh_token(
    server: Server,
) -> None:
    found = issued(server.client.post(TOKEN, data=SERVICE))

    assert found.keys() == {"token_type", "access_token", "expires_in", "scope"}
    header = {"Authorization": f"Bearer {found['access_token']}"}
    assert server.client.get("/api/v1/users", headers=header).status_code == 200
    assert server.client.get("/api/v1/users/me", headers=header).status_code == 403


def test_a_form_may_be_multipart(client: CheckedClient) -> None:
    parts = [(name, (None, value)) for name, value in LOGIN.items()]

    issued(client.post(TOKEN, files=parts))


def test_a_client_may_name_itself_by_basic(client: CheckedClient) -> None:
    form = without(LOGIN, "client_id")

    issued(client.post(TOKEN, data=form, headers=basic("documentation", "")))
    issued(client.post(TOKEN, data=form, headers=basic("documentation", quote_plus(SECRET))))


def test_basic_credentials_are_url_encoded(server: Server) -> None:
    with server.session() as session:
        client = Client.find(session, "documentation")
        assert client
        client.client_id = "docs: ä+%/"
        client.secret_hash = digest("s:e c+r%e/t ä")
        session.commit()
    raw = f"{quote_plus('docs: ä+%/')}:{quote_plus('s:e c+r%e/t ä')}"
    header = {"Authorization": f"Basic {base64.b64encode(raw.encode()).decode()}"}

    issued(server.client.post(TOKEN, data={"grant_type": "client_credentials"}, headers=header))


def test_a_secret_that_nobody_encoded_works_where_it_means_the_same(
    client: CheckedClient,
) -> None:
    header = basic("documentation", SECRET)

    issued(client.post(TOKEN, data={"grant_type": "client_credentials"}, headers=header))


def test_the_same_client_id_beside_basic_is_no_second_method(client: CheckedClient) -> None:
    issued(client.post(TOKEN, data=LOGIN, headers=basic("documentation", SECRET)))


@pytest.mark.parametrize("in_url", [("grant_type",), ("grant_type", "client_id"), tuple(LOGIN)])
def test_in_development_parameters_may_be_in_the_url(
    client: CheckedClient, in_url: tuple[str, ...]
) -> None:
    url = f"{TOKEN}?{urlencode({name: LOGIN[name] for name in in_url})}"

    issued(client.post(url, data=without(LOGIN, *in_url)))


@pytest.mark.parametrize("form", [LOGIN, SERVICE])
def test_in_development_a_get_gives_a_token(client: CheckedClient, form: dict[str, str]) -> None:
    issued(client.get(TOKEN, params=form))


def test_in_development_a_get_may_name_its_client_by_basic(client: CheckedClient) -> None:
    issued(
        client.get(
            TOKEN,
            params={"grant_type": "client_credentials"},
            headers=basic("documentation", SECRET),
        )
    )


def test_in_development_a_get_is_refused_as_a_post_is(client: CheckedClient) -> None:
    refused(client.get(TOKEN), "invalid_request")
    refused(client.get(TOKEN, params=LOGIN | {"password": "x"}), "invalid_grant")
    refused(client.get(TOKEN, params=LOGIN | {"client_id": "x"}), "invalid_client")


# Production


@pytest.fixture
def production(serve: Serve) -> Server:
    """Return a production server (its database holds the development data all the same)."""
    return serve(**PRODUCTION)


def test_in_production_a_form_gives_a_token(production: Server) -> None:
    issued(production.client.post(TOKEN, data=LOGIN))


def test_in_production_a_get_is_not_allowed(production: Server) -> None:
    answer = production.client.get(TOKEN, params=LOGIN)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"] == "invalid_request"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", [*LOGIN, "refresh_token", "scope", "client_secret"])
def test_in_production_a_known_parameter_in_the_url_is_refused(
    production: Server, name: str
) -> None:
    answer = production.client.post(f"{TOKEN}?{name}=x", data=without(LOGIN, name))

    assert "URL" in refused(answer, "invalid_request")
    assert count(production, Token) == 0


def test_in_production_revocation_takes_nothing_from_the_url(production: Server) -> None:
    token = login(production)["access_token"]

    answer = production.client.post(f"{REVOKE}?token={token}&client_id=documentation")

    refused(answer, "invalid_request")
    assert works(production, token)


def test_in_production_an_unknown_parameter_in_the_url_is_ignored(production: Server) -> None:
    issued(production.client.post(f"{TOKEN}?utm_source=x", data=LOGIN))


# Parameters


@pytest.mark.parametrize("name", ["grant_type", "username", "password"])
@pytest.mark.parametrize("form", ["missing", "empty"])
def test_a_parameter_that_is_missing_or_empty_is_an_invalid_request(
    client: CheckedClient, name: str, form: str
) -> None:
    data = without(LOGIN, name) if form == "missing" else LOGIN | {name: ""}

    assert name in refused(client.post(TOKEN, data=data), "invalid_request")


def test_a_refresh_needs_its_token(server: Server) -> None:
    refused(refresh(server, ""), "invalid_request")


@pytest.mark.parametrize("name", [*LOGIN, "scope"])
def test_a_repeated_parameter_is_refused(server: Server, name: str) -> None:
    value = LOGIN.get(name, "users:read")
    pairs = [*(LOGIN | {name: value}).items(), (name, value)]

    answer = ask(server.app, "POST", TOKEN, headers=[FORM], body=urlencode(pairs).encode())

    refused(answer, "invalid_request")
    assert count(server, Token) == 0


def test_a_parameter_in_url_and_body_is_repeated(client: CheckedClient) -> None:
    refused(client.post(f"{TOKEN}?username=root", data=LOGIN), "invalid_request")


@pytest.mark.parametrize("grant_type", ["implicit", "PASSWORD", "password ", "x", "ä", '"'])
def test_an_unknown_grant_type_is_unsupported(client: CheckedClient, grant_type: str) -> None:
    answer = client.post(TOKEN, data=LOGIN | {"grant_type": grant_type})

    refused(answer, "unsupported_grant_type")


def test_an_unknown_parameter_is_ignored(client: CheckedClient) -> None:
    found = issued(client.post(TOKEN, data=LOGIN | {"resource": "x", "nonsense": '\\"ä'}))

    assert found["scope"] == SCOPES


@pytest.mark.parametrize("stray", [b"resource=x&resource=y", b"x=%00", b"x=" + b"%ff" * 300_000])
def test_an_unknown_parameter_is_ignored_however_often_and_whatever_it_holds(
    server: Server, stray: bytes
) -> None:
    body = urlencode(LOGIN).encode() + b"&" + stray

    issued(ask(server.app, "POST", TOKEN, headers=[FORM], body=body))


STRAY = {
    "user": "1",
    "user_id": "1",
    "client": "documentation",
    "scopes": "users:write",
    "grant": "1",
    "token": "x",
    "access_token": "x",
    "expires_in": "999999999",
    "refresh_token": "x",
    "state": "x",
    "redirect_uri": "https://evil.example",
    "code": "x",
    "code_verifier": "x",
    "validator": "x",
    "http_method": "GET",
    "headers": "x",
    "body": "x",
    "decoded_body": "x",
    "duplicate_params": "grant_type",
    "extra_credentials": "x",
    "token_generator": "x",
}


@pytest.mark.parametrize("name", STRAY)
def test_a_stray_parameter_has_no_effect_on_a_service(server: Server, name: str) -> None:
    credentials = register(server)
    form = {"grant_type": "client_credentials", **credentials, name: STRAY[name]}

    found = issued(server.client.post(TOKEN, data=form))

    assert found.keys() == {"token_type", "access_token", "expires_in", "scope"}
    assert (found["expires_in"], found["scope"]) == (3600, "teams:read users:read")
    header = {"Authorization": f"Bearer {found['access_token']}"}
    assert server.client.get("/api/v1/users/me", headers=header).status_code == 403
    with server.session() as session:
        assert session.scalars(select(Grant.user_id)).all() == [None]


@pytest.mark.parametrize("name", STRAY)
def test_a_stray_parameter_has_no_effect_on_a_login(server: Server, name: str) -> None:
    server.user("ada")
    form = LOGIN | {"username": "ada", "password": PASSWORD, name: STRAY[name]}

    found = issued(server.client.post(TOKEN, data=form))

    assert (found["expires_in"], found["scope"]) == (3600, SCOPES)
    me = server.client.get(
        "/api/v1/users/me", headers={"Authorization": f"Bearer {found['access_token']}"}
    )
    assert me.json()["username"] == "ada"


def test_the_refresh_token_of_another_has_no_effect_on_a_login(server: Server) -> None:
    other = login(server)

    login(server, username="user", password="w", refresh_token=other["refresh_token"])

    assert works(server, other["access_token"])
    issued(refresh(server, other["refresh_token"]))


# Clients


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"client_id": ""},
        {"client_id": "unknown"},
        {"client_id": "Documentation"},
        {"client_id": "documentation", "client_secret": "wrong"},
        {"client_id": "documentation", "client_secret": SECRET.lower()},
        {"client_id": "documentation", "client_secret": SECRET + " "},
        {"client_id": "x" * 200},
        {"client_id": "ä😀"},
        {"client_secret": SECRET},
    ],
)
@pytest.mark.parametrize("form", [LOGIN, SERVICE])
def test_a_client_that_is_unknown_or_has_a_wrong_secret_is_refused(
    client: CheckedClient, form: dict[str, str], credentials: dict[str, str]
) -> None:
    data = without(form, "client_id", "client_secret") | credentials

    refused(client.post(TOKEN, data=data), "invalid_client")


def test_an_unknown_client_and_a_wrong_secret_look_the_same(client: CheckedClient) -> None:
    unknown = client.post(TOKEN, data=SERVICE | {"client_id": "unknown"})
    wrong = client.post(TOKEN, data=SERVICE | {"client_secret": "wrong"})

    assert refused(unknown, "invalid_client") == refused(wrong, "invalid_client")


@pytest.mark.parametrize("header", ["Basic", "Basic !"])
def test_a_basic_header_that_cannot_be_read_is_refused(client: CheckedClient, header: str) -> None:
    refused(client.post(TOKEN, data=LOGIN, headers={"Authorization": header}), "invalid_client")


@pytest.mark.parametrize("header", ["Bearer expired", "", "Negotiate x", "DPoP x"])
def test_a_header_that_is_not_basic_is_ignored(client: CheckedClient, header: str) -> None:
    authorization = {"Authorization": header}
    found = issued(client.post(TOKEN, data=LOGIN, headers=authorization))
    form = {"client_id": "documentation", "refresh_token": found["refresh_token"]}
    refreshed = {"grant_type": "refresh_token", **form}
    found = issued(client.post(TOKEN, data=refreshed, headers=authorization))

    token = {"client_id": "documentation", "token": found["access_token"]}
    assert client.post(REVOKE, data=token, headers=authorization).status_code == 200

    bearer = {"Authorization": f"Bearer {found['access_token']}"}
    assert client.get("/api/v1/users/me", headers=bearer).status_code == 401
    refused(
        client.post(TOKEN, data=SERVICE | {"client_secret": ""}, headers=bearer), "invalid_client"
    )


@pytest.mark.parametrize(
    ("form", "error"),
    [
        (LOGIN | {"username": "x" * 400}, "invalid_grant"),
        (LOGIN | {"password": "x" * 2000}, "invalid_grant"),
        (LOGIN | {"client_id": "x" * 300}, "invalid_client"),
        (LOGIN | {"client_secret": "x" * 300}, "invalid_client"),
        (LOGIN | {"scope": "x" * 2000}, "invalid_scope"),
        (LOGIN | {"grant_type": "x" * 300}, "unsupported_grant_type"),
        (
            {
                "grant_type": "refresh_token",
                "client_id": "documentation",
                "refresh_token": "x" * 9000,
            },
            "invalid_grant",
        ),
        (
            {
                "grant_type": "authorization_code",
                "client_id": "documentation",
                "code": "x" * 9000,
                "redirect_uri": "https://app.example/" + "x" * 9000,
                "code_verifier": "v" * 43,
            },
            "invalid_grant",
        ),
    ],
)
def test_a_value_of_any_length_is_answered_as_one_that_nobody_knows(
    client: CheckedClient, form: dict[str, str], error: str
) -> None:
    refused(client.post(TOKEN, data=form), error)


def test_any_token_may_be_revoked_whatever_its_length_and_its_hint(client: CheckedClient) -> None:
    for length in (1, 513, 5_000, 900_000):
        form = {"token": "t" * length, "client_id": "documentation"}
        for hint in ("access_token", "saml", "h" * 50_000):
            answer = client.post(REVOKE, data=form | {"token_type_hint": hint})
            assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "data", [LOGIN | {"client_id": "other"}, LOGIN | {"client_secret": SECRET}, SERVICE]
)
def test_two_methods_of_authentication_are_refused(
    client: CheckedClient, data: dict[str, str]
) -> None:
    answer = client.post(TOKEN, data=data, headers=basic("documentation", SECRET))

    refused(answer, "invalid_request")


def test_a_confidential_client_needs_its_secret(server: Server) -> None:
    credentials = register(server)
    form = without(LOGIN, "client_id")

    issued(server.client.post(TOKEN, data=form | credentials))
    for secret in ({}, {"client_secret": ""}):
        data = form | {"client_id": credentials["client_id"]} | secret
        refused(server.client.post(TOKEN, data=data), "invalid_client")
    header = basic(credentials["client_id"], "")
    refused(server.client.post(TOKEN, data=form, headers=header), "invalid_client")


def test_a_secret_of_another_client_is_wrong(server: Server) -> None:
    one, other = register(server), register(server)
    data = without(LOGIN, "client_id") | one | {"client_secret": other["client_secret"]}

    refused(server.client.post(TOKEN, data=data), "invalid_client")


def test_a_public_client_without_a_secret_has_no_right_one(server: Server) -> None:
    credentials = register(server, client_type=PUBLIC)
    form = without(LOGIN, "client_id") | credentials

    issued(server.client.post(TOKEN, data=form))
    issued(server.client.post(TOKEN, data=form | {"client_secret": ""}))
    refused(server.client.post(TOKEN, data=form | {"client_secret": "x"}), "invalid_client")


@pytest.mark.parametrize("secret", [{}, {"client_secret": ""}])
def test_a_public_client_needs_its_secret_for_client_credentials(
    client: CheckedClient, secret: dict[str, str]
) -> None:
    form = without(SERVICE, "client_secret") | secret

    refused(client.post(TOKEN, data=form), "invalid_client")


# The right to a grant


class CountingSlots:
    """Stands where the slots of hashing stand, and counts the hashes."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> CountingSlots:
    """Count the hashes from here on."""
    slots = CountingSlots()
    monkeypatch.setattr(passwords, "_slots", slots)
    return slots


def test_a_client_without_the_grant_is_refused_before_the_password_is_looked_at(
    server: Server, hashes: CountingSlots
) -> None:
    credentials = register(server, grant_types=("refresh_token", "client_credentials"))
    form = without(LOGIN, "client_id") | credentials

    descriptions = {
        refused(server.client.post(TOKEN, data=form | fields), "unauthorized_client")
        for fields in ({}, {"password": "wrong"}, {"username": "nobody"})
    }

    assert len(descriptions) == 1
    assert hashes.count == 0


def test_a_client_with_a_wrong_secret_is_refused_before_the_password_is_looked_at(
    server: Server, hashes: CountingSlots
) -> None:
    refused(server.client.post(TOKEN, data=LOGIN | {"client_secret": "x"}), "invalid_client")

    assert hashes.count == 0


def test_a_client_without_client_credentials_is_refused(server: Server) -> None:
    credentials = register(server, grant_types=("password",))
    form = {"grant_type": "client_credentials", **credentials}

    refused(server.client.post(TOKEN, data=form), "unauthorized_client")


def test_a_client_without_the_refresh_grant_gets_no_refresh_token(server: Server) -> None:
    credentials = register(server, grant_types=("password",))
    found = issued(server.client.post(TOKEN, data=without(LOGIN, "client_id") | credentials))

    assert "refresh_token" not in found
    form = {"grant_type": "refresh_token", "refresh_token": "x", **credentials}
    refused(server.client.post(TOKEN, data=form), "unauthorized_client")


# Users


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "wrong"},
        {"password": "Q"},
        {"password": "q "},
        {"password": "q" * 1_000},
        {"username": "nobody"},
        {"username": "nobody@example.org"},
        {"username": "documentation", "password": "w"},  # inactive
        {"username": "documentation", "password": "wrong"},
        {"username": "%"},
        {"username": "r_ot"},
        {"username": "' OR 1=1 --"},
        {"username": "x" * 300},
        {"username": "@"},
        {"username": "ro ot"},
    ],
)
def test_users_unknown_inactive_or_with_a_wrong_password_are_refused_alike(
    server: Server, hashes: CountingSlots, fields: dict[str, str]
) -> None:
    answer = server.client.post(TOKEN, data=LOGIN | fields)

    description = refused(answer, "invalid_grant")
    assert hashes.count == 1
    reference = server.client.post(TOKEN, data=LOGIN | {"username": "someone.unknown"})
    assert refused(reference, "invalid_grant") == description


def test_a_deactivated_users_right_password_is_wrong(server: Server) -> None:
    server.user("ada", is_active=False)

    answer = server.client.post(TOKEN, data=LOGIN | {"username": "ada", "password": PASSWORD})

    refused(answer, "invalid_grant")


# Scopes


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("users:read", "users:read"),
        ("users:read teams:read", "teams:read users:read"),
        ("users:read   teams:read", "teams:read users:read"),
        (" users:read ", "users:read"),
        ("users:read users:read", "users:read"),
        ("", SCOPES),
        (SCOPES, SCOPES),
    ],
)
@pytest.mark.parametrize("form", [LOGIN, SERVICE])
def test_a_scope_that_is_asked_is_given_in_order(
    server: Server, form: dict[str, str], asked: str, given: str
) -> None:
    found = issued(server.client.post(TOKEN, data=form | {"scope": asked}))

    assert found["scope"] == given
    with server.session() as session:
        assert set(session.scalars(select(Token.scope))) == {given}


@pytest.mark.parametrize(
    "scope",
    [
        "unknown",
        "users:read unknown",
        "users:read\tteams:read",
        "users:read\nteams:read",
        "users:read\u00a0teams:read",
        '"users:read"',
        "users:read,teams:read",
        "USERS:READ",
        "users",
        "users:",
        "*",
        "\\",
        "ä",
        "users:read\x7f",
    ],
)
@pytest.mark.parametrize("form", [LOGIN, SERVICE])
def test_a_scope_that_is_unknown_or_malformed_is_refused(
    server: Server, form: dict[str, str], scope: str
) -> None:
    refused(server.client.post(TOKEN, data=form | {"scope": scope}), "invalid_scope")

    assert count(server, Token) == 0


def test_no_client_gets_more_than_it_has(server: Server) -> None:
    credentials = register(server, scopes=("users:read",))
    form = without(LOGIN, "client_id") | credentials

    assert issued(server.client.post(TOKEN, data=form))["scope"] == "users:read"
    for scope in ("users:write", "users:read users:write"):
        refused(server.client.post(TOKEN, data=form | {"scope": scope}), "invalid_scope")


# Refresh tokens


def test_a_refresh_token_gives_a_new_pair(server: Server) -> None:
    first = login(server)

    second = issued(refresh(server, first["refresh_token"]))

    assert second.keys() == first.keys()
    assert second["scope"] == first["scope"]
    assert len({first[name] for name in ("access_token", "refresh_token")} & set(second)) == 0
    assert second["refresh_token"] != first["refresh_token"]
    assert works(server, second["access_token"])
    assert works(server, first["access_token"])


def test_a_refresh_token_rotates_on_and_on(server: Server) -> None:
    found = login(server)

    for _ in range(3):
        found = issued(refresh(server, found["refresh_token"]))

    assert works(server, found["access_token"])
    assert count(server, Grant) == 1


def test_a_refresh_may_name_its_client_by_basic(server: Server) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": login(server)["refresh_token"]}

    issued(server.client.post(TOKEN, data=form, headers=basic("documentation", "")))


def test_a_used_refresh_token_that_comes_back_ends_its_family(server: Server) -> None:
    other = login(server)
    first = login(server)
    second = issued(refresh(server, first["refresh_token"]))

    refused(refresh(server, first["refresh_token"]), "invalid_grant")

    for found in (first, second):
        assert not works(server, found["access_token"])
        refused(refresh(server, found["refresh_token"]), "invalid_grant")
    assert works(server, other["access_token"])


def test_the_family_of_a_stolen_token_ends_whoever_comes_second(server: Server) -> None:
    first = login(server)
    thief = issued(refresh(server, first["refresh_token"]))
    refused(refresh(server, first["refresh_token"]), "invalid_grant")

    assert not works(server, thief["access_token"])
    refused(refresh(server, thief["refresh_token"]), "invalid_grant")


def test_a_narrower_scope_is_given_for_one_token_only(server: Server) -> None:
    first = login(server, scope="teams:read users:read")

    narrow = issued(refresh(server, first["refresh_token"], scope="users:read"))
    wide = issued(refresh(server, narrow["refresh_token"]))

    assert narrow["scope"] == "users:read"
    assert wide["scope"] == "teams:read users:read"
    header = {"Authorization": f"Bearer {narrow['access_token']}"}
    assert server.client.get("/api/v1/teams", headers=header).status_code == 403
    assert works(server, wide["access_token"])


@pytest.mark.parametrize("scope", ["users:write", "users:read users:write", "unknown", "users\t"])
def test_a_refresh_never_widens_the_scope_and_a_refused_one_costs_nothing(
    server: Server, scope: str
) -> None:
    first = login(server, scope="users:read")

    refused(refresh(server, first["refresh_token"], scope=scope), "invalid_scope")

    assert issued(refresh(server, first["refresh_token"]))["scope"] == "users:read"


@pytest.mark.parametrize("token", ["x", "ä", "x" * 500, "'", " "])
def test_an_unknown_refresh_token_is_refused(server: Server, token: str) -> None:
    refused(refresh(server, token), "invalid_grant")


def test_an_access_token_refreshes_nothing(server: Server) -> None:
    found = login(server)

    refused(refresh(server, found["access_token"]), "invalid_grant")

    assert works(server, found["access_token"])


def test_another_clients_refresh_token_is_refused_and_stays_good(server: Server) -> None:
    first = login(server)
    used = login(server)
    issued(refresh(server, used["refresh_token"]))
    other = register(server)

    for token in (first["refresh_token"], used["refresh_token"]):
        refused(refresh(server, token, **other), "invalid_grant")

    assert works(server, used["access_token"])
    issued(refresh(server, first["refresh_token"]))


def test_a_refresh_with_a_wrong_secret_costs_nothing(server: Server) -> None:
    first = login(server)

    answer = refresh(server, first["refresh_token"], client_secret="wrong")

    refused(answer, "invalid_client")
    issued(refresh(server, first["refresh_token"]))


def test_the_refresh_token_of_an_inactive_user_is_refused(server: Server) -> None:
    server.user("ada")
    found = login(server, username="ada", password=PASSWORD)
    with server.session() as session:
        session.execute(update(User).where(User.username == "ada").values(is_active=False))
        session.commit()

    refused(refresh(server, found["refresh_token"]), "invalid_grant")


# Lifetimes


def expire(server: Server, kind: str | None = None) -> None:
    """Let the grants, or the tokens of a kind, end a second ago."""
    past = now() - timedelta(seconds=1)
    with server.session() as session:
        if kind is None:
            session.execute(update(Grant).values(expires_at=past))
        session.execute(
            update(Token).where(Token.kind == (kind or Token.kind)).values(expires_at=past)
        )
        session.commit()


def test_an_expired_access_token_is_refused_and_can_be_refreshed(server: Server) -> None:
    first = login(server)
    expire(server, "access")

    assert not works(server, first["access_token"])
    assert works(server, issued(refresh(server, first["refresh_token"]))["access_token"])


def test_an_idle_refresh_token_is_refused_without_harm_to_the_family(server: Server) -> None:
    first = login(server)
    expire(server, "refresh")

    refused(refresh(server, first["refresh_token"]), "invalid_grant")

    assert works(server, first["access_token"])


def test_a_used_refresh_token_ends_its_family_after_its_time_too(server: Server) -> None:
    first = login(server)
    second = issued(refresh(server, first["refresh_token"]))
    with server.session() as session:
        old = Token.hash == digest(first["refresh_token"])
        session.execute(update(Token).where(old).values(expires_at=now() - timedelta(days=1)))
        session.commit()

    refused(refresh(server, first["refresh_token"]), "invalid_grant")

    assert not works(server, second["access_token"])


def test_all_ends_with_the_grant(server: Server) -> None:
    first = login(server)
    expire(server)

    assert not works(server, first["access_token"])
    refused(refresh(server, first["refresh_token"]), "invalid_grant")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """Return the moment that the token store takes for the present; a test may change it."""
    time = {"now": now()}
    for module in (bearer, code_hooks, token_hooks):
        monkeypatch.setattr(module, "now", lambda: time["now"])
    return time


def lifetimes(server: Server) -> dict[str, datetime]:
    """Return when the latest token of each kind ends."""
    latest = select(Token.kind, func.max(Token.expires_at)).group_by(Token.kind)
    with server.session() as session:
        return {row[0]: row[1] for row in session.execute(latest)}


def test_lifetimes_are_settings(serve: Serve, clock: dict[str, datetime]) -> None:
    server = serve(
        access_token_seconds=60, refresh_token_idle_seconds=600, refresh_token_total_seconds=1000
    )
    begun = clock["now"]

    first = login(server)

    assert first["expires_in"] == 60
    assert lifetimes(server) == {
        "access": begun + timedelta(seconds=60),
        "refresh": begun + timedelta(seconds=600),
    }

    clock["now"] += timedelta(seconds=500)
    second = issued(refresh(server, first["refresh_token"]))
    assert second["expires_in"] == 60
    assert lifetimes(server)["refresh"] == begun + timedelta(seconds=1000)

    clock["now"] += timedelta(seconds=480)
    third = issued(refresh(server, second["refresh_token"]))
    assert third["expires_in"] == 20
    assert set(lifetimes(server).values()) == {begun + timedelta(seconds=1000)}

    clock["now"] += timedelta(seconds=20)
    refused(refresh(server, third["refresh_token"]), "invalid_grant")
    assert not works(server, third["access_token"])


def test_lifetimes_are_as_documented_by_default(server: Server, clock: dict[str, datetime]) -> None:
    login(server)

    assert lifetimes(server) == {
        "access": clock["now"] + timedelta(seconds=3600),
        "refresh": clock["now"] + timedelta(days=14),
    }
    with server.session() as session:
        ends = session.scalars(select(Grant.expires_at)).one()
    assert ends == clock["now"] + timedelta(days=90)


def test_in_its_last_second_a_grant_still_gives_a_token_of_one_second(
    server: Server, clock: dict[str, datetime]
) -> None:
    first = login(server)
    clock["now"] += timedelta(days=13, seconds=86399.5)
    with server.session() as session:
        session.execute(update(Grant).values(expires_at=clock["now"] + timedelta(seconds=0.5)))
        session.commit()

    assert issued(refresh(server, first["refresh_token"]))["expires_in"] == 1


# Revocation (RFC 7009)


def test_revoking_an_access_token_ends_it_alone(server: Server) -> None:
    first = login(server)

    answer = revoke(server, first["access_token"])

    assert (answer.status_code, answer.content) == (200, b"")
    assert "content-type" not in answer.headers
    assert not works(server, first["access_token"])
    assert works(server, issued(refresh(server, first["refresh_token"]))["access_token"])


def test_revoking_a_refresh_token_ends_its_family(server: Server) -> None:
    other = login(server)
    first = login(server)
    second = issued(refresh(server, first["refresh_token"]))

    assert revoke(server, second["refresh_token"]).status_code == 200

    for found in (first, second):
        assert not works(server, found["access_token"])
        refused(refresh(server, found["refresh_token"]), "invalid_grant")
    assert works(server, other["access_token"])


def test_revoking_a_used_refresh_token_ends_its_family_too(server: Server) -> None:
    first = login(server)
    second = issued(refresh(server, first["refresh_token"]))

    assert revoke(server, first["refresh_token"]).status_code == 200

    assert not works(server, second["access_token"])


def test_a_service_token_can_be_revoked(server: Server) -> None:
    found = issued(server.client.post(TOKEN, data=SERVICE))

    assert revoke(server, found["access_token"], client_secret=SECRET).status_code == 200

    assert not works(server, found["access_token"])


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", ""])
@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_a_hint_does_not_matter(server: Server, name: str, hint: str) -> None:
    first = login(server)

    assert revoke(server, first[name], token_type_hint=hint).status_code == 200

    assert not works(server, first["access_token"])


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
def test_a_token_of_another_client_is_left_as_it_is(server: Server, name: str) -> None:
    first = login(server)

    answer = revoke(server, first[name], **register(server))

    assert (answer.status_code, answer.content) == (200, b"")
    assert works(server, first["access_token"])
    issued(refresh(server, first["refresh_token"]))


@pytest.mark.parametrize("token", ["unknown", "ä", "x" * 500, "'", " "])
def test_an_unknown_token_is_no_error(server: Server, token: str) -> None:
    answer = revoke(server, token)

    assert (answer.status_code, answer.content) == (200, b"")


def test_a_token_may_be_revoked_twice(server: Server) -> None:
    first = login(server)

    for name in ("access_token", "access_token", "refresh_token", "refresh_token"):
        assert revoke(server, first[name]).status_code == 200


def test_a_revocation_may_be_multipart_and_its_client_named_by_basic(server: Server) -> None:
    first = login(server)

    answer = server.client.post(
        REVOKE,
        files={"token": (None, first["access_token"])},
        headers=basic("documentation", quote_plus(SECRET)),
    )

    assert answer.status_code == 200
    assert not works(server, first["access_token"])


@pytest.mark.parametrize("token", [{}, {"token": ""}])
def test_a_revocation_needs_its_token(client: CheckedClient, token: dict[str, str]) -> None:
    answer = client.post(REVOKE, data={"client_id": "documentation"} | token)

    refused(answer, "invalid_request")


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"client_id": "unknown"},
        {"client_id": "documentation", "client_secret": "wrong"},
        {"client_secret": SECRET},
    ],
)
def test_a_revocation_needs_its_client(server: Server, credentials: dict[str, str]) -> None:
    first = login(server)

    answer = server.client.post(REVOKE, data={"token": first["access_token"]} | credentials)

    refused(answer, "invalid_client")
    assert works(server, first["access_token"])


def test_a_confidential_client_needs_its_secret_to_revoke(server: Server) -> None:
    credentials = register(server)
    found = issued(server.client.post(TOKEN, data=without(LOGIN, "client_id") | credentials))
    form = {"token": found["access_token"]}

    data = form | {"client_id": credentials["client_id"]}
    refused(server.client.post(REVOKE, data=data), "invalid_client")
    assert works(server, found["access_token"])
    assert server.client.post(REVOKE, data=form | credentials).status_code == 200
    assert not works(server, found["access_token"])


def test_a_client_without_any_grant_may_still_revoke(server: Server) -> None:
    credentials = register(server, grant_types=("password",))
    found = issued(server.client.post(TOKEN, data=without(LOGIN, "client_id") | credentials))
    with server.session() as session:
        session.execute(update(Client).values(grant_types=()))
        session.commit()

    data = {"token": found["access_token"]} | credentials
    assert server.client.post(REVOKE, data=data).status_code == 200
    assert not works(server, found["access_token"])


@pytest.mark.parametrize("name", ["token", "token_type_hint", "client_id"])
def test_a_repeated_parameter_of_a_revocation_is_refused(server: Server, name: str) -> None:
    form = {"token": "x", "client_id": "documentation", name: "documentation"}
    pairs = [*form.items(), (name, "documentation")]

    answer = ask(server.app, "POST", REVOKE, headers=[FORM], body=urlencode(pairs).encode())

    refused(answer, "invalid_request")


def test_two_methods_of_authentication_are_refused_at_revocation(server: Server) -> None:
    answer = server.client.post(
        REVOKE,
        data={"token": "x", "client_id": "documentation", "client_secret": SECRET},
        headers=basic("documentation", SECRET),
    )

    refused(answer, "invalid_request")


# Errors of the way


@pytest.mark.parametrize("path", [TOKEN, REVOKE])
@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "TRACE"])
def test_another_method_is_not_allowed(server: Server, path: str, method: str) -> None:
    answer = ask(server.app, method, path, query=urlencode(LOGIN).encode())

    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"].split(", ")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    if method != "HEAD":
        assert answer.json()["error"] == "invalid_request"
    assert count(server, Token) == 0


@pytest.mark.parametrize("path", [TOKEN, REVOKE])
def test_a_body_that_is_too_large_is_refused_in_the_form_of_rfc_6749(
    server: Server, path: str
) -> None:
    answer = ask(server.app, "POST", path, headers=[FORM], body=b"x" * (1024 * 1024 + 1))
    announced = http_scope("POST", path, headers=[FORM, (b"content-length", b"9999999")])

    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"
    assert converse(server.app, announced, [])[0]["status"] == 413


@pytest.mark.parametrize("path", [TOKEN, REVOKE])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"application/json")],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/x-www-form-urlencoded; charset=latin-1")],
        [FORM, (b"content-encoding", b"gzip")],
        [FORM, FORM],
    ],
)
def test_another_media_type_is_refused_in_the_form_of_rfc_6749(
    server: Server, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    answer = ask(server.app, "POST", path, headers=headers, body=urlencode(LOGIN).encode())

    assert (answer.status_code, answer.json()["error"]) == (415, "invalid_request")
    assert answer.headers["cache-control"] == "no-store"
    assert count(server, Token) == 0


def test_a_form_in_capitals_is_a_form(server: Server) -> None:
    answer = ask(
        server.app,
        "POST",
        TOKEN,
        headers=[(b"content-type", b"Application/X-WWW-Form-URLencoded; Charset=UTF-8")],
        body=urlencode(LOGIN).encode(),
    )

    issued(answer)


def test_a_form_may_arrive_in_pieces(server: Server) -> None:
    body = urlencode(LOGIN).encode()

    issued(ask(server.app, "POST", TOKEN, headers=[FORM], body=[body[:9], b"", body[9:]]))


@pytest.mark.parametrize(
    "body",
    [b"grant_type=%ff", b"\xff\xfe", b"grant_type=password%00", b"%", b"=", b"&=&", b"\0"],
)
@pytest.mark.parametrize("path", [TOKEN, REVOKE])
def test_a_form_that_cannot_be_read_is_an_invalid_request(
    server: Server, path: str, body: bytes
) -> None:
    refused(ask(server.app, "POST", path, headers=[FORM], body=body), "invalid_request")


@pytest.mark.parametrize("query", [b"\xff", b"%ff", b"client_id=%00", b"%00=1"])
@pytest.mark.parametrize("path", [TOKEN, REVOKE])
def test_a_query_that_cannot_be_read_is_an_invalid_request(
    server: Server, path: str, query: bytes
) -> None:
    body = urlencode(LOGIN | {"token": "x"}).encode()

    answer = ask(server.app, "POST", path, query=query, headers=[FORM], body=body)

    refused(answer, "invalid_request")


def test_odd_characters_in_the_url_do_not_matter(server: Server) -> None:
    body = urlencode(LOGIN).encode()

    issued(ask(server.app, "POST", TOKEN, query=b'<>"{}|[]^`\\=%zz', headers=[FORM], body=body))


# What is stored


def test_tokens_and_secrets_are_stored_as_hashes_only(server: Server) -> None:
    credentials = register(server)
    found = [
        login(server),
        issued(server.client.post(TOKEN, data=without(LOGIN, "client_id") | credentials)),
        issued(server.client.post(TOKEN, data=SERVICE)),
    ]
    secrets = [SECRET, credentials["client_secret"]]
    secrets += [
        answer[name]
        for answer in found
        for name in ("access_token", "refresh_token")
        if name in answer
    ]
    assert len(secrets) == 7

    stored = dump(server)

    for secret in secrets:
        assert secret.encode() not in stored
        assert digest(secret) in stored


def dump(server: Server) -> bytes:
    """Return all values of all rows, one after the other."""
    values = []
    with server.app.engine.connect() as connection:
        for table in Client.metadata.sorted_tables:
            for row in connection.execute(select(table)):
                values += [
                    value if isinstance(value, bytes) else str(value).encode() for value in row
                ]
    return b"\n".join(values)


def test_tokens_are_long_and_differ(server: Server) -> None:
    tokens = {login(server)[name] for name in ("access_token", "refresh_token") for _ in range(5)}

    assert len(tokens) == 10
    assert {len(token) for token in tokens} == {43}


def test_the_token_endpoint_takes_no_get(serve: Serve) -> None:
    answer = serve(**PRODUCTION).client.get(TOKEN)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert answer.json()["error"] == "invalid_request"

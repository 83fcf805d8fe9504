"""Calls that bypass oauthlib's endpoints refuse and grant exactly what the endpoints do."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from oauthlib.common import add_params_to_uri
from oauthlib.oauth2 import (
    AuthorizationCodeGrant,
    AuthorizationEndpoint,
    BearerToken,
    OAuth2Error,
    RevocationEndpoint,
    TokenEndpoint,
)
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import Client, Consent, Grant, Token, TokenStore, User
from models.database.base import now
from models.errors import OAuthError
from models.oauth.client import PUBLIC
from models.oauth.code import Code
from models.oauth.secret import digest, generate
from models.oauth.token import ACCESS, REFRESH
from roster.oauth import oauthlib_bypass
from roster.oauth.server import _GRANTS
from tests.models.factories import Transaction
from tests.serving import PASSWORD, Server
from tests.signing_in import CALLBACK, CHALLENGE, VERIFIER

URI = "https://server.example/auth/oauth2/any"
SCOPE = "teams:read users:read"
ALL_GRANTS = ("authorization_code", "client_credentials", "password", "refresh_token")
HOUR = timedelta(hours=1)
SECRETS = {"access_token", "refresh_token", "code"}  # that differ each time

# What the parsers of this server let through: clean text that is not empty.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd"), min_size=1, max_size=40
)


@dataclass(frozen=True)
class World:
    """Values that a request can have, by the names of its parameters."""

    values: dict[str, list[str]]

    def fields(self, *names: str, **chosen: Any) -> st.SearchStrategy[dict[str, str]]:
        """Draw parameters: each is missing, one that there is, or any text."""
        drawn = {
            name: st.one_of(st.sampled_from(self.values[name]), st.none(), TEXTS)
            # Most requests are right in most of what they say.
            | st.sampled_from(self.values[name][:1])
            for name in names
        }
        return st.fixed_dictionaries({**drawn, **chosen}).map(
            lambda found: {name: value for name, value in found.items() if value is not None}
        )


@pytest.fixture
def world(server: Server) -> World:
    ada = server.user("ada")
    values: dict[str, list[str]] = {
        "client_id": [],
        "client_secret": [],
        "code": [],
        "refresh_token": [],
        "token": [],
        "token_type_hint": ["access_token", "refresh_token", "saml"],
        "redirect_uri": [CALLBACK, "https://app.example/other", "app:/x?y=1", "no uri"],
        "code_verifier": [VERIFIER, "w" * 43],
        "scope": [SCOPE, "users:read", "users:write", "users:read users:read"],
        "username": ["ada", "nobody"],
        "password": [PASSWORD, "wrong"],
        "state": ["a state", "%2B &=+#"],
        "response_type": ["code", "token", "none", "code token"],
        "code_challenge": [CHALLENGE, "x"],
        "code_challenge_method": ["S256", "plain", "s256"],
    }
    with server.session() as session:
        for kind, grants in [
            ("confidential", ALL_GRANTS),
            (PUBLIC, ALL_GRANTS[::3]),
            ("confidential", ()),
        ]:
            client, secret = Client.create(
                session,
                user_id=1,
                name="An app",
                client_type=kind,
                scopes=SCOPE.split(),
                grant_types=grants,
                redirect_uris=[CALLBACK] if grants else [CALLBACK, "app:/x?y=1"],
                by_operator=True,
            )
            values["client_id"].append(client.client_id)
            values["client_secret"] += [secret] if secret else []
            _store_codes_and_tokens(session, client, ada, values)
        session.commit()
    return World(values)


def _store_codes_and_tokens(
    session: Session, client: Client, user_id: int, values: dict[str, list[str]]
) -> None:
    moment = now()
    for lives, used in [(True, False), (False, False), (True, True)]:
        grant = Grant(
            client_id=client.id, user_id=user_id, scope=SCOPE, expires_at=moment + 1000 * HOUR
        )
        session.add(grant)
        session.flush()
        ends = moment + (HOUR if lives else -HOUR)
        state = {"expires_at": ends, "used_at": moment if used else None}
        for kind in (ACCESS, REFRESH):
            value = generate()
            session.add(
                Token(hash=digest(value), kind=kind, grant_id=grant.id, scope=SCOPE, **state)
            )
            values["token"].append(value)
            values["refresh_token"] += [value] if kind == REFRESH else []
        for given_uri in (True, False):
            value = generate()
            session.add(
                Code(
                    hash=digest(value),
                    client_id=client.id,
                    user_id=user_id,
                    redirect_uri=CALLBACK,
                    redirect_uri_given=given_uri,
                    code_challenge=CHALLENGE,
                    scope=SCOPE,
                    grant_id=grant.id if used else None,
                    **state,
                )
            )
            values["code"].append(value)


def outcome(server: Server, act: Callable[[TokenStore], Any], user: bool = False) -> Any:
    """Return what came of an act: the answer or the error, and what it left; it is undone."""
    with server.session() as session:
        known = session.scalars(select(User).where(User.username == "ada")).one()
        store = TokenStore(Transaction(session), user=known if user else None)
        try:
            found = act(store)
        except (OAuthError, OAuth2Error) as error:
            found = type(error), error.error, getattr(error, "description", str(error))
        left = [
            session.scalars(select(func.count()).select_from(each)).one()
            for each in (Consent, Code, Grant, Token)
        ]
        used = session.scalars(select(func.count()).where(Code.used_at.is_not(None))).one()
        who = store.user and store.user.id
        session.rollback()
    return found, left, used, who, store.consequence, store.reused, store.revoked


def unrandom(answered: tuple[dict[str, str], str, int]) -> Any:
    """Return an answer with the names of its random values only."""
    _, body, status = answered
    return status, {k: k in SECRETS or v for k, v in json.loads(body or "{}").items()}


def held(test: Callable[[dict[str, str]], None], fields: st.SearchStrategy[Any]) -> None:
    """Hold what is drawn to a test."""
    hypothesis_settings(
        max_examples=150,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )(given(fields)(test))()


@pytest.mark.parametrize("grant_type", ALL_GRANTS)
def test_tokens(server: Server, world: World, grant_type: str) -> None:
    make_grant: Any = _GRANTS[grant_type]
    seen = set()

    def by_endpoint(store: TokenStore, form: Any) -> Any:
        bearer: Any = BearerToken(store, generate, store.lifetimes.access)
        endpoint = TokenEndpoint(grant_type, bearer, {grant_type: make_grant(store)})
        return unrandom(endpoint.create_token_response(URI, "POST", form, {}))

    def past_it(store: TokenStore, form: Any) -> Any:
        bearer = BearerToken(store, generate, store.lifetimes.access)
        return unrandom(oauthlib_bypass.create_token_response(make_grant(store), bearer, form))

    def test(form: dict[str, str]) -> None:
        expected = outcome(server, lambda store: by_endpoint(store, form))
        assert outcome(server, lambda store: past_it(store, form)) == expected
        seen.add(expected[0][1] if isinstance(expected[0][1], str) else expected[0][0])

    own = {
        "authorization_code": ["code", "code_verifier", "redirect_uri"],
        "password": ["username", "password", "scope"],
        "refresh_token": ["refresh_token", "scope"],
        "client_credentials": ["scope", "refresh_token"],
    }[grant_type]
    names = ["client_id", "client_secret", "state", *own]
    held(test, world.fields(*names, grant_type=st.just(grant_type)))
    assert {200, 400, 401} <= seen


def test_revocations(server: Server, world: World) -> None:
    seen = set()

    def by_endpoint(store: TokenStore, form: Any) -> Any:
        endpoint = RevocationEndpoint(store)
        _, body, status = endpoint.create_revocation_response(URI, "POST", form, {})
        found = json.loads(body or "{}")
        return status, found.get("error"), found.get("error_description", "")

    def past_it(store: TokenStore, form: Any) -> Any:
        try:
            oauthlib_bypass.revoke(store, form)
        except OAuth2Error as error:
            return error.status_code, error.error, error.description
        return 200, None, ""

    def test(form: dict[str, str]) -> None:
        expected = outcome(server, lambda store: by_endpoint(store, form))
        assert outcome(server, lambda store: past_it(store, form)) == expected
        seen.add((expected[0][0], expected[-1] is not None and expected[-1][0]))

    live = st.sampled_from(world.values["token"][:2])
    token = live | st.sampled_from(world.values["token"]) | st.none() | TEXTS
    held(test, world.fields("client_id", "client_secret", "token_type_hint", token=token))
    # The status, and what ended.
    assert {(200, "access_token"), (200, "refresh_token"), (200, False), (401, False)} <= seen


def test_authorizations(server: Server, world: World) -> None:
    seen = set()

    def endpoint_of(store: TokenStore) -> AuthorizationEndpoint:
        grants: Any = {"code": AuthorizationCodeGrant(store)}
        bearer: Any = BearerToken(store, generate)
        return AuthorizationEndpoint("code", bearer, grants)

    def url(fields: dict[str, str]) -> str:
        return str(add_params_to_uri(URI, list(fields.items())))

    def validated(store: TokenStore, fields: dict[str, str]) -> Any:
        found, _ = endpoint_of(store).validate_authorization_request(url(fields), "GET", None, {})
        return list(found)

    def validated_past_it(store: TokenStore, fields: dict[str, str]) -> Any:
        grant = AuthorizationCodeGrant(store)
        return oauthlib_bypass.validate_authorization_request(grant, fields)

    def led_to(place: str) -> Any:
        parts = urlsplit(place)
        query = {k: k in SECRETS or v for k, v in parse_qs(parts.query).items()}
        return parts._replace(query=""), query

    def issued(store: TokenStore, fields: dict[str, str], scopes: list[str]) -> Any:
        answered = endpoint_of(store).create_authorization_response(
            url(fields), "GET", None, {}, scopes
        )
        return led_to(answered[0]["Location"])

    def issued_past_it(store: TokenStore, fields: dict[str, str], scopes: list[str]) -> Any:
        grant, bearer = AuthorizationCodeGrant(store), BearerToken(store, generate)
        found = oauthlib_bypass.create_authorization_response(grant, bearer, fields, scopes)
        return led_to(found)

    def test(fields: dict[str, str]) -> None:
        expected = outcome(server, lambda store: validated(store, fields))
        assert outcome(server, lambda store: validated_past_it(store, fields)) == expected
        scopes = expected[0] if isinstance(expected[0], list) else ["users:read"]
        made = outcome(server, lambda store: issued(store, fields, scopes), user=True)
        assert outcome(server, lambda s: issued_past_it(s, fields, scopes), user=True) == made
        seen.add(True if isinstance(expected[0], list) else expected[0][1])

    names = ["client_id", "redirect_uri", "scope", "state", "response_type"]
    held(test, world.fields(*names, "code_challenge", "code_challenge_method"))
    wanted = {"invalid_request", "invalid_scope", "unsupported_response_type"}
    assert {True, *wanted} <= seen

"""Introspection in one read answers as oauthlib's own endpoint does, for all kinds of requests."""

import json
from datetime import timedelta
from itertools import cycle, product
from typing import Any

from oauthlib.common import Request
from oauthlib.oauth2 import IntrospectEndpoint
from sqlalchemy import or_, select

from models import Client, Grant, Token, TokenStore, User
from models.database.base import now
from models.oauth.client import PUBLIC
from models.oauth.secret import digest, generate
from models.oauth.token import ACCESS, REFRESH
from tests.models.factories import Transaction
from tests.serving import SCOPES, Serve, Server

PATH = "/auth/oauth2/introspect"
HINTS = (None, "access_token", "refresh_token", "saml", "")


class Hooks(TokenStore):
    """The hook that oauthlib's endpoint asks, with the token and its user read as objects."""

    def introspect_token(
        self, token: str, token_type_hint: str, request: Request, *args: object, **kwargs: object
    ) -> dict[str, Any] | None:
        moment = now()
        row: Any = self.database.session.execute(
            select(Token, User)
            .join(Grant, Grant.id == Token.grant_id)
            .outerjoin(User, User.id == Grant.user_id)
            .where(
                Token.hash == digest(token),
                Token.used_at.is_(None),
                Token.expires_at > moment,
                Grant.expires_at > moment,
                Grant.client_id == self.client.id,
                or_(Grant.user_id.is_(None), User.is_active),
            )
        ).one_or_none()
        if row is None:
            return None
        found, user = row
        claims: dict[str, Any] = {
            "scope": found.scope,
            "client_id": self.client.client_id,
            "sub": self.client.client_id if user is None else str(user.id),
            "exp": int(found.expires_at.timestamp()),
            "iat": int(found.issued_at.timestamp()),
        }
        if user is not None:
            claims["username"] = user.username
        if found.kind == ACCESS:
            claims["token_type"] = "Bearer"
        return claims


def answered_by_oauthlib(server: Server, form: Any) -> tuple[int, Any]:
    """Return the status, and the claims or the error's code."""
    if not form.get("client_secret"):  # RFC 7662 section 2.1; oauthlib leaves that to the hooks
        return 400, "invalid_client"
    with server.session() as session:
        endpoint = IntrospectEndpoint(Hooks(Transaction(session)))
        uri = server.origin + PATH
        _, body, status = endpoint.create_introspect_response(uri, "POST", form, {})
    found = json.loads(body)
    return (status, found) if status == 200 else (400, found["error"])


def answered(server: Server, form: dict[str, str]) -> tuple[int, Any]:
    answer = server.client.post(PATH, data=form)
    found = answer.json()
    if answer.status_code != 200:
        return answer.status_code, found["error"]
    if found["active"]:
        assert found.pop("iss") == server.origin
    return 200, found


def clients(server: Server) -> dict[str, tuple[str, str]]:
    """Make clients of each kind; return their ids and secrets."""
    made = {}
    with server.session() as session:
        for name, kind, has_secret in [
            ("confidential", "confidential", True),
            ("public with a secret", PUBLIC, True),
            ("public", PUBLIC, False),
        ]:
            client, secret = Client.create(
                session, user_id=1, name=name, client_type=kind, with_secret=has_secret
            )
            made[name] = client.client_id, secret or generate()
        session.commit()
    return {**made, "unknown": ("nobody", generate()), "none": ("", generate())}


def tokens(server: Server, client_ids: list[str]) -> dict[str, str]:
    """Store a token of each kind for each client; return them by their kinds."""
    active, inactive = server.user("ada"), server.user("idle", is_active=False)
    hour = timedelta(hours=1)
    made = {"unknown": generate(), "long": "t" * 7_000, "odd": "%2B\u00e4 +&=", "none": ""}
    with server.session() as session:
        for client_id in client_ids:
            client = Client.find(session, client_id)
            assert client is not None
            for user, kind, lives, grant_lives, used in product(
                (active, inactive, None), (ACCESS, REFRESH), (True, False), (True, False), (0, 1)
            ):
                if used and kind == ACCESS:
                    continue
                ends = now() + (hour if grant_lives else -hour)
                grant = Grant(
                    client_id=client.id, user_id=user, scope=SCOPES, expires_at=ends, created=now()
                )
                session.add(grant)
                session.flush()
                value = generate()
                session.add(
                    Token(
                        hash=digest(value),
                        kind=kind,
                        grant_id=grant.id,
                        scope=SCOPES,
                        expires_at=now() + (hour if lives else -hour),
                        used_at=now() if used else None,
                    )
                )
                made[f"{client_id} {user} {kind} {lives} {grant_lives} {used}"] = value
        session.commit()
    return made


def test_the_answers_are_those_of_oauthlib(serve: Serve) -> None:
    server = serve(limit_per_client_and_address=1_000_000)
    known = clients(server)
    issued = tokens(server, [known["confidential"][0], known["public with a secret"][0]])
    hint = cycle(HINTS)
    seen = set()

    for (client_id, secret), sent in product(known.values(), ("right", "wrong", "empty", "none")):
        secrets = {"right": secret, "wrong": generate(), "empty": "", "none": None}
        # What is decided before the token is looked at needs few of them.
        names = list(issued) if sent == "right" else ["unknown", "none", next(reversed(issued))]
        for name in names:
            fields = {
                "token": issued[name],
                "client_id": client_id,
                "client_secret": secrets[sent],
                "token_type_hint": next(hint),
            }
            form = {key: value for key, value in fields.items() if value is not None}
            expected = answered_by_oauthlib(server, form)
            assert answered(server, form) == expected, (client_id, sent, name)
            seen.add(expected[1] if expected[0] != 200 else expected[1]["active"])

    assert seen == {True, False, "invalid_client", "invalid_request"}

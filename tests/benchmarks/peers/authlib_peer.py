"""Authlib's authorization server for Flask with SQLAlchemy's ORM, behind gunicorn.

It is written after the example in Authlib's documentation, with its mixins and functions. Tokens
and secrets are stored as they are, not as hashes. A refresh token that comes back is refused, and
its family lives on. The example asks for the user's consent each time, so none is remembered.
"""

import json
import os
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error
from authlib.common.security import generate_token
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.sqla_oauth2 import (
    OAuth2AuthorizationCodeMixin,
    OAuth2ClientMixin,
    OAuth2TokenMixin,
    create_query_client_func,
    create_query_token_func,
    create_revocation_endpoint,
    create_save_token_func,
)
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask, redirect, render_template_string, request, session, url_for
from sqlalchemy import ForeignKey, insert, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)

from tests.benchmarks.peers.engines import connect

known = json.loads(os.environ["BENCH_AUTHORIZATION"])
engine = connect(os.environ["DATABASE_URL"])
db = scoped_session(sessionmaker(engine))


class Base(DeclarativeBase):
    """The declarative base."""


class User(Base):
    """A user."""

    __tablename__ = "oauth2_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]

    def get_user_id(self) -> int:
        """Return the id that a token is stored with."""
        return self.id


class Client(Base, OAuth2ClientMixin):
    """A client."""

    __tablename__ = "oauth2_client"

    id: Mapped[int] = mapped_column(primary_key=True)


class Code(Base, OAuth2AuthorizationCodeMixin):
    """An authorization code."""

    __tablename__ = "oauth2_code"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("oauth2_user.id", ondelete="CASCADE"))
    user: Mapped[User] = relationship()

    def is_expired(self) -> bool:
        """Tell whether it is too old; the mixin would keep it for five minutes."""
        return bool(self.auth_time + known["code_seconds"] < time.time())


class Token(Base, OAuth2TokenMixin):
    """An access token, with its refresh token if it has one."""

    __tablename__ = "oauth2_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("oauth2_user.id", ondelete="CASCADE"))
    user: Mapped[User | None] = relationship()

    def is_refresh_token_active(self) -> bool:
        """Tell whether the refresh token may be used."""
        ends = self.issued_at + known["refresh_seconds"]
        return not self.refresh_token_revoked_at and ends >= time.time()


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):
    """The code flow."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

    def save_authorization_code(self, code: str, request: Any) -> Code:
        """Store a code."""
        made = Code(
            code=code,
            client_id=request.client.client_id,
            redirect_uri=request.payload.redirect_uri,
            scope=request.payload.scope,
            user_id=request.user.id,
            code_challenge=request.payload.data.get("code_challenge"),
            code_challenge_method=request.payload.data.get("code_challenge_method"),
        )
        db.add(made)
        db.commit()
        return made

    def query_authorization_code(self, code: str, client: Any) -> Code | None:
        """Return a live code of a client."""
        found = db.scalar(select(Code).where(Code.code == code, Code.client_id == client.client_id))
        return found if found and not found.is_expired() else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Delete a code that was used."""
        db.delete(authorization_code)
        db.commit()

    def authenticate_user(self, authorization_code: Code) -> User | None:
        """Return the user of a code."""
        return db.get(User, authorization_code.user_id)


class RefreshTokenGrant(grants.RefreshTokenGrant):
    """Refreshing, with a new refresh token each time."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Any:
        """Return a live refresh token."""
        found = db.scalar(select(Token).where(Token.refresh_token == refresh_token))
        return found if found and found.is_refresh_token_active() else None

    def authenticate_user(self, refresh_token: Token) -> User | None:
        """Return the user of a token."""
        return db.get(User, refresh_token.user_id)

    def revoke_old_credential(self, refresh_token: Any) -> None:
        """End a refresh token that was used; its access token lives on, as elsewhere."""
        refresh_token.refresh_token_revoked_at = int(time.time())
        db.commit()


find_token = create_query_token_func(db, Token)


class Introspection(IntrospectionEndpoint):
    """The state of a client's own tokens."""

    CLIENT_AUTH_METHODS = ("client_secret_basic",)

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        """Return a token."""
        found: Token | None = find_token(token_string, token_type_hint)
        return found

    def check_permission(self, token: Token, client: Client, request: Any) -> bool:
        """Tell whether a client may know of a token."""
        return bool(token.check_client(client))

    def introspect_token(self, token: Any) -> dict[str, Any]:
        """Describe a token, as in Authlib's documentation."""
        is_live = not token.is_expired() and not token.is_revoked()
        return {
            "active": is_live,
            "client_id": token.client_id,
            "token_type": token.token_type,
            "username": token.user.username if token.user else None,
            "scope": token.get_scope(),
            "sub": str(token.user_id) if token.user_id else token.client_id,
            "exp": token.issued_at + token.expires_in,
            "iat": token.issued_at,
        }


def issue_refresh_token(client: Client, grant_type: str, user: Any, scope: str) -> str:
    """Make a refresh token."""
    return str(generate_token(48))


app = Flask(__name__)
app.config.update(
    SECRET_KEY=secrets.token_urlsafe(),
    OAUTH2_REFRESH_TOKEN_GENERATOR=issue_refresh_token,
    OAUTH2_TOKEN_EXPIRES_IN=dict.fromkeys(
        ("authorization_code", "client_credentials", "refresh_token"), known["access_seconds"]
    ),
    OAUTH2_SCOPES_SUPPORTED=known["scopes"],
)
server = AuthorizationServer(
    app,
    query_client=create_query_client_func(db, Client),
    save_token=create_save_token_func(db, Token),
)
server.register_grant(AuthorizationCodeGrant, [CodeChallenge(required=True)])
server.register_grant(RefreshTokenGrant)
server.register_grant(grants.ClientCredentialsGrant)
server.register_endpoint(create_revocation_endpoint(db, Token))
server.register_endpoint(Introspection)

_hasher = PasswordHasher()


@app.teardown_appcontext
def close_session(_error: BaseException | None) -> None:
    """Give the session back."""
    db.remove()


def current_user() -> User | None:
    """Return the user who is signed in."""
    return db.get(User, session["id"]) if "id" in session else None


_LOGIN = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign in</title></head>
<body>
  <h1>Sign in</h1>
  {% if problem %}<p>{{ problem }}</p>{% endif %}
  <form method="post">
    <label>Username <input name="username" autocomplete="username" required></label>
    <label>Password
      <input name="password" type="password" autocomplete="current-password" required></label>
    <button>Sign in</button>
  </form>
</body>
</html>"""
_CONSENT = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Allow access</title></head>
<body>
  <h1>Allow access</h1>
  <p>{{ grant.client.client_name }} asks for: {{ grant.request.payload.scope }}</p>
  <form method="post"><button name="confirm" value="yes">Allow</button></form>
</body>
</html>"""


@app.route("/login", methods=["GET", "POST"])
def log_in() -> Any:
    """Sign a user in."""
    problem = ""
    if request.method == "POST":
        user = db.scalar(select(User).where(User.username == request.form["username"]))
        try:
            _hasher.verify(user.password_hash if user else _nobody, request.form["password"])
        except Argon2Error:
            user = None
        if user is not None:
            session["id"] = user.id
            following = urlsplit(request.args.get("next", "/"))
            return redirect(f"{following.path}?{following.query}")
        problem = "Username or password is wrong."
    return render_template_string(_LOGIN, problem=problem)


@app.route(known["authorize_path"], methods=["GET", "POST"])
def authorize() -> Any:
    """Ask the user whether a client gets access."""
    user = current_user()
    if user is None:
        return redirect(url_for("log_in", next=request.full_path))
    try:
        grant = server.get_consent_grant(end_user=user)
    except OAuth2Error as error:
        return server.handle_error_response(server.create_oauth2_request(None), error)
    if request.method == "GET":
        return render_template_string(_CONSENT, grant=grant)
    allowed = user if request.form.get("confirm") else None
    return server.create_authorization_response(grant=grant, grant_user=allowed)


@app.post(known["token_path"])
def issue_token() -> Any:
    """Issue tokens."""
    return server.create_token_response()


@app.post(known["revoke_path"])
def revoke_token() -> Any:
    """End a token."""
    return server.create_endpoint_response("revocation")


@app.post(known["introspect_path"])
def introspect_token() -> Any:
    """Tell the state of a token."""
    return server.create_endpoint_response("introspection")


def _token_rows(owners: list[int], ends_in: int) -> list[dict[str, Any]]:
    issued = int(time.time()) + ends_in - known["access_seconds"]
    return [
        {
            "client_id": known["web"],
            "user_id": owner,
            "token_type": "Bearer",
            "access_token": generate_token(42),
            "refresh_token": generate_token(48),
            "scope": " ".join(known["scopes"]),
            "issued_at": issued,
            "expires_in": known["access_seconds"],
        }
        for owner in owners
    ]


def _stored(rows: list[dict[str, Any]], name: str) -> list[str]:
    db.execute(insert(Token), rows)
    return [row[name] for row in rows]


def _codes(owners: list[int]) -> list[str]:
    rows = [
        {
            "code": generate_token(48),
            "client_id": known["web"],
            "redirect_uri": known["redirect_uri"],
            "scope": " ".join(known["scopes"]),
            "user_id": owner,
            "code_challenge": known["challenge"],
            "code_challenge_method": "S256",
        }
        for owner in owners
    ]
    db.execute(insert(Code), rows)
    return [row["code"] for row in rows]


def _sessions(owners: list[int]) -> list[str]:
    serializer: Any = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return [f"session={serializer.dumps({'id': owner})}" for owner in owners]


_MAKERS: dict[str, Callable[[list[int]], list[str]]] = {
    "access": lambda owners: _stored(_token_rows(owners, known["access_seconds"]), "access_token"),
    "code": _codes,
    "expired": lambda owners: _stored(_token_rows(owners, -10), "access_token"),
    "refresh": lambda owners: _stored(
        _token_rows(owners, known["access_seconds"]), "refresh_token"
    ),
    "session": _sessions,
}


@app.post("/prepare")
def prepare() -> Any:
    """Make what the benchmark takes for granted."""
    count = int(request.args["count"])
    users = db.scalars(select(User.id).order_by(User.id)).all()
    made = _MAKERS[request.args["what"]]([users[number % len(users)] for number in range(count)])
    db.commit()
    return made


def _fill() -> None:
    """Make the tables, and fill them, where that has not been done."""
    Base.metadata.create_all(engine)
    with db() as filling:
        if filling.scalar(select(User.id).limit(1)):
            return
        password_hash = _hasher.hash(known["password"])
        filling.execute(
            insert(User),
            [{"username": name, "password_hash": password_hash} for name in known["users"]],
        )
        same = {
            "scope": " ".join(known["scopes"]),
            "token_endpoint_auth_method": "client_secret_basic",
        }
        for name, metadata in (
            (
                known["web"],
                {
                    "client_name": known["web"],
                    "redirect_uris": [known["redirect_uri"]],
                    "response_types": ["code"],
                    "grant_types": ["authorization_code", "refresh_token"],
                },
            ),
            (known["service"], {"grant_types": ["client_credentials"]}),
        ):
            client = Client(client_id=name, client_secret=known["secret"])
            client.set_client_metadata({**same, **metadata})
            filling.add(client)
        filling.commit()


_nobody = _hasher.hash(secrets.token_urlsafe())
_fill()

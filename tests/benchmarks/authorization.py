"""The operations of the authorization server, and what every server has to know for them.

All servers have the same two confidential clients, which authenticate by HTTP Basic, and the same
users, scopes and lifetimes. They answer at the same paths.
"""

import base64
import hashlib
import json
from urllib.parse import urlencode

from tests.benchmarks import data
from tests.benchmarks.data import REDIRECT_URI, SCOPES, SECRET, SERVICE, WEB, Data
from tests.benchmarks.operations import FORM, TOKEN_PATH, Operation, Request, login

AUTHORIZE_PATH = "/auth/oauth2/authorize"
INTROSPECT_PATH = "/auth/oauth2/introspect"
REVOKE_PATH = "/auth/oauth2/revoke"

SCOPE = " ".join(SCOPES)
STATE = "a-state-of-the-client"
VERIFIER = "a-verifier-of-the-client-with-43-characters-"

# Signed in, and with tokens. So many that hardly ever two requests concern the same user.
USERS = tuple(f"user{number}" for number in range(1, 201))

ACCESS_SECONDS = 3600
REFRESH_SECONDS = 14 * 24 * 3600
GRANT_SECONDS = 90 * 24 * 3600
SESSION_SECONDS = 7 * 24 * 3600
CODE_SECONDS = 60

# How many different tokens are introspected, and how many chains of refresh tokens there are.
TOKENS = 200
CHAINS = 1000


def challenge(verifier: str) -> str:
    """Return the challenge of a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


# What the peers read, whatever language they are written in.
KNOWN = json.dumps(
    {
        "web": WEB,
        "service": SERVICE,
        "secret": SECRET,
        "redirect_uri": REDIRECT_URI,
        "scopes": SCOPES,
        "challenge": challenge(VERIFIER),
        "users": USERS,
        "password": data.PASSWORD,
        "access_seconds": ACCESS_SECONDS,
        "refresh_seconds": REFRESH_SECONDS,
        "grant_seconds": GRANT_SECONDS,
        "session_seconds": SESSION_SECONDS,
        "code_seconds": CODE_SECONDS,
        "authorize_path": AUTHORIZE_PATH,
        "introspect_path": INTROSPECT_PATH,
        "revoke_path": REVOKE_PATH,
        "token_path": TOKEN_PATH,
    }
)


def operations(_known: Data) -> list[Operation]:
    """Return the operations, in the order of the report."""
    has_token = '"access_token" *: *"'
    return [
        Operation("client_credentials", (client_credentials(),), expects=has_token),
        Operation("code", (exchange("{token}"),), takes="code", use="spend", expects=has_token),
        Operation(
            "rotation",
            (refresh("{token}"),),
            takes="refresh",
            use="rotate",
            count=CHAINS,
            expects=has_token,
        ),
        Operation(
            "introspect_live",
            (introspect("{token}"),),
            takes="access",
            count=TOKENS,
            expects='"active" *: *true',
        ),
        Operation(
            "introspect_dead",
            (introspect("{token}"),),
            takes="dead",
            count=TOKENS,
            expects='"active" *: *false',
        ),
        Operation("revoke", (revoke("{token}"),), takes="access", use="spend"),
        Operation("login_page", (authorize(),), follows=True, expects='type *= *"password"'),
        Operation(
            "consent_to_code",
            (authorize("{token}"),),
            takes="session",
            count=len(USERS),
            expects="[?&]code=",
        ),
    ]


def logins() -> Operation:
    """Return the logins that are made at the same time as other requests."""
    return Operation("password", tuple(login(name) for name in data.LOGINS))


def client_credentials(secret: str = SECRET) -> Request:
    """Make the request of a client credentials grant."""
    return _form(TOKEN_PATH, SERVICE, secret, grant_type="client_credentials", scope=SCOPE)


def exchange(code: str, verifier: str = VERIFIER) -> Request:
    """Make the request that exchanges a code."""
    return _form(
        TOKEN_PATH,
        grant_type="authorization_code",
        code=code,
        redirect_uri=REDIRECT_URI,
        code_verifier=verifier,
    )


def refresh(token: str) -> Request:
    """Make the request of a refresh token grant."""
    return _form(TOKEN_PATH, grant_type="refresh_token", refresh_token=token)


def introspect(token: str, secret: str = SECRET, *, client: str = WEB) -> Request:
    """Make the request of a token's state."""
    return _form(INTROSPECT_PATH, client, secret, token=token)


def revoke(token: str) -> Request:
    """Make the request that ends an access token."""
    return _form(REVOKE_PATH, token=token, token_type_hint="access_token")


def authorize(cookie: str = "", **changes: str) -> Request:
    """Make the request with which a client sends a browser here.

    A parameter that is changed to nothing is left out.
    """
    parameters = {
        "response_type": "code",
        "client_id": WEB,
        "redirect_uri": REDIRECT_URI,
        "scope": SCOPE,
        "state": STATE,
        "code_challenge": challenge(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    given = {name: value for name, value in parameters.items() if value}
    headers = {"Cookie": cookie} if cookie else {}
    return Request("GET", f"{AUTHORIZE_PATH}?{urlencode(given)}", headers)


def _form(path: str, client: str = WEB, secret: str = SECRET, **form: str) -> Request:
    credentials = base64.b64encode(f"{client}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", **FORM}
    return Request("POST", path, headers, urlencode(form, safe="{}"))

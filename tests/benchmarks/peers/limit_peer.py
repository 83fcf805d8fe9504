"""The limit: a bare ASGI callable that does the same work with a raw driver and orjson.

It answers on the event loop itself, one request after the other, with statements that are prepared
once. Nobody would write an API so; it shows what the machine has. While PostgreSQL works it waits,
and there Roster, which goes on with other requests, can be ahead of it.
"""

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import orjson
import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error

ORIGIN = f"http://127.0.0.1:{os.environ.get('PORT', '5000')}"
API = "/api/v1"
URL = os.environ["DATABASE_URL"]
IS_SQLITE = URL.startswith("sqlite")

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
JSON = (b"content-type", b"application/json")


def _sql(statement: str) -> str:
    return statement.replace("%s", "?") if IS_SQLITE else statement


_BASE = "id, username, first_name, middle_name, last_name"
_BEARER = _sql(
    "SELECT t.scope, u.id, u.username, u.first_name, u.middle_name, u.last_name, u.email,"
    " u.is_active, u.is_regular_user, u.is_admin, u.is_internal, u.created, u.updated"
    " FROM tokens t JOIN grants g ON g.id = t.grant_id LEFT JOIN users u ON u.id = g.user_id"
    " WHERE t.hash = %s AND t.kind = 'access' AND t.expires_at > %s AND g.expires_at > %s"
    " AND (g.user_id IS NULL OR u.is_active)"
)
_COUNT = "SELECT count(*) FROM users"
_USERS = _sql(f"SELECT {_BASE} FROM users ORDER BY id LIMIT %s OFFSET %s")
_USERS_AFTER = _sql(f"SELECT {_BASE} FROM users WHERE id > %s ORDER BY id LIMIT %s")
_TEAM = _sql(
    "SELECT t.title, t.created, t.updated, m.is_leader,"
    " u.id, u.username, u.first_name, u.middle_name, u.last_name"
    " FROM teams t JOIN members m ON m.team_id = t.id JOIN users u ON u.id = m.user_id"
    " WHERE t.id = %s ORDER BY m.user_id"
)
_NEW_TEAM = _sql("INSERT INTO teams (title, created, updated) VALUES (%s, %s, %s) RETURNING id")
_NEW_MEMBER = _sql(
    "INSERT INTO members (team_id, user_id, is_leader, created) VALUES (%s, %s, %s, %s)"
)
_CLIENT = _sql("SELECT id, grant_types, scopes FROM clients WHERE client_id = %s")
_LOGIN = _sql("SELECT id, password_hash FROM users WHERE username_key = %s AND is_active")
_NEW_GRANT = _sql(
    "INSERT INTO grants (client_id, user_id, scope, created, expires_at)"
    " VALUES (%s, %s, %s, %s, %s) RETURNING id"
)
_REFRESH = _sql(
    "SELECT t.id, g.id, g.scope FROM tokens t JOIN grants g ON g.id = t.grant_id"
    " JOIN users u ON u.id = g.user_id"
    " WHERE t.hash = %s AND t.kind = 'refresh' AND g.client_id = %s AND u.is_active"
)
_CLAIM = _sql(
    "UPDATE tokens SET used_at = %s WHERE id = %s AND used_at IS NULL AND expires_at > %s"
    " RETURNING id"
)
_END = _sql("DELETE FROM grants WHERE id = %s")
_NEW_TOKEN = _sql(
    "INSERT INTO tokens (hash, kind, grant_id, scope, issued_at, expires_at)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
)
_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_nobody = _hasher.hash(secrets.token_urlsafe())


def _connect() -> Any:
    if not IS_SQLITE:
        return psycopg.connect(URL, autocommit=True, prepare_threshold=0)
    connection = sqlite3.connect(URL.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


database = _connect()
execute = database.execute
BEGIN = "BEGIN IMMEDIATE" if IS_SQLITE else "BEGIN"


def _now(**later: int) -> Any:
    moment = datetime.now(UTC) + timedelta(**later)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f") if IS_SQLITE else moment


def _moment(stored: Any) -> Any:
    return f"{stored.replace(' ', 'T')}Z" if IS_SQLITE else stored


@contextmanager
def transaction() -> Iterator[None]:
    """Commit what is done inside, or nothing of it."""
    execute(BEGIN)
    try:
        yield
    except BaseException:
        execute("ROLLBACK")
        raise
    execute("COMMIT")


class Refused(Exception):
    """The request is refused with a status."""

    def __init__(self, status: int) -> None:
        self.status = status


def _caller(headers: list[tuple[bytes, bytes]], scope: str) -> tuple[Any, ...]:
    header = b""
    for name, value in headers:
        if name == b"authorization":
            header = value
    if header[:7].lower() != b"bearer ":
        raise Refused(401)
    moment = _now()
    digest = hashlib.sha256(header[7:]).digest()
    row: tuple[Any, ...] | None = execute(_BEARER, (digest, moment, moment)).fetchone()
    if row is None:
        raise Refused(401)
    if scope not in row[0].split():
        raise Refused(403)
    return row


def _user(row: tuple[Any, ...]) -> dict[str, Any]:
    id, username, first_name, middle_name, last_name = row
    return {
        "id": id,
        "username": username,
        "first_name": first_name,
        "middle_name": middle_name,
        "last_name": last_name,
    }


def _sees_all(caller: tuple[Any, ...]) -> bool:
    return caller[1] is None or caller[9] or caller[10]


def read_me(scope: Any, _body: bytes) -> Answer:
    """Show the user whose token this is."""
    caller = _caller(scope["headers"], "users:read")
    if caller[1] is None:
        raise Refused(403)
    shown = {
        **_user(caller[1:6]),
        "email": caller[6],
        "is_active": bool(caller[7]),
        "is_regular_user": bool(caller[8]),
        "is_admin": bool(caller[9]),
        "created": _moment(caller[11]),
        "updated": _moment(caller[12]),
    }
    return 200, [JSON], orjson.dumps(shown)


def list_users(scope: Any, _body: bytes) -> Answer:
    """List all users."""
    caller = _caller(scope["headers"], "users:read")
    if not _sees_all(caller):
        raise Refused(403)
    query = parse_qs(scope["query_string"].decode())
    try:
        limit = int(query.get("limit", ["20"])[0])
        offset = int(query.get("offset", ["0"])[0])
        cursor = int(query["cursor"][0]) if "cursor" in query else None
    except ValueError:
        raise Refused(400) from None
    if not 1 <= limit <= 100 or offset < 0:
        raise Refused(400)
    headers = [JSON]
    if cursor is None:
        headers.append((b"x-total-count", str(execute(_COUNT).fetchone()[0]).encode()))
        rows = execute(_USERS, (limit + 1, offset)).fetchall()
    else:
        rows = execute(_USERS_AFTER, (cursor, limit + 1)).fetchall()
    if len(rows) > limit:
        rows.pop()
        link = f'<{ORIGIN}{API}/users?limit={limit}&cursor={rows[-1][0]}>; rel="next"'
        headers.append((b"link", link.encode()))
    return 200, headers, orjson.dumps([_user(row) for row in rows])


def read_team(scope: Any, _body: bytes) -> Answer:
    """Show a team."""
    caller = _caller(scope["headers"], "teams:read")
    try:
        team_id = int(scope["path"].rpartition("/")[2])
    except ValueError:
        raise Refused(404) from None
    rows = execute(_TEAM, (team_id,)).fetchall()
    if not rows or not (_sees_all(caller) or any(row[4] == caller[1] for row in rows)):
        raise Refused(404)
    title, created, updated = rows[0][:3]
    shown = {
        "id": team_id,
        "title": title,
        "members": [{"user": _user(row[4:9]), "is_leader": bool(row[3])} for row in rows],
        "created": _moment(created),
        "updated": _moment(updated),
    }
    return 200, [JSON], orjson.dumps(shown)


def create_team(scope: Any, body: bytes) -> Answer:
    """Found a team, with the caller as its leader."""
    caller = _caller(scope["headers"], "teams:write")
    if caller[1] is None or not (caller[8] or caller[9] or caller[10]):
        raise Refused(403)
    try:
        given = orjson.loads(body)
    except ValueError:
        raise Refused(400) from None
    if not isinstance(given, dict) or given.keys() != {"title"}:
        raise Refused(400)
    title = given["title"]
    if not isinstance(title, str) or not 3 <= len(title) <= 50:
        raise Refused(400)
    moment = _now()
    with transaction():
        team_id = execute(_NEW_TEAM, (title, moment, moment)).fetchone()[0]
        execute(_NEW_MEMBER, (team_id, caller[1], True, moment))
    shown = {
        "id": team_id,
        "title": title,
        "members": [{"user": _user(caller[1:6]), "is_leader": True}],
        "created": _moment(moment),
        "updated": _moment(moment),
    }
    location = (b"location", f"{ORIGIN}{API}/teams/{team_id}".encode())
    return 201, [JSON, location], orjson.dumps(shown)


def issue_token(_scope: Any, body: bytes) -> Answer:
    """Issue an access token."""
    form = dict(parse_qsl(body.decode()))
    client = execute(_CLIENT, (form.get("client_id", ""),)).fetchone()
    grant_type = form.get("grant_type")
    if client is None or grant_type not in client[1].split():
        raise Refused(400)
    user_id = _password_user(form) if grant_type == "password" else None
    access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    moment = _now()
    with transaction():
        if user_id is not None:
            scope, claimed = client[2], True
            values = (client[0], user_id, scope, moment, _now(days=90))
            grant_id = execute(_NEW_GRANT, values).fetchone()[0]
        elif grant_type == "refresh_token":
            grant_id, scope, claimed = _claim(form, client[0])
        else:
            raise Refused(400)
        if claimed:
            for token, kind, ends in (
                (access, "access", _now(hours=1)),
                (refresh, "refresh", _now(days=14)),
            ):
                digest = hashlib.sha256(token.encode()).digest()
                execute(_NEW_TOKEN, (digest, kind, grant_id, scope, moment, ends))
    if not claimed:
        raise Refused(400)
    shown = {
        "token_type": "Bearer",
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": 3600,
        "scope": scope,
    }
    return 200, [JSON, (b"cache-control", b"no-store")], orjson.dumps(shown)


def _password_user(form: dict[str, str]) -> int:
    row = execute(_LOGIN, (form.get("username", "").lower(),)).fetchone()
    try:
        _hasher.verify(row[1] if row else _nobody, form.get("password", ""))
    except Argon2Error:
        raise Refused(400) from None
    if row is None:
        raise Refused(400)
    user_id: int = row[0]
    return user_id


def _claim(form: dict[str, str], client_id: int) -> tuple[int, str, bool]:
    """Claim a refresh token; one that was used before ends its whole family."""
    digest = hashlib.sha256(form.get("refresh_token", "").encode()).digest()
    row = execute(_REFRESH, (digest, client_id)).fetchone()
    if row is None:
        raise Refused(400)
    token_id, grant_id, scope = row
    moment = _now()
    claimed = execute(_CLAIM, (moment, token_id, moment)).fetchone()
    if claimed is None:
        execute(_END, (grant_id,))
    return grant_id, scope, claimed is not None


ROUTES = {
    ("POST", "/auth/oauth2/token"): issue_token,
    ("GET", f"{API}/users/me"): read_me,
    ("GET", f"{API}/users"): list_users,
    ("POST", f"{API}/teams"): create_team,
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        raise RuntimeError("There is nothing to do at the start and at the end.")
    method, path = scope["method"], scope["path"]
    handler = ROUTES.get((method, path))
    if handler is None and method == "GET" and path.startswith(f"{API}/teams/"):
        handler = read_team
    body = b""
    if method == "POST":
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
    try:
        if handler is None:
            raise Refused(404)
        status, headers, content = handler(scope, body)
    except Refused as refused:
        status, headers, content = refused.status, [], b""
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})

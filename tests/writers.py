"""A small world in which everything is written to, and everybody who writes to it."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from sqlalchemy import Connection, Table, insert, select

from models import AuditEvent, Client, Consent, Grant, Member, Team, Token, User, accounts
from models.database.base import UTCDateTime, now
from models.errors import DomainError
from models.oauth.browser_session import BrowserSession
from models.oauth.code import Code
from models.oauth.purge import purge
from models.oauth.secret import digest
from models.oauth.token import ACCESS, REFRESH
from models.users import names, passwords
from roster import pages
from tests import rows
from tests.databases import wipe
from tests.interleaving import SIDE
from tests.scopes import ALL_SCOPES
from tests.serving import API, PASSWORD, SCOPES, CheckedClient, Server, patch, replace
from tests.signing_in import AUTHORIZE, CALLBACK, CHALLENGE, LOGIN, VERIFIER

NEW_PASSWORD = "another pass phrase"
SECRET = "the secret of all clients"
TOKEN = "/auth/oauth2/token"

# Apart from the ids that the database gives out.
USERS = {
    "boss": (1001, {"is_admin": True}),
    "chief": (1002, {"is_admin": True}),
    "clerk": (1003, {"is_internal": True, "is_regular_user": False}),
    "lead": (1004, {}),
    "ada": (1005, {}),
    "reader": (1006, {"is_regular_user": False}),
    "eve": (1007, {}),
}
TEAMS = {  # and who leads it
    "Engines": (1001, {"lead": True, "ada": False, "reader": False}),
    "Poetry": (1002, {"ada": True}),
    "Chess": (1003, {"reader": True, "ada": False}),
}
CLIENTS = {
    "desk": (1001, "chief", "public", ("password",)),
    "app": (1002, "ada", "confidential", ("authorization_code", "refresh_token")),
    "tool": (1003, "boss", "confidential", ("client_credentials", "password", "refresh_token")),
}
# The grants of the tokens with which everybody comes, and those that writers write to.
GRANTS = {
    **{f"of {name}": (id, "desk", name) for name, (id, _) in USERS.items()},
    "app": (1101, "app", "ada"),
    "tool": (1102, "tool", "ada"),
    "ended": (1103, "app", "lead"),
}
KNOWN: Sequence[Any] = (
    User,
    Team,
    Member,
    Client,
    Grant,
    Token,
    Consent,
    Code,
    BrowserSession,
    AuditEvent,
)
# The id of the one row of each other table. It hangs on the first team, the first user.
FIRST = 1001
NARROW = ("teams:read", "users:read")

password_hash = cache(passwords.hash_password)


def make_world(server: Server) -> None:
    """Empty the database, and fill it with what is said above."""
    wipe(server.app.engine)
    server.app.limits.reset()
    server.app.rates.reset()
    with server.app.engine.begin() as connection:
        _make_people(connection)
        _make_clients(connection)
        _make_others(connection)


def _make_others(connection: Connection) -> None:
    """Insert one row of each table that this module does not know, with the id FIRST."""

    def parents(table: Table, columns: Sequence[str]) -> Sequence[Any]:
        first = select(*(table.c[name] for name in columns)).order_by(*table.primary_key).limit(1)
        return connection.execute(first).all()

    for table in others():
        names = [column.name for column in rows.written(table)]
        for row in rows.many(table, 1, FIRST, parents):
            connection.execute(insert(table), dict(zip(names, row, strict=True)))


def others() -> list[Table]:
    """Return the tables that this module does not know, parents first."""
    return rows.unknown_tables({kind.__tablename__ for kind in KNOWN})


def _content(connection: Connection, table: Table) -> list[Any]:
    """Read a table but for ids that were given out, and moments."""
    columns = [
        column
        for column in table.columns
        if column is not table.autoincrement_column and not isinstance(column.type, UTCDateTime)
    ]
    return [tuple(row) for row in connection.execute(select(*columns))]


def _make_people(connection: Connection) -> None:
    users = [
        {
            "id": id,
            "username": name,
            "username_key": names.username_key(name),
            "email": f"{name}@x.example",
            "email_key": names.email_key(f"{name}@x.example"),
            "password_hash": password_hash(PASSWORD),
            "is_admin": False,
            "is_internal": False,
            "is_regular_user": True,
            **flags,
        }
        for name, (id, flags) in USERS.items()
    ]
    connection.execute(insert(User), users)
    connection.execute(insert(Team), [{"id": id, "title": t} for t, (id, _) in TEAMS.items()])
    members = [
        {"team_id": id, "user_id": USERS[name][0], "is_leader": leads}
        for id, members in TEAMS.values()
        for name, leads in members.items()
    ]
    connection.execute(insert(Member), members)


def _make_clients(connection: Connection) -> None:
    moment = now()
    hour, ended = moment + timedelta(hours=1), moment - timedelta(hours=1)
    clients = [
        {
            "id": id,
            "client_id": name,
            "user_id": USERS[owner][0],
            "name": name,
            "client_type": kind,
            "secret_hash": None if kind == "public" else digest(SECRET),
            "scopes": ALL_SCOPES,
            "grant_types": grants,
            "redirect_uris": (CALLBACK,),
        }
        for name, (id, owner, kind, grants) in CLIENTS.items()
    ]
    connection.execute(insert(Client), clients)
    grants = [
        {
            "id": id,
            "client_id": CLIENTS[client][0],
            "user_id": USERS[user][0],
            "scope": SCOPES,
            "expires_at": ended if name == "ended" else hour,
        }
        for name, (id, client, user) in GRANTS.items()
    ]
    connection.execute(insert(Grant), grants)
    tokens = [
        {
            "hash": digest(f"{kind} {name}".replace(" ", "-")),
            "kind": kind,
            "grant_id": grant[0],
            "scope": SCOPES,
            "expires_at": ended if name == "ended" else hour,
        }
        for name, grant in GRANTS.items()
        for kind in (ACCESS, REFRESH)
    ]
    connection.execute(insert(Token), tokens)
    between = {"user_id": USERS["ada"][0], "client_id": CLIENTS["app"][0]}
    consent = {"scope": "teams:read users:read"}
    others = [
        {"user_id": USERS[user][0], "client_id": CLIENTS[client][0], "scope": ""}
        for _, client, user in GRANTS.values()
        if client != "app"
    ]
    connection.execute(insert(Consent), [{**between, **consent}, *others])
    code = {
        "hash": digest("a code"),
        "redirect_uri": CALLBACK,
        "redirect_uri_given": True,
        "code_challenge": CHALLENGE,
        "scope": SCOPES,
        "expires_at": hour,
    }
    connection.execute(insert(Code), [{**between, **code}])
    session = {"hash": digest("session-of-ada"), "user_id": USERS["ada"][0], "expires_at": hour}
    connection.execute(insert(BrowserSession), [session])


def snapshot(server: Server) -> dict[str, Any]:
    """Read all that is in the database but for ids that were given out, moments and secrets."""
    with server.app.engine.connect() as connection:
        tables = {
            table: [row._mapping for row in connection.execute(select(table.__table__))]
            for table in KNOWN
        }
        unknown = {table.name: _content(connection, table) for table in others()}
    users = {row["id"]: row["username"] for row in tables[User]}
    teams = {row["id"]: row["title"] for row in tables[Team]}
    clients = {row["id"]: row["name"] for row in tables[Client]}
    users[None] = "nobody"
    grants = {
        row["id"]: (clients[row["client_id"]], users[row["user_id"]], row["scope"])
        for row in tables[Grant]
    }
    flags = ("is_active", "is_regular_user", "is_admin", "is_internal", "password_version")
    fields = ("username", "email", "first_name", *flags)
    registered = ("client_type", "scopes", "grant_types", "redirect_uris")
    found: dict[str, Iterable[Any]] = {
        "users": [tuple(row[field] for field in fields) for row in tables[User]],
        "teams": teams.values(),
        "members": [
            (teams[row["team_id"]], users[row["user_id"]], row["is_leader"])
            for row in tables[Member]
        ],
        "clients": [
            (
                row["name"],
                users[row["user_id"]],
                row["secret_hash"] == digest(SECRET),
                *(row[field] for field in registered),
            )
            for row in tables[Client]
        ],
        "grants": grants.values(),
        "tokens": [
            (*grants[row["grant_id"]], row["kind"], row["scope"], row["used_at"] is None)
            for row in tables[Token]
        ],
        "consents": [
            (users[row["user_id"]], clients[row["client_id"]], row["scope"])
            for row in tables[Consent]
        ],
        "codes": [
            (
                users[row["user_id"]],
                clients[row["client_id"]],
                row["scope"],
                row["used_at"] is None,
                grants.get(row["grant_id"]),
            )
            for row in tables[Code]
        ],
        "sessions": [users[row["user_id"]] for row in tables[BrowserSession]],
        "audit events": [(row["action"], row["actor_name"]) for row in tables[AuditEvent]],
    }
    found |= unknown
    return {name: sorted(content, key=repr) for name, content in found.items()}


@dataclass(frozen=True)
class Hand:
    """One side of those that write at the same moment."""

    side: str
    server: Server
    client: CheckedClient

    @classmethod
    def of(cls, server: Server, side: str) -> "Hand":
        """Make one with a client of its own, as cookies are a client's."""
        client = CheckedClient(
            server.app, base_url=server.app.settings.origin, follow_redirects=False
        )
        client.portal = server.client.portal
        return cls(side, server, client)

    def send(self, method: str, url: str, headers: Any = (), **options: Any) -> Any:
        """Send a request; return its status and what else tells how it went."""
        self.client.cookies.clear()
        headers = {SIDE: self.side, **dict(headers)}
        answer = self.client.request(method, url, headers=headers, **options)
        if answer.status_code == 200 and answer.headers.get("content-type", "").startswith(
            "text/html"
        ):
            return ("asks",)
        if answer.status_code == 303:
            place = urlsplit(answer.headers["location"])
            return 303, place.path, *parse_qs(place.query).get("error", ())
        if url.startswith("/auth/oauth2/") and answer.is_error and "json" in str(answer.headers):
            return answer.status_code, answer.json()["error"]
        return (answer.status_code,)


@dataclass(frozen=True)
class Write:
    """Something that writes: an operation, and how somebody carries it out."""

    operation: str
    how: str
    act: Callable[[Hand], Any]


def api(who: str, method: str, path: str, *operations: Any, **body: Any) -> Callable[[Hand], Any]:
    """Make a request to the API, with a JSON Patch or a JSON object as its body."""
    options = patch(*operations) if operations else ({"json": body} if body else {})
    sent = {"Authorization": f"Bearer access-of-{who}"} if who else {}
    headers = {**options.pop("headers", {}), **sent}
    return lambda hand: hand.send(method, API + path, headers, **options)


def user_patch(who: str, whom: str, **values: Any) -> Callable[[Hand], Any]:
    """Change a user, with the password of the one who does it."""
    proof = {"op": "test", "path": "/current_password", "value": PASSWORD}
    operations = [replace(f"/{name}", value) for name, value in values.items()]
    return api(who, "PATCH", f"/users/{USERS[whom][0]}", proof, *operations)


def token(client: str, **form: str) -> Callable[[Hand], Any]:
    """Ask for a token."""
    return post(TOKEN, client, **form)


def post(url: str, client: str, **form: str) -> Callable[[Hand], Any]:
    """Send a form as a client."""
    secret = {} if CLIENTS[client][2] == "public" else {"client_secret": SECRET}
    return lambda hand: hand.send("POST", url, data={**form, "client_id": client, **secret})


def form_code(server: Server, session: str, shown: Sequence[str] = ()) -> str:
    """Return the code of a form that a browser with the cookie "value" was given when signed in.

    `shown` is what the page showed, by which the user decides.
    """
    key = server.app.settings.signing_key.encode()
    with server.session() as database:
        found = select(BrowserSession.user_id).where(BrowserSession.hash == digest(session))
        user_id = database.scalar(found) or 0
    texts = ("form value", json.dumps([user_id, shown, "value"]))
    return "".join(hmac.new(key, each.encode(), hashlib.sha256).hexdigest() for each in texts)


def page(method: str, url: str, session: str = "", **form: str) -> Callable[[Hand], Any]:
    """Ask for a page, or send its form, as a browser that is signed in or not."""

    def act(hand: Hand) -> Any:
        # The page is older than what happens meanwhile.
        lifetime = pages.lifetime(hand.server.app.settings.refresh_token_total_seconds)
        shown = ("app", pages.place(CALLBACK), lifetime) if "decision" in form else ()
        csrf = form_code(hand.server, session, shown)
        cookie = f"roster_form=value; roster_session={session}"
        options = {"data": {**form, "csrf": csrf}} if form else {}
        return hand.send(method, url, {"Cookie": cookie}, **options)

    return act


def operator(act: Callable[[Any], Any]) -> Callable[[Hand], Any]:
    """Do something beside the server, in a session that is committed."""

    def beside(hand: Hand) -> Any:
        with hand.server.session() as session:
            try:
                act(session)
            except DomainError as error:
                return type(error).__name__
            session.commit()
        return "done"

    return beside


def set_user(name: str, **values: Any) -> Callable[[Hand], Any]:
    """Do what `roster users set` does."""

    def act(session: Any) -> None:
        user = User.find_by_login(session, name)
        if user is not None:
            accounts.administer(session, user, **values)

    return operator(act)


def create_client(session: Any) -> None:
    """Do what `roster clients create` does."""
    user = User.find_by_login(session, "ada")
    if user is not None:
        Client.create(session, user_id=user.id, name="an operator's")


def purge_all(session: Any) -> None:
    """Do what `roster tokens purge` does."""
    for _ in purge(session, 1):
        session.commit()


REQUEST = urlencode(
    {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": CALLBACK,
        "scope": "users:read teams:read",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
)
NEWCOMER = {
    "username": "newcomer",
    "email": "newcomer@x.example",
    "password": PASSWORD,
    "recaptcha_key": "secret_key",
}
ENGINES = f"/teams/{TEAMS['Engines'][0]}"
CHESS = f"/teams/{TEAMS['Chess'][0]}"
ADA, LEAD, READER, EVE, BOSS, CHIEF = (
    USERS[name][0] for name in ("ada", "lead", "reader", "eve", "boss", "chief")
)
APP, TOOL = "/auth/oauth2_clients/app", "/auth/oauth2_clients/tool"
LEADS, LEADS_NOT = replace("/is_leader", True), replace("/is_leader", False)
REDIRECT = {"redirect_uris": [CALLBACK]}
SERVICE = {"grant_types": ["client_credentials"], "default_scopes": ["users:read"]}

ACTS: dict[str, dict[str, Callable[[Hand], Any]]] = {
    "sign_up": {
        "by a stranger": api("", "POST", "/users", **NEWCOMER),
        "by an admin": api("boss", "POST", "/users", **NEWCOMER),
    },
    "change_user": {
        "one's own password": user_patch("ada", "ada", password=NEW_PASSWORD),
        "one's own address": user_patch("ada", "ada", email=NEWCOMER["email"]),
        "deactivation": user_patch("boss", "ada", is_active=False),
        "deactivation of a leader": user_patch("clerk", "lead", is_active=False),
        "who only reads from now on": user_patch("clerk", "ada", is_regular_user=False),
        "a new admin": user_patch("chief", "ada", is_admin=True),
        "a demoted admin": user_patch("chief", "boss", is_admin=False),
        "an admin who demotes the other": user_patch("boss", "chief", is_admin=False),
        "an admin who stays one": user_patch("boss", "boss", is_admin=True),
    },
    "delete_user": {
        "oneself": api("ada", "DELETE", f"/users/{ADA}"),
        "by an admin": api("boss", "DELETE", f"/users/{ADA}"),
        "a leader by an internal user": api("clerk", "DELETE", f"/users/{LEAD}"),
        "an admin by the other": api("chief", "DELETE", f"/users/{BOSS}"),
        "an admin by itself": api("boss", "DELETE", f"/users/{BOSS}"),
        "a leader who only reads": api("reader", "DELETE", f"/users/{READER}"),
    },
    "create_team": {
        "by a user": api("ada", "POST", "/teams", title="Music"),
        "by an admin": api("boss", "POST", "/teams", title="Music"),
    },
    "change_team": {
        "by a leader": api("lead", "PATCH", ENGINES, replace("/title", "Music")),
        "by an admin": api("boss", "PATCH", ENGINES, replace("/title", "Opera")),
    },
    "delete_team": {
        "by a leader": api("lead", "DELETE", ENGINES),
        "by an admin": api("boss", "DELETE", ENGINES),
    },
    "add_member": {
        "by a leader": api("lead", "POST", f"{ENGINES}/members", user_id=EVE),
        "by an admin": api("boss", "POST", f"{ENGINES}/members", user_id=EVE, is_leader=True),
        "by a leader, again": api("lead", "POST", f"{ENGINES}/members", user_id=ADA),
        "by a leader, itself": api(
            "lead", "POST", f"{ENGINES}/members", user_id=LEAD, is_leader=True
        ),
        "to a reader's team": api("boss", "POST", f"{CHESS}/members", user_id=LEAD),
    },
    "change_member": {
        "a leader more": api("lead", "PATCH", f"{ENGINES}/members/{ADA}", LEADS),
        "the last leader": api("boss", "PATCH", f"{ENGINES}/members/{LEAD}", LEADS_NOT),
        "a leader who stays one": api("lead", "PATCH", f"{ENGINES}/members/{LEAD}", LEADS),
        "a reader's follower": api("clerk", "PATCH", f"{CHESS}/members/{ADA}", LEADS),
    },
    "remove_member": {
        "who leaves": api("ada", "DELETE", f"{ENGINES}/members/{ADA}"),
        "by a leader": api("lead", "DELETE", f"{ENGINES}/members/{ADA}"),
        "the last leader": api("boss", "DELETE", f"{ENGINES}/members/{LEAD}"),
        "a leader who only reads": api("reader", "DELETE", f"{CHESS}/members/{READER}"),
        "the one beside a reader": api("ada", "DELETE", f"{CHESS}/members/{ADA}"),
    },
    "create_client": {
        "by a user": api("ada", "POST", "/auth/oauth2_clients", name="New", **REDIRECT),
        "for a service": api("boss", "POST", "/auth/oauth2_clients", name="New", **SERVICE),
    },
    "change_client": {
        "narrower": api("ada", "PATCH", APP, replace("/default_scopes", list(NARROW))),
        "elsewhere": api("ada", "PATCH", APP, replace("/redirect_uris", [CALLBACK + "2"])),
        "by an admin": api("chief", "PATCH", APP, replace("/name", "Newer")),
        "a service, narrower": api("boss", "PATCH", TOOL, replace("/default_scopes", [NARROW[0]])),
    },
    "delete_client": {
        "by its owner": api("ada", "DELETE", APP),
        "by an admin": api("chief", "DELETE", APP),
        "a service": api("boss", "DELETE", TOOL),
    },
    "create_client_secret": {
        "by its owner": api("ada", "POST", f"{APP}/secret"),
        "by an admin": api("chief", "POST", f"{APP}/secret"),
        "a service's": api("boss", "POST", f"{TOOL}/secret"),
    },
    "withdraw_authorization": {
        "an app": api("ada", "DELETE", "/users/me/authorizations/app"),
        "a tool": api("ada", "DELETE", "/users/me/authorizations/tool"),
        "that through which it is asked": api("ada", "DELETE", "/users/me/authorizations/desk"),
    },
    "issue_token": {
        "password": token("tool", grant_type="password", username="ada", password=PASSWORD),
        "an admin's password": token(
            "tool", grant_type="password", username="boss", password=PASSWORD
        ),
        "refresh": token("app", grant_type="refresh_token", refresh_token="refresh-app"),
        "a tool's refresh": token("tool", grant_type="refresh_token", refresh_token="refresh-tool"),
        "code": token(
            "app",
            grant_type="authorization_code",
            code="a code",
            redirect_uri=CALLBACK,
            code_verifier=VERIFIER,
        ),
        "client credentials": token("tool", grant_type="client_credentials"),
    },
    "revoke_token": {
        "an app's": post("/auth/oauth2/revoke", "app", token="refresh-app"),
        "a tool's": post("/auth/oauth2/revoke", "tool", token="access-tool"),
        "a caller's": post("/auth/oauth2/revoke", "desk", token="access-of-ada"),
        "an admin's": post("/auth/oauth2/revoke", "desk", token="refresh-of-boss"),
    },
    "log_in": {"anew": page("POST", LOGIN, username="ada", password=PASSWORD, authorize="")},
    "log_out": {"at last": page("POST", "/auth/logout", "session-of-ada", authorize="")},
    "show_authorization": {"remembered": page("GET", f"{AUTHORIZE}?{REQUEST}", "session-of-ada")},
    "decide_authorization": {
        "allowed": page(
            "POST",
            AUTHORIZE,
            "session-of-ada",
            authorize=REQUEST,
            decision="allow",
            **{"scope.users:read": "on"},
        )
    },
    "roster users set": {
        "a demoted admin": set_user("boss", is_admin=False),
        "deactivation": set_user("ada", is_active=False),
        "a password": set_user("ada", password=NEW_PASSWORD),
    },
    "roster clients create": {"for a user": operator(create_client)},
    "roster tokens purge": {"all": operator(purge_all)},
}
WRITES = [
    Write(operation, how, act) for operation, acts in ACTS.items() for how, act in acts.items()
]

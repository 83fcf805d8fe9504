"""The server beside the model of its rules: carries actions out, and reads what is so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from sqlalchemy import delete, insert, select

from models import Client, Consent, Grant, Member, Team, Token, User, accounts
from models.database.base import now
from models.development import CLIENT_ID
from models.errors import Conflict, NotFound
from models.oauth.browser_session import BrowserSession
from models.oauth.code import Code
from models.oauth.secret import digest
from models.oauth.token import ACCESS, REFRESH
from models.users import names, passwords
from roster import pages
from tests import model_of_rules as rules
from tests.interleaving import SIDE
from tests.model_of_rules import ALL, APP, DESK, SERVICE, Action, Model
from tests.serving import API, PASSWORD, SCOPES, Server, empty, patch, replace
from tests.signing_in import AUTHORIZE, CALLBACK, CHALLENGE, LOGIN, VERIFIER
from tests.writers import TOKEN, Hand, form_code

PEOPLE: dict[str, dict[str, Any]] = {
    "ada": {"is_admin": True},
    "bob": {"is_admin": True, "is_regular_user": False},
    "cyd": {"is_internal": True, "is_regular_user": False},
    "dan": {},
    "eve": {},
    "fay": {"is_regular_user": False},
}
NOTHING = 10**6  # an id that no row has

password_hash = cache(passwords.hash_password)


@dataclass
class World:
    """A server, and by the names that the model uses: ids, tokens, secrets, codes, cookies."""

    server: Server
    users: dict[str, int] = field(default_factory=dict)
    teams: dict[str, int] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    tokens: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    desks: dict[str, str] = field(default_factory=dict)

    def begin(self) -> Model:
        """Empty the database, and fill it with what the model begins with."""
        settings = self.server.app.settings
        empty(self.server.app.engine, settings.origin, settings.port)
        self.server.app.limits.reset()
        self.server.app.rates.reset()
        with self.server.app.engine.begin() as connection:
            # Its owner stays, who is inactive.
            connection.execute(delete(User).where(User.username != CLIENT_ID))
            for name, flags in PEOPLE.items():
                self.users[name] = self._make_user(connection, name, flags)
            row = select(Client.id).where(Client.client_id == CLIENT_ID)
            desk = connection.execute(row).scalar_one()
            for name, user_id in {**self.users, SERVICE: None}.items():
                self._make_family(connection, name, user_id, desk)
        self.clients[DESK] = CLIENT_ID
        families = {
            f"{name}'s": rules.Family(DESK, None if name == SERVICE else name, ALL)
            for name in (*PEOPLE, SERVICE)
        }
        return Model(
            users={name: rules.User(email(name), **flags) for name, flags in PEOPLE.items()},
            clients={DESK: rules.Client(rules.TOOL, CLIENT_ID, DESK, DESK)},
            families=families,
        )

    def _make_user(self, connection: Any, name: str, flags: dict[str, Any]) -> int:
        values = {"is_admin": False, "is_internal": False, "is_regular_user": True, **flags}
        row = insert(User).values(
            username=name,
            username_key=names.username_key(name),
            email=email(name),
            email_key=names.email_key(email(name)),
            password_hash=password_hash(PASSWORD),
            **values,
        )
        return int(connection.execute(row.returning(User.id)).scalar_one())

    def _make_family(self, connection: Any, name: str, user_id: int | None, desk: int) -> None:
        between = {"user_id": user_id, "client_id": desk}
        ends = {"scope": SCOPES, "expires_at": now() + timedelta(hours=1)}
        made = insert(Grant).values(**between, **ends).returning(Grant.id)
        grant = connection.execute(made).scalar_one()
        pair = f"access-of-{name}".replace(" ", "-"), f"refresh-of-{name}"
        for kind, value in zip((ACCESS, REFRESH), pair, strict=True):
            row = {"hash": digest(value), "kind": kind, "grant_id": grant, **ends}
            connection.execute(insert(Token).values(row))
        if user_id is not None:
            connection.execute(insert(Consent).values(**between, scope=""))
        self.tokens[f"{name}'s", 0] = pair
        self.desks[name] = f"{name}'s"

    # Carrying out

    def prepare(self, action: Action) -> Callable[[Hand], Any]:
        """Make what carries an action out, with the ids and tokens of now."""
        make: Callable[[Action], Callable[[Hand], Any]] = getattr(self, f"_{action.kind}")
        return make(action)

    def learn(self, action: Action, answer: Any) -> Any:
        """Take note of what an action has made; return what the model would have answered."""
        if isinstance(answer, int):
            return answer
        body = answer.json() if answer.is_success and answer.content else {}
        if answer.status_code == 201:
            self._learn_object(action, body)
        if "access_token" in body:
            version = (action.on, action.version + 1)
            place = version if action.kind == "refresh" else (action.new, 0)
            self.tokens[place] = body["access_token"], body.get("refresh_token", "")
            if action.kind == "password" and action.on == DESK:
                self.desks[action.whom] = action.new
        if answer.status_code != 303:
            return answer.status_code
        place = urlsplit(answer.headers["location"])
        found = parse_qs(place.query)
        if "code" in found:
            self.codes[action.new] = found["code"][0]
        if action.kind == "log_in":
            self.sessions[action.new] = answer.cookies["roster_session"]
        if place.path == LOGIN:
            return rules.TO_LOGIN
        return rules.CODE_SENT if "code" in found else rules.ERROR_SENT

    def _learn_object(self, action: Action, body: Any) -> None:
        if action.kind == "sign_up":
            self.users[action.on] = body["id"]
        if action.kind == "create_team":
            self.teams[action.new] = body["id"]
        if action.kind == "create_client":
            self.clients[action.new] = body["client_id"]
        if "client_secret" in body:
            self.secrets[action.new] = body["client_secret"]

    def _api(self, action: Action, method: str, path: str, body: Any = None) -> Any:
        version = max((v for family, v in self.tokens if family == action.desk), default=0)
        token = self.tokens.get((action.desk, version), ("dead", ""))[0]
        headers = {"Authorization": f"Bearer {token}"} if action.by else {}
        options = patch(*body) if isinstance(body, list) else {"json": body} if body else {}
        headers |= options.pop("headers", {})
        return partial(_send, method, API + path, headers=headers, **options)

    def _sign_up(self, action: Action) -> Any:
        names = {"username": action.on, "email": action.value}
        form = {**names, "password": PASSWORD, "recaptcha_key": "secret_key"}
        return self._api(action, "POST", "/users", form)

    def _change_user(self, action: Action) -> Any:
        proof = {"op": "test", "path": "/current_password", "value": PASSWORD}
        value = PASSWORD if action.what == "password" else action.value
        path = f"/users/{self.users[action.on]}"
        return self._api(action, "PATCH", path, [proof, replace(f"/{action.what}", value)])

    def _delete_user(self, action: Action) -> Any:
        return self._api(action, "DELETE", f"/users/{self.users[action.on]}")

    def _administer(self, action: Action) -> Any:
        value = PASSWORD if action.what == "password" else action.value
        return partial(_administer, self.server, action.on, {action.what: value})

    def _team(self, action: Action) -> str:
        return f"/teams/{self.teams.get(action.on, NOTHING)}"

    def _create_team(self, action: Action) -> Any:
        return self._api(action, "POST", "/teams", {"title": action.value})

    def _change_team(self, action: Action) -> Any:
        changes = [replace("/title", action.value)]
        return self._api(action, "PATCH", self._team(action), changes)

    def _delete_team(self, action: Action) -> Any:
        return self._api(action, "DELETE", self._team(action))

    def _add_member(self, action: Action) -> Any:
        body = {"user_id": self.users[action.whom], "is_leader": action.value}
        return self._api(action, "POST", f"{self._team(action)}/members", body)

    def _member(self, action: Action) -> str:
        return f"{self._team(action)}/members/{self.users[action.whom]}"

    def _change_member(self, action: Action) -> Any:
        changes = [replace("/is_leader", action.value)]
        return self._api(action, "PATCH", self._member(action), changes)

    def _remove_member(self, action: Action) -> Any:
        return self._api(action, "DELETE", self._member(action))

    def _client(self, action: Action) -> str:
        return f"/auth/oauth2_clients/{self.clients.get(action.on, 'none')}"

    def _create_client(self, action: Action) -> Any:
        tool = {"grant_types": ["password", "client_credentials", "refresh_token"]}
        more = {"redirect_uris": [_uri(1)]} if action.what == APP else tool
        body = {"name": action.new, **more}
        return self._api(action, "POST", "/auth/oauth2_clients", body)

    def _change_client(self, action: Action) -> Any:
        if action.what == "scopes":
            change = replace("/default_scopes", sorted(action.value))
        elif action.what == "uri":
            change = replace("/redirect_uris", [_uri(action.value)])
        else:
            change = replace("/name", action.value)
        return self._api(action, "PATCH", self._client(action), [change])

    def _delete_client(self, action: Action) -> Any:
        return self._api(action, "DELETE", self._client(action))

    def _create_client_secret(self, action: Action) -> Any:
        return self._api(action, "POST", f"{self._client(action)}/secret")

    def _withdraw(self, action: Action) -> Any:
        path = f"/users/me/authorizations/{self.clients.get(action.on, 'none')}"
        return self._api(action, "DELETE", path)

    def _form(self, client: str, action: Action, url: str = TOKEN, **form: str) -> Any:
        secret = {} if client == DESK else {"client_secret": self.secrets.get(action.secret, "no")}
        data = {**form, **secret, "client_id": self.clients.get(client, "none")}
        return partial(_send, "POST", url, data=data)

    def _password(self, action: Action) -> Any:
        names = {"username": action.whom, "password": PASSWORD}
        return self._form(action.on, action, grant_type="password", **names)

    def _credentials(self, action: Action) -> Any:
        return self._form(action.on, action, grant_type="client_credentials")

    def _refresh(self, action: Action) -> Any:
        token = self.tokens[action.on, action.version][1]
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return self._form(action.what, action, **form)

    def _revoke(self, action: Action) -> Any:
        access, refresh = self.tokens[action.on, action.version]
        token = access if action.value == "access" else refresh
        return self._form(action.what, action, "/auth/oauth2/revoke", token=token)

    def _exchange(self, action: Action) -> Any:
        code = {"code": self.codes.get(action.on, "none"), "code_verifier": VERIFIER}
        code |= {"grant_type": "authorization_code", "redirect_uri": _uri(1)}
        return self._form(action.what, action, **code)

    def _log_in(self, action: Action) -> Any:
        form = {"username": action.on, "password": PASSWORD}
        return partial(_submit, self.server, LOGIN, "", form)

    def _allow(self, action: Action) -> Any:
        request = {
            "response_type": "code",
            "client_id": self.clients.get(action.what, "none"),
            "redirect_uri": _uri(1),
            "scope": " ".join(sorted(action.value)),
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        form = {f"scope.{scope}": "on" for scope in action.value}
        form |= {"authorize": urlencode(request), "decision": "allow"}
        cookie = self.sessions.get(action.on, "none")
        return partial(_submit, self.server, AUTHORIZE, cookie, form)

    # Reading

    @property
    def visible(self) -> dict[str, Any]:
        """What is so, in the words of the model."""
        with self.server.app.engine.connect() as connection:
            tables = {
                table: [row._mapping for row in connection.execute(select(table.__table__))]
                for table in (User, Team, Member, Client, Grant, Consent, Code, BrowserSession)
            }
        by_id = {id: name for name, id in self.teams.items()}
        by_client = {id: name for name, id in self.clients.items()}
        users = {row["id"]: row["username"] for row in tables[User]}
        clients = {row["id"]: by_client[row["client_id"]] for row in tables[Client]}
        flags = ("is_active", "is_regular_user", "is_admin", "is_internal")

        def between(row: Any) -> tuple[Any, Any]:
            return clients[row["client_id"]], users.get(row["user_id"])

        def scopes(row: Any) -> frozenset[str]:
            return frozenset(row["scope"].split())

        return {
            "users": {
                row["username"]: tuple(row[each] for each in ("email", "first_name", *flags))
                for row in tables[User]
                if row["username"] != CLIENT_ID
            },
            "teams": {
                by_id[team["id"]]: (
                    team["title"],
                    {
                        users[row["user_id"]]: row["is_leader"]
                        for row in tables[Member]
                        if row["team_id"] == team["id"]
                    },
                )
                for team in tables[Team]
            },
            "clients": {
                by_client[row["client_id"]]: (
                    users[row["user_id"]],
                    row["name"],
                    frozenset(row["scopes"]),
                    2 if row["redirect_uris"] == (_uri(2),) else 1,
                )
                for row in tables[Client]
                if row["client_id"] != CLIENT_ID
            },
            "grants": Counter((*between(row), scopes(row)) for row in tables[Grant]),
            "codes": Counter(
                (*between(row), scopes(row), row["used_at"] is not None) for row in tables[Code]
            ),
            "sessions": Counter(users[row["user_id"]] for row in tables[BrowserSession]),
            "remembered": {
                between(row)[::-1]: scopes(row) for row in tables[Consent] if row["scope"]
            },
        }


def email(name: str) -> str:
    return f"{name}@x.example"


def _uri(number: int) -> str:
    return CALLBACK + str(number)


def _send(method: str, url: str, hand: Hand, **options: Any) -> Any:
    hand.client.cookies.clear()
    options["headers"] = {**options.get("headers", {}), SIDE: hand.side}
    return hand.client.request(method, url, **options)


def _submit(server: Server, url: str, session: str, form: dict[str, str], hand: Hand) -> Any:
    cookie = {"Cookie": f"roster_form=value; roster_session={session}"}
    while True:
        csrf = form_code(server, session, _shown(server, form))
        answer = _send("POST", url, hand, headers=cookie, data={**form, "csrf": csrf})
        # Who is asked again, as the client has changed meanwhile, allows that.
        if f"{AUTHORIZE}?" not in answer.headers.get("location", ""):
            return answer


def _shown(server: Server, form: dict[str, str]) -> tuple[str, ...]:
    """Return what the consent page shows of a client by now, for the form that it has."""
    request = dict(parse_qsl(form.get("authorize", "")))
    with server.session() as session:
        client = Client.find(session, request.get("client_id", ""))
        if client is None:
            return ()
        settings, seconds = server.app.settings, server.app.settings.access_token_seconds
        if "refresh_token" in client.grant_types:
            seconds = settings.refresh_token_total_seconds
        return client.name, pages.place(request["redirect_uri"]), pages.lifetime(seconds)


def _administer(server: Server, name: str, values: dict[str, Any], _hand: Hand) -> int:
    with server.session() as session:
        user = User.find_by_login(session, name)
        if user is None:
            return 404
        try:
            accounts.administer(session, user, **values)
        except Conflict:
            return 409
        except NotFound:  # deleted since it was found
            return 404
        session.commit()
    return 200

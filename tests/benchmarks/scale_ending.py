"""How long it takes to end the grants of a client that very many let in, and who waits for it."""

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import click
import httpx2
from sqlalchemy import Engine, event, insert
from starlette.testclient import TestClient

from models import Client, Consent, Grant, Token, User, development
from models.database import connections, migrate
from models.database.base import now
from models.oauth.token import ACCESS, REFRESH
from models.users import passwords
from roster import settings
from roster.application import create_app
from tests.benchmarks.scale import DATABASES
from tests.live import serving
from tests.scopes import ALL_SCOPES

PASSWORD = "correct horse battery staple"
GRANTS_PER_USER = 10
_FIRST = 1000
_CHUNK = 10_000
_SCOPE = " ".join(ALL_SCOPES)
NARROWED = [{"op": "replace", "path": "/default_scopes", "value": ["users:read"]}]
CLIENTS = "/api/v1/auth/oauth2_clients"


@dataclass
class Told:
    """What is measured of one request."""

    seconds: float = 0
    quiet: list[float] = field(default_factory=list)
    meanwhile: list[float] = field(default_factory=list)
    statements: int = 0
    longest_transaction_ms: float = 0

    def sentence(self, fewer: int) -> str:
        """Return the figures in words; the last two are of a client with `fewer` grants."""
        return (
            f"{self.seconds:.1f} s; a writer beside it waited {_figures(self.meanwhile)}, before it"
            f" {_figures(self.quiet)}; with {fewer}: {self.statements} statements, longest"
            f" transaction {self.longest_transaction_ms:.1f} ms"
        )


def _figures(waits: list[float]) -> str:
    ordered = sorted(waits)
    return (
        f"{ordered[len(ordered) // 2]:.0f} ms (median), {ordered[len(ordered) * 99 // 100]:.0f} ms"
        f" (p99), {ordered[-1]:.0f} ms (longest), {sum(wait > 100 for wait in ordered)} of"
        f" {len(ordered)} over 100 ms"
    )


@dataclass
class Case:
    """A request that ends all grants of a client: its method, path and body."""

    name: str
    number: int
    method: str
    path: str
    body: Any = None


def cases(first: int) -> list[Case]:
    """Return the requests; the clients and their owners are numbered from `first` on."""
    at = [f"{CLIENTS}/popular-{first + place}" for place in range(2)]
    return [
        Case("narrow a client", first, "PATCH", at[0], NARROWED),
        Case("delete a client", first + 1, "DELETE", at[1]),
        Case("delete its owner", first + 2, "DELETE", f"/api/v1/users/{_FIRST + first + 2}"),
    ]


def fill(engine: Engine, sizes: Sequence[int]) -> None:
    """Add a client for each size, with an owner, and with so many grants of two tokens each."""
    made = now()
    users = max(max(sizes) // GRANTS_PER_USER, len(sizes))
    password_hash = passwords.hash_password(PASSWORD)
    _insert(
        engine,
        User,
        (
            {
                "id": _FIRST + number,
                **dict.fromkeys(("username", "username_key"), f"user-{number}"),
                **dict.fromkeys(("email", "email_key"), f"user-{number}@x.example"),
                "password_hash": password_hash,
            }
            for number in range(users)
        ),
    )
    shared = {"client_type": "public", "scopes": tuple(_SCOPE.split()), "redirect_uris": ()}
    grant_types = ("authorization_code", "refresh_token")
    _insert(
        engine,
        Client,
        (
            {
                "id": _FIRST + number,
                "client_id": f"popular-{number}",
                "user_id": _FIRST + number,
                **shared,
                "name": "Popular",
                "grant_types": grant_types,
            }
            for number in range(len(sizes))
        ),
    )
    first = _FIRST
    for number, size in enumerate(sizes):
        client_id, ids = _FIRST + number, range(first, first + size)
        few = range(min(users, size))
        pairs = ({"client_id": client_id, "user_id": _FIRST + n, "scope": _SCOPE} for n in few)
        _insert(engine, Consent, pairs)
        ends = {"expires_at": made + timedelta(days=1), "scope": _SCOPE}
        _insert(
            engine,
            Grant,
            (
                {"id": id, "client_id": client_id, "user_id": _FIRST + id % users, **ends}
                for id in ids
            ),
        )
        _insert(
            engine,
            Token,
            (
                {"hash": sha256(f"{kind} {id}".encode()).digest(), "kind": kind, "grant_id": id}
                | ends
                for id in ids
                for kind in (ACCESS, REFRESH)
            ),
        )
        first += size
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")


def _insert(engine: Engine, table: type[Any], rows: Iterator[dict[str, Any]]) -> None:
    while chunk := list(islice(rows, _CHUNK)):
        with engine.begin() as connection:
            connection.execute(insert(table), chunk)


@contextmanager
def a_writer(server: Any, waits: list[float]) -> Iterator[None]:
    """Have somebody create one team after the other meanwhile, and note how long they wait."""
    headers, is_over, failures = server.bearer("root", "q"), threading.Event(), []

    def write() -> None:
        while not is_over.wait(0.005):
            began = time.perf_counter()
            made = server.client.post("/api/v1/teams", json={"title": "Poetry"}, headers=headers)
            waits.append((time.perf_counter() - began) * 1000)
            if made.status_code != 201:
                failures.append(made.text)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    if failures:
        raise RuntimeError(failures[0])


@dataclass
class _Watch:
    """Count the statements of an engine and time its transactions."""

    told: Told
    began: dict[int, float] = field(default_factory=dict)

    def before(self, connection: Any, *_: Any) -> None:
        self.told.statements += 1

    def after(self, connection: Any, *_: Any) -> None:
        driver = connection.connection.driver_connection
        if driver.in_transaction:
            self.began.setdefault(id(driver), time.perf_counter())

    def commit(self, connection: Any) -> None:
        began = self.began.pop(id(connection.connection.driver_connection), None)
        if began is not None:
            taken = (time.perf_counter() - began) * 1000
            self.told.longest_transaction_ms = max(self.told.longest_transaction_ms, taken)


@contextmanager
def watching(engine: Engine, told: Told) -> Iterator[None]:
    """Watch an engine meanwhile."""
    watch = _Watch(told)
    listeners = {
        "before_cursor_execute": watch.before,
        "after_cursor_execute": watch.after,
        "commit": watch.commit,
    }
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    yield
    for name, listener in listeners.items():
        event.remove(engine, name, listener)


def measure(url: str, folder: Path, grants: int, quiet_seconds: float) -> dict[str, Told]:
    """Measure all cases on a database, which is made."""
    engine = connections.connect(url)
    migrate.upgrade(engine)
    with connections.session_factory(engine)() as session:
        development.load(session, "http://127.0.0.1:5000", 5000, ALL_SCOPES)
        session.commit()
    fill(engine, [grants] * 3 + [max(grants // 10, 1)] * 3)
    engine.dispose()
    found = {}
    # The one who writes meanwhile makes very many teams.
    chosen = {
        "ROSTER_QUOTA_TEAMS": "1000000",
        "ROSTER_RATE_PER_ADDRESS": "0",
        "ROSTER_RATE_PER_TOKEN": "0",
    }
    with serving(folder, DATABASE_URL=url, **chosen) as server:
        for case in cases(0):
            found[case.name] = told = Told()
            headers = server.bearer(f"user-{case.number}", PASSWORD)
            patient = httpx2.Client(base_url=server.url, timeout=3600, trust_env=False)
            with a_writer(server, told.quiet):
                time.sleep(quiet_seconds)
            with patient, a_writer(server, told.meanwhile):
                told.seconds = timed(patient, case, headers)
    app = create_app(settings.load(database_url=url))
    with TestClient(app, base_url=app.settings.origin) as client:
        for case in cases(3):
            form = {"grant_type": "password", "client_id": "documentation", "password": PASSWORD}
            form["username"] = f"user-{case.number}"
            token = client.post("/auth/oauth2/token", data=form).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            with watching(app.engine, found[case.name]):
                timed(client, case, headers)
    app.engine.dispose()
    return found


def timed(client: Any, case: Case, headers: dict[str, str]) -> float:
    """Make a request; return how many seconds it took."""
    began = time.perf_counter()
    options = {} if case.body is None else {"json": case.body}
    answer = client.request(case.method, case.path, headers=headers, **options)
    if answer.status_code not in {200, 204}:
        raise RuntimeError(f"{case.name}: {answer.status_code} {answer.text}")
    return time.perf_counter() - began


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--grants", default=300_000, help="How many grants the client has.")
@click.option("--quiet", default=10.0, help="Seconds of requests before each.")
@click.option("--database", "chosen", multiple=True, type=click.Choice(list(DATABASES)))
def main(grants: int, quiet: float, chosen: tuple[str, ...]) -> None:
    """Measure what it takes to narrow and to delete a client that very many let in."""
    for name in chosen or DATABASES:
        with (
            tempfile.TemporaryDirectory(prefix="roster-ending-", ignore_cleanup_errors=True) as at,
            DATABASES[name](Path(at)) as make,
        ):
            found = measure(make("ending"), Path(at), grants, quiet)
        for case, told in found.items():
            click.echo(f"{name}: {case}, {grants} grants: {told.sentence(grants // 10)}")


if __name__ == "__main__":
    main()

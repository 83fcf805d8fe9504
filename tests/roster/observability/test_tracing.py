"""Traces, as a collector gets them: of requests, statements, hashes and calls, and nothing sent."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from models.database import migrate
from models.database.sqlite import SQLiteConnection
from models.users import passwords
from roster import settings
from roster.application import create_app
from roster.settings import SettingsError
from tests.live import PATIENCE_SECONDS
from tests.serving import PASSWORD, CheckedClient, empty

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Collector:
    """A collector; `spans` are those that it got. It answers while `is_awake` is set."""

    url: str
    spans: list[Any] = field(default_factory=list)
    is_awake: threading.Event = field(default_factory=threading.Event)

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.is_awake.wait(PATIENCE_SECONDS)
            sent = ExportTraceServiceRequest()
            sent.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in sent.resource_spans:
                for scope in resource.scope_spans:
                    found.spans += scope.spans
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Collector(f"http://127.0.0.1:{server.server_port}/v1/traces")
    found.is_awake.set()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join(PATIENCE_SECONDS)


Serving = Callable[..., Any]


def wait_for_the_last_spans() -> None:
    """Wait for the thread that sends them, which may outlive its server."""
    for thread in threading.enumerate():
        if thread.name == "roster-tracing":
            thread.join(PATIENCE_SECONDS)


@pytest.fixture
def traced(migrated_url: str, collector: Collector) -> Iterator[Serving]:
    """Return a context manager with a client of a server that traces; its end sends all spans."""

    @contextmanager
    def serving(**chosen: Any) -> Iterator[CheckedClient]:
        chosen = {"traces_url": collector.url, **chosen}
        app = create_app(settings.load(database_url=migrated_url, **chosen))
        migrate.upgrade(app.engine)
        empty(app.engine, app.settings.origin, app.settings.port)
        with CheckedClient(app, base_url=app.settings.origin) as client:
            yield client
        if collector.is_awake.is_set():
            wait_for_the_last_spans()

    yield serving
    # What it would log must not be met by other tests.
    collector.is_awake.set()
    wait_for_the_last_spans()


def log_in(client: CheckedClient, password: str = "q") -> Any:
    form = {"grant_type": "password", "client_id": "documentation", "username": "root"}
    return client.post("/auth/oauth2/token", data=form | {"password": password})


def told(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_request_is_a_span_with_its_statements_and_its_hash(
    traced: Serving, collector: Collector
) -> None:
    with traced() as client:
        token = log_in(client).json()["access_token"]
        client.get("/api/v1/users/1?x=canary", headers={"Authorization": f"Bearer {token}"})
        client.get("/api/v1/users/1", headers={"Authorization": f"Bearer {token}"})

    [login] = collector.named("POST /auth/oauth2/token")
    refused, read = collector.named("GET /api/v1/users/{user_id}")
    inner = [span for span in collector.spans if span.parent_span_id == read.span_id]
    assert told(login)["roster.operation"] == "issue_token"
    assert (told(refused)["http.response.status_code"], told(read)["http.route"]) == (
        400,
        "/api/v1/users/{user_id}",
    )
    assert {span.name.split()[0] for span in inner} == {"SELECT"}
    assert {span.trace_id for span in inner} == {read.trace_id}
    [hashed] = collector.named("password hash")
    assert hashed.trace_id == login.trace_id
    statements = {span.name for span in collector.spans if span.trace_id == login.trace_id}
    assert {"BEGIN", "COMMIT"} <= statements
    # On PostgreSQL one statement inserts the grant and its tokens.
    assert statements & {"INSERT tokens", "WITH grants"}


def test_nothing_that_was_sent_is_in_a_span(traced: Serving, collector: Collector) -> None:
    with traced() as client:
        token = log_in(client).json()["access_token"]
        log_in(client, "a canary password")
        sign_up = {"email": "canary@example.com", "password": PASSWORD, "username": "canary"}
        for _ in range(2):  # the second one is a conflict, which the database tells with its values
            client.post("/api/v1/users", json=sign_up | {"recaptcha_key": "secret_key"})
        header = {"Authorization": f"Bearer {token}"}
        client.get("/api/v1/users/me?canary=canary", headers=header)
        client.get("/canary", headers=header)

    assert collector.spans
    everything = "".join(map(str, collector.spans))
    for sent in ("canary", token, PASSWORD, "secret_key"):
        assert sent not in everything


def test_a_request_belongs_to_the_trace_of_its_sender(
    traced: Serving, collector: Collector
) -> None:
    with traced(traces_share=0) as client:
        client.get("/healthz", headers={"traceparent": PARENT})
        client.get("/healthz", headers={"traceparent": PARENT[:-1] + "0"})
        client.get("/healthz", headers={"traceparent": "canary"})
        client.get("/healthz")

    [span] = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == tuple(PARENT.split("-")[1:3])


def test_a_call_of_a_service_carries_the_trace(traced: Serving, collector: Collector) -> None:
    got: list[Any] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["traceparent"], self.headers["baggage"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"success": false}')

        def log_message(self, *_: Any) -> None:
            return

    service = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    asked = {
        "captcha_verify_url": f"http://127.0.0.1:{service.server_port}/",
        "captcha_secret": "s",
        "captcha_site_key": "k",
    }
    sign_up = {"email": "a@example.com", "password": PASSWORD, "username": "ada"}
    body, baggage = sign_up | {"recaptcha_key": "x"}, {"baggage": "user=canary"}
    with traced(**asked) as client:
        assert client.post("/api/v1/users", json=body, headers=baggage).status_code == 403
    service.shutdown()
    service.server_close()

    [request] = collector.named("POST /api/v1/users")
    [call] = collector.named("POST")
    [(parent, passed_on)] = got
    assert passed_on is None
    assert parent.startswith(f"00-{request.trace_id.hex()}-{call.span_id.hex()}-")
    assert int(parent[-2:], 16) & 1, "it is not sampled"
    assert call.parent_span_id == request.span_id


@pytest.mark.one_database
def test_a_collector_that_hangs_holds_up_nothing(traced: Serving, collector: Collector) -> None:
    collector.is_awake.clear()
    began = time.monotonic()

    with traced() as client:
        statuses = {client.get("/healthz").status_code for _ in range(1000)}

    assert statuses == {200}
    assert time.monotonic() - began < PATIENCE_SECONDS


@pytest.mark.one_database
def test_without_the_setting_nothing_is_wrapped(traced: Serving) -> None:
    before = SQLiteConnection.fetch, passwords._compute
    with traced(traces_url="") as client:
        assert (SQLiteConnection.fetch, passwords._compute) == before
        assert client.get("/healthz").status_code == 200
    with traced():
        assert SQLiteConnection.fetch != before[0]
    assert (SQLiteConnection.fetch, passwords._compute) == before


def test_without_its_packages_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "roster.observability.tracing", None)

    with pytest.raises(SettingsError, match=r"^ROSTER_TRACES_URL needs .*roster\[tracing\]$"):
        create_app(settings.load(traces_url="http://127.0.0.1:4318/v1/traces"))

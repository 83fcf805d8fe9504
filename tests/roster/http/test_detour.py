"""Only what hashes a password enters the threads for that, and what need not wait, no thread."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from models import development
from models.users import passwords
from roster import settings
from roster.contract import loader
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError
from roster.contract.operation import Operation
from roster.http.context import RequestContext
from roster.server import dispatch
from roster.stack.hashing import hash_elsewhere
from tests.roster.raw import FORM, ask
from tests.serving import PASSWORD, PROOF, Serve, Server, basic, patch, replace
from tests.signing_in import Browser, register

pytestmark = pytest.mark.one_database

TOKEN = "/auth/oauth2/token"
PASSWORD_FORM = {
    "grant_type": "password",
    "client_id": "documentation",
    "username": "user",
    "password": "w",
}
ENCODED = b"%67rant%5ftype=%70ass%77ord&client_id=documentation&username=user&password=w"
MULTIPART = [(b"content-type", b"multipart/form-data; boundary=b")]


def multipart(form: dict[str, str]) -> bytes:
    parts = (
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form.items()
    )
    return ("".join(parts) + "--b--\r\n").encode()


@dataclass
class Watched:
    """In which threads requests ran, and in which passwords were hashed."""

    ran: list[str]
    hashed: list[str]

    @property
    def has_entered(self) -> bool:
        """Whether a request entered the threads that hash."""
        return any(name.startswith("roster-hashing") for name in self.ran)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = Watched([], [])
    answer, compute = dispatch._answer, passwords._compute

    def watch_run(*arguments: Any) -> Any:
        found.ran.append(threading.current_thread().name)
        return answer(*arguments)

    def watch_hash(*arguments: Any) -> Any:
        found.hashed.append(threading.current_thread().name)
        return compute(*arguments)

    monkeypatch.setattr(dispatch, "_answer", watch_run)
    monkeypatch.setattr(passwords, "_compute", watch_hash)
    return found


BY_URL = b"grant_type=password&client_id=documentation&username=user&password=w"
HASHING_TOKEN_REQUESTS: dict[str, tuple[str, bytes, Any, bytes]] = {
    "a form": ("POST", b"", [FORM], BY_URL),
    "percent-encoded": ("POST", b"", [FORM], ENCODED),
    "multipart": ("POST", b"", MULTIPART, multipart(PASSWORD_FORM)),
    "upper case": (
        "POST",
        b"",
        [(b"content-type", b"Multipart/FORM-data; boundary=b")],
        multipart(PASSWORD_FORM),
    ),
    "in the URL": ("POST", BY_URL, [], b""),
    "encoded in the URL": ("POST", ENCODED, [], b""),
    "the grant in the URL": ("POST", b"grant_type=password", [FORM], BY_URL.partition(b"&")[2]),
    "GET": ("GET", BY_URL, [], b""),
    "by Basic": (
        "POST",
        b"",
        [FORM, (b"authorization", basic("documentation", "")["Authorization"].encode())],
        b"grant_type=password&username=user&password=w",
    ),
    "among unknown parameters": ("POST", b"", [FORM], b"a=1&" + BY_URL + b"&grant_typ=refresh"),
}


@pytest.mark.parametrize("request_of", HASHING_TOKEN_REQUESTS.values(), ids=HASHING_TOKEN_REQUESTS)
def test_a_password_is_hashed_in_the_threads_for_that_however_it_is_sent(
    server: Server, watched: Watched, request_of: Any
) -> None:
    method, query, headers, body = request_of

    answer = ask(server.app, method, TOKEN, query=query, headers=headers, body=body)

    assert answer.status_code == 200, answer.text
    assert len(watched.hashed) == 1
    assert watched.hashed[0].startswith("roster-hashing")
    assert watched.ran[0].startswith("roster_")


NOT_HASHING_TOKEN_REQUESTS: dict[str, tuple[int, Any, bytes]] = {
    "no grant": (400, [FORM], b"client_id=documentation&username=user&password=w"),
    "an unknown grant": (400, [FORM], b"grant_type=Password&client_id=documentation"),
    "a blank after the grant": (400, [FORM], b"grant_type=password+&client_id=documentation"),
    "a grant twice": (400, [FORM], b"grant_type=password&grant_type=password"),
    "no clean text": (400, [FORM], b"grant_type=password&username=%ff"),
    "a long grant": (400, [FORM], b"client_id=documentation&grant_type=" + b"password" * 400),
    "JSON": (415, [(b"content-type", b"application/json")], b'{"grant_type": "password"}'),
    "a form that is called JSON": (415, [(b"content-type", b"application/json")], BY_URL),
    "a refresh token": (400, [FORM], b"grant_type=refresh_token&client_id=documentation"),
    "a refresh token and a password": (
        400,
        [FORM],
        b"grant_type=refresh_token&client_id=documentation&refresh_token=x&username=user&password=w",
    ),
    "a code": (
        400,
        [FORM],
        b"grant_type=authorization_code&client_id=documentation&code=x&code_verifier=" + b"v" * 43,
    ),
    "a service": (
        200,
        [
            FORM,
            (
                b"authorization",
                basic("documentation", development.CLIENT_SECRET)["Authorization"].encode(),
            ),
        ],
        b"grant_type=client_credentials",
    ),
}


@pytest.mark.parametrize(
    "request_of", NOT_HASHING_TOKEN_REQUESTS.values(), ids=NOT_HASHING_TOKEN_REQUESTS
)
def test_a_token_request_without_a_password_grant_stays_out_of_them(
    server: Server, watched: Watched, request_of: Any
) -> None:
    status, headers, body = request_of

    answer = ask(server.app, "POST", TOKEN, headers=headers, body=body)

    assert answer.status_code == status, answer.text
    assert not watched.has_entered
    assert watched.hashed == []


def test_refresh_and_code_stay_out_of_them(server: Server, watched: Watched) -> None:
    first = server.client.post(TOKEN, data=PASSWORD_FORM).json()
    client = register(server)
    browser = Browser(server)
    browser.open("/auth/oauth2/authorize", client.request())
    browser.sign_in()
    answer = browser.allow("users:read")
    code = dict(pair.split("=") for pair in answer.headers["location"].partition("?")[2].split("&"))
    watched.ran.clear()

    form = {"grant_type": "refresh_token", "client_id": "documentation"}
    form["refresh_token"] = first["refresh_token"]
    assert server.client.post(TOKEN, data=form).status_code == 200
    exchanged = server.client.post(TOKEN, data=client.exchange(code["code"]))
    assert exchanged.status_code == 200, exchanged.text

    assert not watched.has_entered


def test_what_is_refused_before_a_handler_stays_out_of_them(
    server: Server, watched: Watched
) -> None:
    ada = server.person("ada")
    change = patch(PROOF, replace("/first_name", "Ada"))
    watched.ran.clear()
    watched.hashed.clear()
    new = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}

    statuses = [
        server.nobody.request("PATCH", f"/users/{ada.id}", **change).status_code,
        ada.request("PATCH", "/users/1", **change).status_code,
        ada.patch(f"/users/{ada.id}", {"op": "add"}).status_code,
        server.caller(ada.id, "users:read")
        .request("PATCH", f"/users/{ada.id}", **change)
        .status_code,
        server.nobody.post("/users", new).status_code,
        server.nobody.post("/users", {**new, "recaptcha_key": "wrong"}).status_code,
        server.nobody.post("/users", {**new, "username": 1}).status_code,
        ada.get("/users/me").status_code,
        ada.post("/teams", {"title": "Analysts"}).status_code,
    ]

    assert statuses == [401, 404, 400, 403, 403, 403, 400, 200, 201]
    assert not watched.has_entered


def test_every_password_that_is_hashed_is_hashed_in_them(server: Server, watched: Watched) -> None:
    ada, admin = server.person("ada"), server.admin
    new = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}
    watched.hashed.clear()
    browser = Browser(server)
    browser.open("/auth/login")

    answers = [
        ada.patch(f"/users/{ada.id}", PROOF, replace("/password", "another pass phrase")),
        server.nobody.post("/users", {**new, "recaptcha_key": "secret_key"}),
        admin.post("/users", {**new, "username": "eve", "email": "eve@example.com"}),
        browser.sign_in(),
    ]

    assert [answer.status_code for answer in answers] == [200, 201, 201, 200]
    assert len(watched.hashed) == 5
    assert all(name.startswith("roster-hashing") for name in watched.hashed)


# Full queues


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Yield an event for which all wait who hash, and all who ask for themselves."""
    go_on = threading.Event()
    compute, answer = passwords._compute, dispatch._answer

    def hash_later(*arguments: Any) -> Any:
        if threading.current_thread().name.startswith("roster-hashing"):
            assert go_on.wait(60)
        return compute(*arguments)

    def answer_later(app: Any, scope: Any, context: RequestContext) -> Any:
        if context.operation and context.operation.id == "read_me":
            assert go_on.wait(60)
        return answer(app, scope, context)

    monkeypatch.setattr(passwords, "_compute", hash_later)
    monkeypatch.setattr(dispatch, "_answer", answer_later)
    yield go_on
    go_on.set()


def send_until_refused(send: Any, threads: ThreadPoolExecutor) -> tuple[Any, list[Future[Any]]]:
    """Send requests that stay, until one is answered; return that answer, and the others."""
    waiting: list[Future[Any]] = []
    while True:
        waiting.append(threads.submit(send))
        deadline = time.monotonic() + 0.05
        while time.monotonic() < deadline:
            done = [each for each in waiting if each.done()]
            if done:
                return done[0].result(), [each for each in waiting if each is not done[0]]
            time.sleep(0.001)
        assert len(waiting) < 60, "Nobody is refused."


def test_a_full_queue_of_logins_is_503_and_others_go_on(
    serve: Serve, blocked: threading.Event
) -> None:
    server = serve(hashing_queue=2)
    ada = server.person("ada")
    browser = Browser(server)
    browser.open("/auth/login")
    page = {**browser.hidden("/auth/login"), "username": "user", "password": "w"}

    with ThreadPoolExecutor(60) as threads:
        refused, waiting = send_until_refused(
            lambda: server.client.post(TOKEN, data=PASSWORD_FORM), threads
        )
        at_page = browser._send("POST", "/auth/login", data=page)
        change = ada.patch(f"/users/{ada.id}", PROOF, replace("/first_name", "Ada"))
        service = server.service
        team = ada.post("/teams", {"title": "Undisturbed"})
        blocked.set()
        answered = [each.result(60).status_code for each in waiting]

    for answer in (refused, at_page, change):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert refused.json()["error"] == "temporarily_unavailable"
    assert "<h1>Service Unavailable" in at_page.text
    assert change.headers["content-type"] == "application/problem+json"
    assert service
    assert team.status_code == 201
    assert set(answered) <= {200, 503}
    assert answered.count(200) >= 2


def test_what_waits_for_nothing_is_answered_while_all_threads_wait(
    serve: Serve, blocked: threading.Event
) -> None:
    server = serve(threads=2, queue=2)
    ada = server.person("ada")
    immediate = [each for each in server.app.definition.operations if each.is_immediate]

    with ThreadPoolExecutor(60) as threads:
        refused, waiting = send_until_refused(lambda: ada.get("/users/me"), threads)
        options = server.client.options("/api/v1/users/me")
        answers = {each.id: server.client.get(each.path) for each in immediate}
        assert not any(each.done() for each in waiting[:2])
        blocked.set()
        assert {each.result(60).status_code for each in waiting} <= {200, 503}

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert options.status_code == 503
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "read_health": 200,
        "open_documentation": 307,
        "read_documentation": 200,
        "read_guide": 200,
        "read_definition_json": 200,
        "read_definition_yaml": 200,
        "read_signup_form": 200,
        "read_authorization_server_metadata": 200,
        "read_protected_resource_metadata": 200,
        "read_api_resource_metadata": 200,
    }


IMMEDIATE = [each for each in loader.load("development").operations if each.is_immediate]


@pytest.mark.parametrize("operation", IMMEDIATE, ids=lambda operation: operation.id)
def test_what_waits_for_nothing_takes_no_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch, operation: Operation
) -> None:
    def take(_context: RequestContext) -> None:
        raise AssertionError("The database is asked on the event loop.")

    monkeypatch.setattr(RequestContext, "connection", property(take))

    assert server.client.get(operation.path).status_code in {200, 307}


def test_an_operation_that_needs_a_token_or_an_object_cannot_be_immediate() -> None:
    for path, method in (("/api/v1/users/me", "get"), ("/api/v1/teams/{team_id}", "get")):
        document = loader.load("development").document
        document["paths"][path][method]["x-immediate"] = True

        with pytest.raises(ValueError, match="x-immediate: read_"):
            Definition(document)


def test_a_condition_on_a_field_that_is_not_there_stops_the_start() -> None:
    document = loader.load("production").document
    document["paths"]["/auth/oauth2/token"]["post"]["x-computes-hash"] = {"grant": ["password"]}
    misspelt = Definition(document).operation("/auth/oauth2/token", "POST")

    with pytest.raises(DefinitionError, match="x-computes-hash: the form has no field grant;"):
        hash_elsewhere(settings.load(), misspelt)


@pytest.mark.parametrize(
    "operation",
    [each for each in loader.load("development").operations if not each.is_immediate],
    ids=lambda operation: operation.id,
)
def test_whoever_needs_a_thread_may_be_told_to_come_back(operation: Operation) -> None:
    unavailable = operation.spec["responses"]["503"]

    assert "Retry-After" in unavailable["headers"]
    assert operation.error_media_type in unavailable["content"]

"""Flask is Flask: its pages, hooks, extensions and request, beside the operations and in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import flask_login
import pytest
from flask_caching import Cache
from starlette.testclient import TestClient

from models import development
from models.database import migrate
from models.errors import DomainError
from roster import settings
from roster.application import create_app
from roster.http.errors import HTTPError
from roster.stack.extension import Extend
from tests.scopes import ALL_SCOPES

TRUTH = "tests.truth"
LOGIN: Any = flask_login  # it has no types


class Person(LOGIN.UserMixin):  # type: ignore[misc]
    """Somebody whom Flask-Login knows."""

    id = "7"


def extend(app: flask.Flask) -> None:
    """Do what a developer does with a Flask app: config, extensions, hooks, a blueprint."""
    app.config.update(SECRET_KEY="for tests", CACHE_TYPE="SimpleCache")
    cache = Cache(app)
    LOGIN.LoginManager(app).user_loader(lambda _: Person())
    pages = flask.Blueprint("site", __name__, url_prefix="/site")
    made: list[str] = []
    app.extensions[TRUTH] = []

    @app.after_request
    def note(response: flask.Response) -> flask.Response:
        request = flask.request
        app.extensions[TRUTH].append(
            {
                "method": request.method,
                "path": request.full_path,
                "args": request.args.to_dict(),
                "form": request.form.to_dict(),
                "files": {
                    name: (each.filename, each.read().decode())
                    for name, each in request.files.items()
                },
                "json": request.get_json(silent=True),
                "length": request.content_length,
                "type": request.content_type,
                "address": request.remote_addr,
                "rule": str(request.url_rule),
                "page": flask.url_for("site.hello"),
            }
        )
        return response

    @pages.route("/hello", methods=["GET", "POST"])
    def hello() -> Any:
        return {"args": flask.request.args, "form": flask.request.form}

    @pages.route("/cached")
    @cache.cached(query_string=True)
    def cached() -> str:
        made.append("")
        return f"made {len(made)}"

    @pages.route("/login", methods=["POST"])
    def login() -> str:
        LOGIN.login_user(Person())
        return "in"

    @pages.route("/private")
    @LOGIN.login_required  # type: ignore[untyped-decorator]
    def private() -> str:
        return "private"

    @pages.route("/gone")
    def gone() -> str:
        flask.abort(410)

    @pages.route("/broken")
    def broken() -> str:
        raise DomainError("broken")

    app.register_error_handler(410, lambda _: ("our own page", 410))
    app.register_blueprint(pages)
    app.add_url_rule("/api/v1/users", "shadow", lambda: "shadow")


@contextmanager
def client_of(
    tmp_path: Path, extension: Extend | None, extend_by: str = "", **chosen: Any
) -> Iterator[TestClient]:
    """Start a server whose Flask app is extended."""
    url = f"sqlite:///{tmp_path}/x.db"
    migrate.upgrade(url)
    given = settings.load(database_url=url, extend=extend_by, **chosen)
    app = create_app(given, validate_responses=True, extend=extension)
    with TestClient(app, base_url="http://127.0.0.1:5000") as client:
        yield client


@pytest.fixture(name="client")
def _client(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path, extend) as client:
        yield client


def seen(client: TestClient) -> dict[str, Any]:
    app: Any = client.app
    last: dict[str, Any] = app.flask.extensions[TRUTH][-1]
    return last


def test_a_blueprint_gets_what_was_sent(client: TestClient) -> None:
    answer = client.post("/site/hello?a=%C3%A4", data={"b": "2"})

    assert answer.json() == {"args": {"a": "ä"}, "form": {"b": "2"}}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_head_and_options_of_a_blueprint_are_as_in_flask(client: TestClient) -> None:
    whole, head = client.get("/site/cached"), client.head("/site/cached")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    allowed = client.options("/site/cached").headers["allow"]
    assert set(allowed.split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert client.post("/site/cached").status_code == 405


def test_a_body_for_a_blueprint_has_the_same_limit(client: TestClient) -> None:
    assert client.post("/site/hello", content=b"x" * (2**20 + 1)).status_code == 413


def test_error_handlers_answer_for_blueprints_and_unknown_paths_stay_problems(
    client: TestClient,
) -> None:
    assert client.get("/site/gone").text == "our own page"
    unknown = client.get("/site/unknown")
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "application/problem+json"


def test_paths_of_the_definition_win(client: TestClient) -> None:
    assert client.get("/api/v1/users").status_code == 401


def test_no_form_of_an_operations_path_reaches_it_without_the_definition(
    client: TestClient,
) -> None:
    for path in (
        "/api/v1//users",
        "//api/v1/users/1",
        "/api/v1/users/01",
        "/api/v1/users/0",
        "/api/v1/users/" + "9" * 30,
    ):
        assert client.get(path).status_code in {401, 404}
    assert client.app.flask.extensions[TRUTH] == []  # type: ignore[attr-defined]


def test_caching_looks_at_the_query(client: TestClient) -> None:
    asked = ("/site/cached?a=1", "/site/cached?a=1", "/site/cached?a=2")

    assert [client.get(path).text for path in asked] == ["made 1", "made 1", "made 2"]


def test_login_keeps_a_session(client: TestClient) -> None:
    assert client.get("/site/private").status_code == 401
    assert client.post("/site/login").text == "in"
    assert client.get("/site/private").text == "private"


def test_an_operation_shows_hooks_the_request_as_it_was_sent(client: TestClient) -> None:
    answer = client.head("/.well-known/oauth-authorization-server?a=1&b=%C3%A4")

    assert answer.content == b""
    told = seen(client)
    assert told["method"] == "HEAD"
    assert told["path"] == "/.well-known/oauth-authorization-server?a=1&b=%C3%A4"
    assert told["rule"] == "/.well-known/oauth-authorization-server"
    assert told["page"] == "/site/hello"


def bearer_of_root(client: TestClient) -> dict[str, str]:
    """Load the development data, and log in."""
    app: Any = client.app
    with app.sessions() as session:
        development.load(session, app.settings.origin, app.settings.port, ALL_SCOPES)
        session.commit()
    form = {"grant_type": "password", "client_id": "documentation", "username": "root"}
    issued = client.post("/auth/oauth2/token", data={**form, "password": "q"})
    assert issued.status_code == 200, issued.text
    return {"Authorization": f"Bearer {issued.json()['access_token']}"}


def login(client: TestClient, **sent: Any) -> None:
    """Log in; it fails, which the hooks need not know."""
    assert client.post("/auth/oauth2/token", **sent).status_code in {400, 401}


FORM = {"grant_type": "password", "client_id": "nobody", "username": "ä", "password": "wrong"}


@pytest.mark.parametrize(
    ("sent", "media_type"),
    [
        ({"data": FORM}, "application/x-www-form-urlencoded"),
        ({"files": {name: (None, value) for name, value in FORM.items()}}, "multipart/form-data"),
    ],
    ids=["urlencoded", "multipart"],
)
def test_an_operation_shows_the_form_that_was_sent(
    client: TestClient, sent: dict[str, Any], media_type: str
) -> None:
    login(client, **sent)

    told = seen(client)
    assert told["form"] == FORM
    assert told["type"].startswith(media_type)


def test_an_operation_shows_files(client: TestClient) -> None:
    login(client, files={"grant_type": ("a.txt", b"password", "text/plain")})

    assert seen(client)["files"] == {"grant_type": ("a.txt", "password")}


def test_an_operation_shows_json_that_came_in_chunks(client: TestClient) -> None:
    headers = {**bearer_of_root(client), "Content-Type": "application/json"}
    body = b'{"title": "Analytical Engine"}'
    pieces = (bytes([byte]) for byte in body)
    created = client.post("/api/v1/teams", content=pieces, headers=headers)

    assert created.status_code == 201
    told = seen(client)
    assert told["json"] == {"title": "Analytical Engine"}


def test_an_operation_shows_the_address_behind_proxies(tmp_path: Path) -> None:
    with client_of(tmp_path, extend, trusted_proxies=1) as client:
        headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
        for path in ("/site/hello", "/.well-known/oauth-authorization-server"):
            client.get(path, headers=headers)
            assert seen(client)["address"] == "203.0.113.7"


def test_hooks_that_answer_signals_and_teardowns_run_for_operations(tmp_path: Path) -> None:
    done: list[str] = []

    def observed(app: flask.Flask) -> None:
        @app.before_request
        def close_on_mondays() -> Any:
            return ("closed", 503) if "monday" in flask.request.args else None

        @app.teardown_request
        def end(_error: BaseException | None) -> None:
            done.append("torn down")

        flask.request_finished.connect(lambda *_, **__: done.append("finished"), app, weak=False)

    with client_of(tmp_path, observed) as client:
        answer = client.get("/healthz")
        assert answer.status_code == 200
        assert done == ["finished", "torn down"]
        closed = client.get("/.well-known/oauth-authorization-server?monday=1")
        assert (closed.status_code, closed.text) == (503, "closed")


def test_a_blueprint_has_static_files_and_flasks_slashes(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.css").write_text("p {}")

    def with_files(app: flask.Flask) -> None:
        pages = flask.Blueprint(
            "site", __name__, url_prefix="/site", static_folder=str(tmp_path / "files")
        )
        pages.add_url_rule("/folder/", "folder", lambda: "folder")
        app.register_blueprint(pages)

    with client_of(tmp_path, with_files) as client:
        assert client.get("/site/files/a.css").text == "p {}"
        assert client.get("/site/files/../secret").status_code == 404
        assert client.get("/site/folder", follow_redirects=False).status_code == 308
        assert client.get("/site/folder").text == "folder"


def site(app: flask.Flask) -> None:
    """Extend an app, as a module that a setting names."""
    app.add_url_rule("/hello", "hello", lambda: "hello")


def test_a_setting_names_the_function_that_extends(tmp_path: Path) -> None:
    with client_of(tmp_path, None, extend_by=f"{__name__}:site") as client:
        assert client.get("/hello").text == "hello"


@pytest.mark.parametrize("name", ["no_such_module:site", f"{__name__}:no", f"{__name__}:FORM", "x"])
def test_an_extension_that_is_not_there_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(settings.SettingsError, match=r"^ROSTER_EXTEND: [^\n]+$"):
        create_app(settings.load(database_url=f"sqlite:///{tmp_path}/x.db", extend=name))


async def later(app: flask.Flask) -> None:
    """Extend an app never, since nobody awaits it."""
    site(app)


def for_one_of_two(app: flask.Flask, other: str) -> None:
    """Need more than the app."""
    app.add_url_rule("/hello", "hello", lambda: other)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("os:getcwd", "cannot be called with one argument"),
        (f"{__name__}:for_one_of_two", "cannot be called with one argument"),
        ("flask:Flask.register_blueprint", "cannot be called with one argument"),
        (f"{__name__}:later", "is async"),
    ],
)
def test_an_extension_that_takes_no_app_is_one_line(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(settings.SettingsError, match=rf"^ROSTER_EXTEND: {name} {said}[^\n]+$"):
        create_app(settings.load(database_url=f"sqlite:///{tmp_path}/x.db", extend=name))


def catch_all(app: flask.Flask) -> None:
    """Have error handlers for whatever there is."""
    extend(app)
    for kind in (Exception, DomainError, HTTPError, 404):
        app.register_error_handler(kind, lambda error: (f"caught {type(error).__name__}", 418))


def test_error_handlers_are_for_pages_and_never_for_operations(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    migrate.upgrade(url)
    app = create_app(settings.load(database_url=url), validate_responses=True, extend=catch_all)
    with TestClient(app, base_url="http://127.0.0.1:5000") as client:
        # To compute a hash the request leaves its thread by an exception, which none may catch.
        headers = bearer_of_root(client)

        assert client.get("/site/broken").text == "caught DomainError"
        for path in ("/api/v1/users/9999", "/api/v1/teams/9999"):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/api/v1/users/me").status_code == 401

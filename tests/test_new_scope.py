"""A new scope on a server that is in use: the scheme alone, then a client, then a token with it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from models import development
from models.database import migrate
from roster import settings
from roster.application import create_app
from roster.cli.main import roster
from roster.contract import loader
from roster.contract.errors import DefinitionError
from tests.definitions import copy_of_the_definition
from tests.serving import CheckedClient, Server
from tests.signing_in import AUTHORIZE, Browser, led_to, register

SCHEME = "components/securitySchemes/oauth2.yaml"
READ_ME = "paths/api@v1@users@me.yaml"
FORM = "components/schemas/oauth/ConsentForm.yaml"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have everything work with a copy of the definition; return its folder."""
    copied = copy_of_the_definition(tmp_path)
    monkeypatch.setattr(loader, "load", partial(loader.load, folder=copied))
    return copied


@contextmanager
def served(database_url: str) -> Iterator[Server]:
    """Serve a database as the definition is now."""
    app = create_app(settings.load(database_url=database_url), validate_responses=True)
    migrate.upgrade(app.engine)
    with app.sessions() as session:
        development.load(session, app.settings.origin, 5000, app.definition.scopes)
        session.commit()
    with CheckedClient(app, base_url=app.settings.origin, follow_redirects=False) as client:
        yield Server(app, client)
    app.engine.dispose()


def allowed(server: Server, request: dict[str, str], *scopes: str) -> dict[str, str]:
    """Allow scopes to a client in the pages; return what its redirect URI gets."""
    browser = Browser(server)
    browser.open(AUTHORIZE, request)
    browser.sign_in()
    return led_to(browser.allow(*scopes))[1]


def test_a_server_in_use_gets_a_scope_and_a_client_gets_it(
    database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(database_url) as server:
        client = register(server, default_scopes=["users:read", "teams:read"])
        code = allowed(server, client.request(), "users:read", "teams:read")["code"]
        old = server.client.post("/auth/oauth2/token", data=client.exchange(code)).json()

    change(folder / SCHEME, "      users:read:", "      rooms:read: See rooms\n      users:read:")
    change(folder / READ_ME, "oauth2: [users:read]", "oauth2: [rooms:read]")
    with served(database_url) as server:
        asked = client.request(scope="rooms:read users:read")
        assert allowed_error(server, asked) == "invalid_scope"
        monkeypatch.setenv("DATABASE_URL", database_url)
        set_scope = ["clients", "set", client.client_id, "--add-scope", "rooms:read"]
        assert CliRunner().invoke(roster, set_scope).exit_code == 0
        code = allowed(server, asked, "rooms:read", "users:read")["code"]
        new = server.client.post("/auth/oauth2/token", data=client.exchange(code)).json()

        assert new["scope"] == "rooms:read users:read"
        for token, status in ((new, 200), (old, 403)):
            headers = {"Authorization": f"Bearer {token['access_token']}"}
            assert server.client.get("/api/v1/users/me", headers=headers).status_code == status
        # The documentation's client has every scope without being told.
        form = {"grant_type": "password", "client_id": "documentation"}
        by_hand = server.client.post(
            "/auth/oauth2/token", data={**form, "username": "root", "password": "q"}
        )
        assert by_hand.json()["scope"].split() == sorted(server.app.definition.scopes)
        shown = json.loads(CliRunner().invoke(roster, ["clients", "show", client.client_id]).output)
        assert shown["scopes"] == ["rooms:read", "teams:read", "users:read"]


def allowed_error(server: Server, request: dict[str, str]) -> str:
    """Return the error that a client gets after the sign-in."""
    browser = Browser(server)
    browser.open(AUTHORIZE, request)
    return led_to(browser.sign_in())[1]["error"]


def test_a_scope_that_is_declared_no_longer_is_neither_asked_for_nor_granted(
    database_url: str, folder: Path
) -> None:
    added = "      rooms:read: See rooms\n      users:read:"
    change(folder / SCHEME, "      users:read:", added)
    with served(database_url) as server:
        client = register(server, "root")

    change(folder / SCHEME, added, "      users:read:")
    with served(database_url) as server:
        code = allowed(server, client.request(scope="rooms:read users:read"), "users:read")["code"]
        issued = server.client.post("/auth/oauth2/token", data=client.exchange(code)).json()
        assert issued["scope"] == "users:read"
        assert allowed_error(server, client.request(scope="rooms:read")) == "invalid_scope"


def test_a_form_without_a_scope_stops_the_start(database_url: str, folder: Path) -> None:
    change(folder / FORM, "scope.{scope}", "scop.{scope}")

    with pytest.raises(DefinitionError, match=r"POST /auth/oauth2/authorize: .*scope\.users:read"):
        create_app(settings.load(database_url=database_url))


def test_a_form_with_a_hundred_scopes_is_read(database_url: str, folder: Path) -> None:
    many = "".join(f"      s{number}: More\n" for number in range(100))
    change(folder / SCHEME, "      users:read:", f"{many}      users:read:")
    with served(database_url) as server:
        client = register(server, "root")
        names = [f"s{number}" for number in range(100)]
        code = allowed(server, client.request(scope=" ".join(names)), *names)["code"]
        issued = server.client.post("/auth/oauth2/token", data=client.exchange(code)).json()
        assert issued["scope"].split() == sorted(names)

"""HEAD never acts: it is a GET without a body where that changes nothing, and refused elsewhere."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from models import Base, Client
from roster.contract import loader
from roster.contract.operation import Operation
from tests import examples
from tests.serving import Server
from tests.signing_in import AUTHORIZE, Browser, register

GETS = [each for each in loader.load("development").operations if each.method == "GET"]
every_get = pytest.mark.parametrize("operation", GETS, ids=[each.id for each in GETS])


def everything(server: Server) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    with server.app.engine.connect() as connection:
        return {
            name: sorted(map(repr, connection.execute(text(f"SELECT * FROM {name}"))))
            for name in Base.metadata.tables
        }


@pytest.fixture
def places(server: Server) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Yield the headers of one who may do all, signed in at a browser, and what paths may name."""
    client = register(server, owner="root")
    browser = Browser(server)
    browser.open(AUTHORIZE, client.request())
    browser.sign_in("root", "q")
    browser.allow("users:read", "teams:read")
    team = server.team("Analysts", server.admin)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    queries = {
        "show_authorization": client.request(),
        "issue_token_by_get": {
            "grant_type": "password",
            "client_id": "documentation",
            "username": "root",
            "password": "q",
        },
    }
    known = {"client_id": client.client_id, "team_id": team, "user_id": 1}
    with server.session() as session:
        row = Client.find(session, client.client_id)
        assert row
        ids = {"clients": row.id, "teams": team, "users": 1}
        paths = {
            each.id: examples.path_of(each, known, ids, examples.made(session)) for each in GETS
        }
        session.commit()
    values = {"paths": paths, "queries": queries}
    server.client.cookies.clear()
    yield {**server.admin.headers, "Cookie": cookies}, values
    server.client.cookies.clear()


def send(server: Server, places: Any, method: str, operation: Operation) -> Any:
    headers, values = places
    path = values["paths"][operation.id]
    query = values["queries"].get(operation.id) or examples.query_of(operation)
    if not operation.is_protected:
        headers = {"Cookie": headers["Cookie"]}
    return server.client.request(method, path, params=query, headers=headers)


@every_get
def test_a_head_changes_nothing(server: Server, places: Any, operation: Operation) -> None:
    before = everything(server)

    answer = send(server, places, "HEAD", operation)

    assert answer.status_code < 500
    assert (answer.status_code == 405) == operation.acts
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers or not operation.acts
    assert everything(server) == before


@every_get
def test_a_get_that_is_not_said_to_act_does_not(
    server: Server, places: Any, operation: Operation
) -> None:
    before = everything(server)

    answer = send(server, places, "GET", operation)

    assert answer.status_code < 400
    if not operation.acts:
        assert "set-cookie" not in answer.headers
        assert everything(server) == before


@every_get
def test_options_tells_of_head_where_it_is_served(
    server: Server, places: Any, operation: Operation
) -> None:
    told = send(server, places, "OPTIONS", operation).headers["allow"].split(", ")

    assert "GET" in told
    assert ("HEAD" in told) != operation.acts


@pytest.mark.parametrize(
    "operation", [each for each in GETS if each.acts], ids=lambda each: each.id
)
def test_a_head_that_is_refused_is_told_what_is_not(server: Server, operation: Operation) -> None:
    route, _, _ = server.app.definition.match(operation.path) or pytest.fail("no route")

    answer = server.client.head(operation.path)

    assert set(answer.headers["allow"].split(", ")) == {*route.operations}
    assert answer.headers["content-type"].startswith(route.error_media_type)

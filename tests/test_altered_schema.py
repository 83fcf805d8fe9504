"""A schema that is altered under a running server heals at the next request."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from models import Team, Token, User
from models.database import connections
from tests.live import LiveServer

pytestmark = pytest.mark.live

REQUESTS = 6
# Alterations, each with what takes it back.
OF_BOTH = (
    (
        "ALTER TABLE users ADD COLUMN extra VARCHAR(20) DEFAULT 'x'",
        "ALTER TABLE users DROP COLUMN extra",
    ),
    ("CREATE INDEX ix_extra ON teams (title)", "DROP INDEX ix_extra"),
)
OF_POSTGRESQL = tuple(
    (
        f"ALTER TABLE {column.table.name} ALTER COLUMN {column.name} TYPE text",
        f"ALTER TABLE {column.table.name} ALTER COLUMN {column.name} TYPE {column.type}",
    )
    for column in (
        User.__table__.c.first_name,
        User.__table__.c.username,
        Team.__table__.c.title,
        Token.__table__.c.scope,
    )
)


@contextmanager
def altered(server: LiveServer, there: str, back: str) -> Iterator[None]:
    engine = connections.connect(server.database_url)
    try:
        with engine.begin() as connection:
            connection.execute(text(there))
        yield
        with engine.begin() as connection:
            connection.execute(text(back))
    finally:
        engine.dispose()


def make_requests(server: LiveServer, headers: dict[str, str]) -> set[int]:
    """Make requests that read, write and log in, so often that all of it is prepared."""
    client, statuses = server.client, set()
    for number in range(REQUESTS):
        team = client.post("/api/v1/teams", json={"title": f"Team {number}"}, headers=headers)
        path = f"/api/v1/teams/{team.json()['id']}"
        answers = [client.get("/api/v1/users/me", headers=headers)]
        answers += [client.get("/api/v1/users", headers=headers), client.get(path, headers=headers)]
        answers += [client.delete(path, headers=headers), team]
        statuses |= {answer.status_code for answer in answers}
        assert answers[0].json()["username"] == "root"
    server.login("root", "q")
    return statuses


def test_an_altered_table_is_met_by_no_error(live: LiveServer) -> None:
    alterations = OF_BOTH if live.database_url.startswith("sqlite") else OF_BOTH + OF_POSTGRESQL
    headers = live.bearer("root", "q")
    assert make_requests(live, headers) == {200, 201, 204}
    for there, back in alterations:
        with altered(live, there, back):
            assert make_requests(live, headers) == {200, 201, 204}
        assert make_requests(live, headers) == {200, 201, 204}

"""The schemas dump what marshmallow's own would."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import marshmallow
import orjson
import pytest

from handlers.schemas import clients, teams, users
from handlers.schemas.base import Schema

MOMENTS = {
    "created": datetime(2026, 11, 27, 6, 33, 48, 120, tzinfo=UTC),
    "updated": datetime(2026, 11, 27, tzinfo=UTC),
}
USER = SimpleNamespace(
    id=2**62,
    username="ada",
    first_name="Ada",
    middle_name="",
    last_name="Lovelace \u2028 \U0001f9ee",
    email="ada@example.com",
    is_active=True,
    is_regular_user=False,
    is_admin=True,
    **MOMENTS,
)
MEMBERS = [SimpleNamespace(user=USER, is_leader=leader) for leader in (True, False)]
TEAM = SimpleNamespace(id=1, title="Analysts", members=MEMBERS, **MOMENTS)
MEMBER = SimpleNamespace(team=TEAM, user=USER, is_leader=True)
CLIENT = SimpleNamespace(
    client_id="c",
    user_id=1,
    name="An app",
    client_type="public",
    redirect_uris=("https://app.example/", "app.example:/"),
    scopes=("users:read", "teams:read", "users:read"),
    grant_types=(),
    **MOMENTS,
)


def by_marshmallow(schema: Schema, value: Any) -> Any:
    return json.loads(json.dumps(marshmallow.Schema.dump(schema, value)))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (users.user, USER),
        (users.base_users, [USER, USER]),
        (users.base_users, []),
        (teams.team, TEAM),
        (teams.base_teams, [TEAM]),
        (teams.member, MEMBER),
        (teams.members, [MEMBER, MEMBER]),
        (clients.client, CLIENT),
        (clients.clients, [CLIENT]),
        (clients.authorizations, [CLIENT]),
    ],
)
def test_a_schema_dumps_as_marshmallow_does(schema: Schema, value: Any) -> None:
    dumped = orjson.dumps(schema.dump(value))

    assert json.loads(dumped) == by_marshmallow(schema, value)
    assert list(json.loads(dumped)) == list(by_marshmallow(schema, value))


def test_many_may_be_said_at_the_call() -> None:
    assert users.user.dump([USER], many=True) == [users.user.dump(USER)]
    assert users.base_users.dump(USER, many=False) == users.base_users.dump([USER])[0]

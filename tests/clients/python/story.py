"""What a program does with the Python client; each step prints one line of JSON."""

import json
import sys
import time
from typing import TypeVar
from uuid import uuid4

from roster_client import AuthenticatedClient, Client
from roster_client.api.auth import introspect_token, issue_token
from roster_client.api.members import add_member
from roster_client.api.teams import create_team, delete_team, read_team
from roster_client.api.users import change_user, list_users, read_me
from roster_client.models import (
    BaseUser,
    CurrentPasswordOperation,
    CurrentPasswordOperationOp,
    CurrentPasswordOperationPath,
    GrantType,
    Introspection,
    IntrospectionRequest,
    Member,
    MemberCreate,
    NameOperation,
    NameOperationPath,
    PatchOp,
    Problem,
    Team,
    TeamCreate,
    TokenRequest,
    TokenResponse,
    User,
)

URL, SECRET = sys.argv[1:]
Answer = TypeVar("Answer")


def show(step: str, **values: object) -> None:
    print(json.dumps({"step": step, **values}), flush=True)


def expect(kind: type[Answer], answer: object) -> Answer:
    """Return an answer of the expected type; anything else is an error that the server tells."""
    if not isinstance(answer, kind):
        raise SystemExit(f"{kind.__name__} expected: {answer}")
    return answer


def signed_in(tokens: TokenResponse) -> AuthenticatedClient:
    return AuthenticatedClient(URL, tokens.access_token)


def introspect(token: str) -> Introspection:
    form = IntrospectionRequest(token=token, client_id="documentation", client_secret=SECRET)
    return expect(Introspection, introspect_token.sync(client=anonymous, body=form))


anonymous = Client(URL)

form = TokenRequest(
    grant_type=GrantType.PASSWORD, client_id="documentation", username="root", password="q"
)
first = expect(TokenResponse, issue_token.sync(client=anonymous, body=form))
show("log in", token_type=first.token_type)

time.sleep(first.expires_in + 1)
problem = expect(Problem, read_me.sync(client=signed_in(first)))
show("use a token that has ended", status=problem.status, title=problem.title)

form = TokenRequest(
    grant_type=GrantType.REFRESH_TOKEN, client_id="documentation", refresh_token=first.refresh_token
)
second = expect(TokenResponse, issue_token.sync(client=anonymous, body=form))
show("refresh", is_new=second.access_token != first.access_token)
client = signed_in(second)

me = expect(User, read_me.sync(client=client))
show("read oneself", username=me.username, is_admin=me.is_admin)

users: list[BaseUser] = []
pages = 0
cursor: str | None = ""
while cursor is not None:
    page = list_users.sync_detailed(client=client, limit=100, cursor=cursor)
    users += expect(list, page.parsed)
    pages += 1
    cursor = page.headers.get("X-Next-Cursor")
show("page through the users", users=len(users), pages=pages, last=users[-1].username)

key = str(uuid4())
made = [
    expect(
        Team,
        create_team.sync(client=client, body=TeamCreate(title="Analysts"), idempotency_key=key),
    )
    for _ in range(2)
]
team = made[0]
show("create a team", title=team.title, leader=team.members[0].user.username)
show("send that again", is_the_same=made[1] == team)

new = MemberCreate(user_id=users[-1].id)
member = expect(Member, add_member.sync(team.id, client=client, body=new))
show("add a member", username=member.user.username, is_leader=member.is_leader)

problem = expect(Problem, add_member.sync(team.id, client=client, body=new))
show("add it again", status=problem.status, title=problem.title)

changed = change_user.sync(
    me.id,
    client=client,
    body=[
        CurrentPasswordOperation(
            op=CurrentPasswordOperationOp.TEST,
            path=CurrentPasswordOperationPath.CURRENT_PASSWORD,
            value="q",
        ),
        NameOperation(op=PatchOp.REPLACE, path=NameOperationPath.FIRST_NAME, value="Ada"),
    ],
)
show("change oneself", first_name=expect(User, changed).first_name)

alive = introspect(second.access_token)
show("introspect a live token", active=alive.active, username=alive.username)
show("introspect a dead token", active=introspect(first.access_token).active)

deleted = delete_team.sync_detailed(team.id, client=client)
show("delete the team", status=deleted.status_code)

problem = expect(Problem, read_team.sync(team.id, client=client))
show("read what is gone", status=problem.status, title=problem.title)

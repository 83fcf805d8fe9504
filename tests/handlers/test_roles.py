"""Who may do what: every operation that asks for a token, for every kind of caller.

The table below is written by hand. It is held against what the definition declares, and then
against what the server answers, to the operation itself and to OPTIONS. A new operation needs a
row in it, and no more: the objects that its path names, and its body, make themselves.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count, islice
from typing import Any

import pytest

from models import Client, Consent, Member, Team, User
from models.users import passwords
from roster.contract import loader
from roster.contract.operation import Operation
from tests import examples
from tests.serving import API, PASSWORD, SCOPES, CheckedClient, Person, Server


@dataclass(frozen=True)
class Kind:
    """A kind of caller.

    `place` is what it is to the path's objects: an `outsider`, the `target` that the path names
    (a user, and a plain member of the team), another `member` or the `leader` of the team; or a
    `service`, or `nobody`. `over` are the flags of the target.
    """

    place: str
    flags: Mapping[str, bool] = field(default_factory=dict)
    over: Mapping[str, bool] = field(default_factory=dict)


READER = {"is_regular_user": False}
ADMIN = {"is_regular_user": False, "is_admin": True}
INTERNAL = {"is_regular_user": False, "is_internal": True}

KINDS = {
    "nobody": Kind("nobody"),
    "inactive": Kind("target", {"is_active": False}),
    "outsider": Kind("outsider"),
    "outsider who only reads": Kind("outsider", READER),
    "self": Kind("target"),
    "self who only reads": Kind("target", READER),
    "member": Kind("member"),
    "member who only reads": Kind("member", READER),
    "leader": Kind("leader"),
    "leader who only reads": Kind("leader", READER),
    "admin": Kind("outsider", ADMIN),
    "internal": Kind("outsider", INTERNAL),
    "service": Kind("service"),
    "admin over admin": Kind("outsider", ADMIN, over=ADMIN),
    "admin over internal": Kind("outsider", ADMIN, over=INTERNAL),
    "internal over admin": Kind("outsider", INTERNAL, over=ADMIN),
    "internal over internal": Kind("outsider", INTERNAL, over=INTERNAL),
    "internal over self": Kind("target", INTERNAL, over=INTERNAL),
    "internal admin over admin": Kind("outsider", {**ADMIN, **INTERNAL}, over=ADMIN),
}

# `+` may, `-` is refused (403), `.` is told that the object does not exist (404), `!` is asked for
# a token, or for a better one (401).
TABLE = {
    #                         nobody, inactive
    #                         |   outsider, the same who only reads
    #                         |   |   self, the same who only reads
    #                         |   |   |   member, the same who only reads
    #                         |   |   |   |   leader, the same who only reads
    #                         |   |   |   |   |   admin, internal, service
    #                         |   |   |   |   |   |    admin over admin, over internal
    #                         |   |   |   |   |   |    |   internal over admin, internal, self
    #                         |   |   |   |   |   |    |   |    internal admin over admin
    "list_users":             "!!  --  --  --  --  +++  ++  +++  +",
    "sign_up":                "+!  ++  ++  ++  ++  +++  ++  +++  +",
    "read_me":                "!!  ++  ++  ++  ++  ++-  ++  +++  +",
    "read_user":              "!!  ..  ++  ..  ..  +++  ++  +++  +",
    "change_user":            "!!  ..  +-  ..  ..  ++-  ++  --+  +",
    "delete_user":            "!!  ..  ++  ..  ..  ++-  ++  --+  +",
    "list_teams":             "!!  ++  ++  ++  ++  +++  ++  +++  +",
    "create_team":            "!!  +-  +-  +-  +-  ++-  ++  +++  +",
    "read_team":              "!!  ..  ++  ++  ++  +++  ++  +++  +",
    "change_team":            "!!  ..  --  --  +-  ++-  ++  +++  +",
    "delete_team":            "!!  ..  --  --  +-  ++-  ++  +++  +",
    "list_members":           "!!  ..  ++  ++  ++  +++  ++  +++  +",
    "add_member":             "!!  ..  --  --  +-  ++-  ++  +++  +",
    "change_member":          "!!  ..  --  --  +-  ++-  ++  +++  +",
    "remove_member":          "!!  ..  ++  --  +-  ++-  ++  +++  +",
    "list_clients":           "!!  ++  ++  ++  ++  ++-  ++  +++  +",
    "create_client":          "!!  ++  ++  ++  ++  ++-  ++  +++  +",
    "read_client":            "!!  ..  ++  ..  ..  +.-  ++  ..+  +",
    "change_client":          "!!  ..  ++  ..  ..  +.-  ++  ..+  +",
    "delete_client":          "!!  ..  ++  ..  ..  +.-  ++  ..+  +",
    "create_client_secret":   "!!  ..  ++  ..  ..  +.-  ++  ..+  +",
    "list_authorizations":    "!!  ++  ++  ++  ++  ++-  ++  +++  +",
    "withdraw_authorization": "!!  ++  ++  ++  ++  ++-  ++  +++  +",
    "list_audit_events":      "!!  --  --  --  --  +--  ++  ---  +",
    "list_my_audit_events":   "!!  ++  ++  ++  ++  ++-  ++  +++  +",
}  # fmt: skip
EXPECTED = {id: dict(zip(KINDS, row.replace(" ", ""), strict=True)) for id, row in TABLE.items()}
SIGNS = {401: "!", 403: "-", 404: "."}

# The roles that a place gives where the path names a team, a user, a client, or what hangs on them.
# A new role is written here.
ROLES = {
    "team_id": {"target": {"member"}, "member": {"member"}, "leader": {"member", "leader"}},
    "user_id": {"target": {"self"}},
    "client_id": {"target": {"owner"}},
}

# The bodies with which nothing but permission is left to decide, where the first example of the
# definition is none.
BODIES: dict[str, Callable[[int], Any]] = {
    "sign_up": lambda number: {
        "username": f"new-{number}",
        "email": f"new-{number}@x.example",
        "password": PASSWORD,
        "recaptcha_key": "secret_key",
    },
    "add_member": lambda _: {"user_id": 3},
}

DEFINITION = loader.load("development")
PROTECTED = [operation for operation in DEFINITION.operations if operation.is_protected]
# What has no row fails in one test alone, which says so.
IN_TABLE = [operation for operation in PROTECTED if operation.id in TABLE]
PUBLIC = [operation for operation in DEFINITION.operations if not operation.is_protected]
password_hash = cache(passwords.hash_password)
numbers = count()

every_protected_operation = pytest.mark.parametrize(
    "operation", IN_TABLE, ids=[operation.id for operation in IN_TABLE]
)


@dataclass(frozen=True)
class World:
    """A path, what it may name (a target in a team, and its client), and a caller."""

    path: str
    team: int
    target: int
    client: str
    caller: int | None


def make_world(server: Server, kind: Kind, operation: Operation) -> World:
    """Store a team with a leader and the target, and the caller where it is neither of them.

    The target owns a client, which the caller has authorised. What else the path names is made too,
    and hangs on these.
    """

    def user(flags: Mapping[str, bool]) -> User:
        name = f"user-{next(numbers)}"
        return User(
            username=name, email=f"{name}@x.example", password_hash=password_hash(PASSWORD), **flags
        )

    people = {
        "leader": user(kind.flags if kind.place == "leader" else {}),
        "target": user(kind.flags if kind.place == "target" else kind.over),
    }
    if kind.place in {"outsider", "member"}:
        people[kind.place] = user(kind.flags)
    team = Team(title="Engines")
    with server.session() as session:
        session.add_all([team, *people.values()])
        session.flush()
        session.add_all(
            Member(team_id=team.id, user_id=person.id, is_leader=place == "leader")
            for place, person in people.items()
            if place != "outsider"
        )
        caller = people.get(kind.place)
        target = people["target"].id
        client, _ = Client.create(session, user_id=target, name="An app")
        if caller:
            Consent.remember(session, caller.id, client.id, ["users:read"])
        path = examples.path_of(
            operation,
            {"team_id": team.id, "user_id": target, "client_id": client.client_id},
            {"teams": team.id, "users": target, "clients": client.id},
            examples.made(session),
        )
        session.commit()
        path = path.removeprefix(API)
        return World(path, team.id, target, client.client_id, caller.id if caller else None)


def right_request(operation: Operation) -> dict[str, Any]:
    """Return the options of a request of which nothing but permission is left to decide."""
    make = BODIES.get(operation.id)
    return examples.request_of(operation, make and make(next(numbers)))


def caller_of(server: Server, kind: Kind, world: World, scope: str = SCOPES) -> Person:
    if kind.place == "nobody":
        return server.nobody
    return server.caller(world.caller, scope)


def sign(answer: Any) -> str:
    """Return the table's sign for an answer; a status that it does not have stands for itself."""
    return "+" if answer.is_success else SIGNS.get(answer.status_code, str(answer.status_code))


def allowed(answer: Any) -> set[str]:
    """Return the methods in the header Allow."""
    return {method for method in answer.headers.get("allow", "").split(", ") if method}


def is_open_to_anyone(path: str) -> bool:
    """Tell whether some operation of a path needs no token, so that OPTIONS needs none either."""
    return any(
        EXPECTED[operation.id]["nobody"] == "+" for operation in IN_TABLE if operation.path == path
    )


def without_scopes_of(operation: Operation) -> str:
    return " ".join(scope for scope in SCOPES.split() if scope not in operation.scopes)


# The table and the definition


def roles_of(kind: Kind, operation: Operation) -> set[str]:
    """Return the roles of a kind of caller, those over the object that the path names too."""
    if kind.place in {"nobody", "service"}:
        return {"newcomer", kind.place}
    flags = {"is_regular_user": True, **kind.flags}
    roles = {"newcomer", "user", *(["writer"] if any(flags.values()) else [])}
    roles |= {role for role in ("admin", "internal") if flags.get(f"is_{role}")}
    if operation.permission.object:
        for parameter in re.findall(r"\{(\w+)\}", operation.path):
            roles |= ROLES.get(parameter, {}).get(kind.place, set())
    return roles


def declared(operation: Operation, kind: Kind) -> str:
    """Return the sign that the definition's `x-permission` gives a kind of caller."""
    declaration = operation.spec["x-permission"]
    roles = roles_of(kind, operation)
    if kind.flags.get("is_active") is False:
        return "!"
    if kind.place == "nobody" and {} not in operation.spec["security"]:
        return "!"
    if "sees" in declaration and not roles & set(declaration["sees"]):
        return "."
    if declaration.get("or") in roles:
        return "+"
    helpful = roles & set(declaration.get("may", declaration.get("sees")))
    standing = {role for role in ("admin", "internal") if kind.over.get(f"is_{role}")}
    for role, stronger in declaration.get("not_over", {}).items():
        if standing & set(stronger):
            helpful.discard(role)
    return "+" if helpful and declaration.get("and", "newcomer") in roles else "-"


def test_the_table_has_every_operation_that_asks_for_a_token() -> None:
    missing = [row_of(operation) for operation in PROTECTED if operation not in IN_TABLE]
    gone = TABLE.keys() - {operation.id for operation in PROTECTED}

    assert not missing, (
        "Add rows to TABLE in tests/handlers/test_roles.py. The definition declares these; look"
        " whether it is what you mean:\n" + "\n".join(missing)
    )
    assert not gone, f"Remove the rows {sorted(gone)} from TABLE in tests/handlers/test_roles.py."


def row_of(operation: Operation) -> str:
    """Return the row that an operation has as the definition declares it."""
    signs = iter(declared(operation, kind) for kind in KINDS.values())
    groups = ("".join(islice(signs, width)) for width in (2, 2, 2, 2, 2, 3, 2, 3, 1))
    name = f'"{operation.id}":'
    return f'    {name:25} "{"  ".join(groups)}",'


@every_protected_operation
def test_the_definition_declares_what_the_table_says(operation: Operation) -> None:
    assert {name: declared(operation, kind) for name, kind in KINDS.items()} == (
        EXPECTED[operation.id]
    )


@pytest.mark.parametrize("operation", PUBLIC, ids=[operation.id for operation in PUBLIC])
def test_all_other_operations_are_declared_to_be_for_anyone(operation: Operation) -> None:
    assert operation.spec["x-permission"] == {"may": ["anyone"]}


# The table and the server


@every_protected_operation
def test_the_server_answers_as_the_table_says(server: Server, operation: Operation) -> None:
    answered = {}
    for name, kind in KINDS.items():
        world = make_world(server, kind, operation)
        caller = caller_of(server, kind, world)
        answer = caller.request(operation.method, world.path, **right_request(operation))
        answered[name] = sign(answer)

    assert answered == EXPECTED[operation.id]


@every_protected_operation
def test_options_allows_what_the_table_says(server: Server, operation: Operation) -> None:
    allowing = {}
    for name, kind in KINDS.items():
        world = make_world(server, kind, operation)
        answer = caller_of(server, kind, world).request("OPTIONS", world.path)
        refused = sign(answer) if answer.is_error else "-"
        allowing[name] = "+" if operation.method in allowed(answer) else refused

    expected = EXPECTED[operation.id]
    if is_open_to_anyone(operation.path):
        expected = {**expected, "nobody": expected["nobody"].replace("!", "-")}
    assert allowing == expected


@pytest.mark.one_database
@every_protected_operation
def test_a_token_without_the_scope_opens_nothing(server: Server, operation: Operation) -> None:
    scope = without_scopes_of(operation)
    answered = {}
    for name, kind in KINDS.items():
        world = make_world(server, kind, operation)
        caller = caller_of(server, kind, world, scope)
        answer = caller.request(operation.method, world.path, **right_request(operation))
        answered[name] = sign(answer)
        if answered[name] == "-":
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
            assert f'scope="{" ".join(operation.scopes)}"' in answer.headers["www-authenticate"]

    as_nobody = EXPECTED[operation.id]["nobody"].replace("!", "-")
    identity = {name: EXPECTED[operation.id][name] for name in ("nobody", "inactive")}
    assert answered == {**dict.fromkeys(KINDS, as_nobody), **identity}


@pytest.mark.one_database
@every_protected_operation
def test_options_knows_of_scopes(server: Server, operation: Operation) -> None:
    scope = without_scopes_of(operation)
    for kind in KINDS.values():
        world = make_world(server, kind, operation)
        caller = caller_of(server, kind, world, scope)
        is_open = EXPECTED[operation.id]["nobody"] == "+"
        is_dead = kind.flags.get("is_active") is False

        answer = caller.request("OPTIONS", world.path)

        assert (operation.method in allowed(answer)) is (is_open and not is_dead)


# Around the table


def test_options_lists_every_method_that_the_caller_may_use(server: Server) -> None:
    ada, bob = server.person("ada"), server.person("bob")
    url = f"/teams/{server.team('Engines', ada, bob)}"

    assert allowed(ada.request("OPTIONS", url)) == {"OPTIONS", "GET", "HEAD", "PATCH", "DELETE"}
    assert allowed(bob.request("OPTIONS", url)) == {"OPTIONS", "GET", "HEAD"}
    assert allowed(bob.request("OPTIONS", "/users")) == {"OPTIONS", "POST"}
    assert allowed(bob.request("OPTIONS", "/teams/")) == {"OPTIONS", "GET", "HEAD", "POST"}


def test_options_has_no_body_and_no_content_type(server: Server) -> None:
    answer = server.admin.request("OPTIONS", "/users")

    assert answer.status_code == 204
    assert answer.content == b""
    assert "content-type" not in answer.headers


def test_options_takes_body_captcha_and_password_for_right(server: Server) -> None:
    ada = server.person("ada")
    bob = server.person("bob")
    team = server.team("Engines", ada, bob)

    assert "POST" in allowed(server.nobody.request("OPTIONS", "/users"))
    assert "PATCH" in allowed(ada.request("OPTIONS", f"/users/{ada.id}"))
    # Nothing conflicts here, though each of these would be answered with 409.
    assert "DELETE" in allowed(ada.request("OPTIONS", f"/users/{ada.id}"))
    assert "DELETE" in allowed(ada.request("OPTIONS", f"/teams/{team}/members/{ada.id}"))
    assert "DELETE" in allowed(server.admin.request("OPTIONS", "/users/1"))


def test_options_of_an_absent_object_is_absent_to_all(server: Server) -> None:
    for who in (server.admin, server.caller(3), server.caller(None)):
        for path in ("/users/4711", "/teams/4711", "/teams/4711/members/1"):
            assert who.request("OPTIONS", path).status_code == 404


# The pages ask for a session and genuine forms, introspection for a client's secret.
FREE = [
    operation
    for operation in PUBLIC
    if operation.error_media_type != "text/html" and operation.id != "introspect_token"
]


@pytest.mark.parametrize("operation", FREE, ids=[operation.id for operation in FREE])
def test_a_public_operation_asks_for_no_token(client: CheckedClient, operation: Operation) -> None:
    forms = {
        "issue_token": {
            "grant_type": "password",
            "client_id": "documentation",
            "username": "root",
            "password": "q",
        },
        "revoke_token": {"client_id": "documentation", "token": "unknown"},
    }
    form = forms.get(operation.id, {})
    query = forms["issue_token"] if operation.id == "issue_token_by_get" else {}
    body = {"data": form} if form else {}

    answer = client.request(operation.method, operation.path, params=query, **body)

    assert answer.status_code == operation.success[0]


def test_roles_are_looked_up_anew_with_each_request(server: Server) -> None:
    ada = server.person("ada")
    answered = []

    for is_admin in (False, True, False):
        with server.session() as session:
            session.get_one(User, ada.id).is_admin = is_admin
            session.commit()
        answered.append(ada.get("/users").status_code)

    assert answered == [403, 200, 403]

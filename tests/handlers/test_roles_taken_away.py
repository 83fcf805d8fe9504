"""Roles that are taken away while a request is under way: it is judged on what is when it writes.

The table of who may do what is walked again, for every operation that writes. The caller may when
the request arrives; just before it writes, somebody else commits that the caller may no longer.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import Table, delete, select, text, update
from sqlalchemy.orm import Session

from models import Base, Client, Grant, Member, Team, Token, User
from roster.contract.operation import Operation
from roster.http.context import current
from tests.handlers.test_roles import (
    EXPECTED,
    IN_TABLE,
    KINDS,
    READER,
    Kind,
    World,
    caller_of,
    make_world,
    right_request,
    sign,
)
from tests.interleaving import before_begin
from tests.serving import PASSWORD, Person, Serve, Server

pytestmark = pytest.mark.slow

DEADLINE = 20.0  # seconds
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

WRITING = [operation for operation in IN_TABLE if operation.method != "GET"]
every_operation_that_writes = pytest.mark.parametrize(
    "operation", WRITING, ids=[operation.id for operation in WRITING]
)


@dataclass(frozen=True)
class Taking:
    """Something that takes a caller's role away, and the kind of caller that is left.

    `leaves` tells which that is, or None where it takes nothing away from such a caller.
    """

    act: Callable[[Session, World], Any]
    leaves: Callable[[Kind, Operation], Kind | None]


def flags_taken(session: Session, world: World) -> None:
    values = {"is_admin": False, "is_internal": False, "is_regular_user": False}
    session.execute(update(User).where(User.id == world.caller).values(values))


def deactivated(session: Session, world: World) -> None:
    session.execute(update(User).where(User.id == world.caller).values(is_active=False))


def account_deleted(session: Session, world: World) -> None:
    session.execute(delete(User).where(User.id == world.caller))


def grant_ended(session: Session, world: World) -> None:
    session.execute(delete(Grant).where(Grant.user_id == world.caller))


def token_revoked(session: Session, world: World) -> None:
    mine = select(Grant.id).where(Grant.user_id == world.caller)
    session.execute(delete(Token).where(Token.grant_id.in_(mine)))


def expelled(session: Session, world: World) -> None:
    mine = (Member.team_id == world.team, Member.user_id == world.caller)
    session.execute(delete(Member).where(*mine))


def leads_no_longer(session: Session, world: World) -> None:
    mine = (Member.team_id == world.team, Member.user_id == world.caller)
    session.execute(update(Member).where(*mine).values(is_leader=False))


def client_given_away(session: Session, world: World) -> None:
    session.execute(update(Client).where(Client.client_id == world.client).values(user_id=1))


def target_raised(session: Session, world: World) -> None:
    session.execute(update(User).where(User.id == world.target).values(is_admin=True))


NOBODY_NOW = KINDS["inactive"]


def is_about(operation: Operation, parameter: str) -> bool:
    """Tell whether an operation is judged by an object that a parameter of its path leads to."""
    return operation.permission.object is not None and f"{{{parameter}}}" in operation.path


TAKINGS = {
    "its flags": Taking(flags_taken, lambda kind, _: replace(kind, flags=READER, over={})),
    "its activity": Taking(deactivated, lambda *_: NOBODY_NOW),
    "its account": Taking(account_deleted, lambda *_: NOBODY_NOW),
    "its grant": Taking(grant_ended, lambda *_: NOBODY_NOW),
    "its token": Taking(token_revoked, lambda *_: NOBODY_NOW),
    "its membership": Taking(
        expelled,
        lambda kind, operation: (
            replace(kind, place="outsider")
            if is_about(operation, "team_id") and kind.place in {"leader", "member"}
            else None
        ),
    ),
    "its leadership": Taking(
        leads_no_longer,
        lambda kind, operation: (
            replace(kind, place="member")
            if is_about(operation, "team_id") and kind.place == "leader"
            else None
        ),
    ),
    "its client": Taking(
        client_given_away,
        lambda kind, operation: (
            replace(kind, place="outsider", over=kind.flags)
            if is_about(operation, "client_id") and kind.place == "target"
            else None
        ),
    ),
    "its power over the target": Taking(
        target_raised,
        lambda kind, operation: (
            KINDS["internal over admin"]
            if operation.permission.object == "user" and kind == KINDS["internal"]
            else None
        ),
    ),
}


def sign_of(operation: Operation, kind: Kind) -> str:
    """Return the table's sign for a kind; what the target is matters to some kinds only."""
    for wanted in (kind, replace(kind, over={})):
        for name, each in KINDS.items():
            if each == wanted:
                return EXPECTED[operation.id][name]
    raise LookupError(kind)


def walk(operation: Operation) -> Iterator[tuple[str, Taking, Kind, str]]:
    """Go through the callers who may, what is taken from them, and what they are answered then."""
    for name, kind in KINDS.items():
        if EXPECTED[operation.id][name] != "+" or kind.place in {"nobody", "service"}:
            continue
        for what, taking in TAKINGS.items():
            left = taking.leaves(kind, operation)
            if left is not None:
                yield f"{name}: {what}", taking, kind, sign_of(operation, left)


def rows(server: Server) -> dict[str, list[Any]]:
    """Return all that is in the database."""
    tables: Mapping[str, Table] = Base.metadata.tables
    with server.app.engine.connect() as connection:
        return {
            name: sorted(connection.execute(select(table)).all(), key=repr)
            for name, table in tables.items()
        }


@dataclass
class Interruption:
    """What is done once, as soon as a request is about to write, and what is left then."""

    server: Server
    world: World
    act: Callable[[Session, World], Any]
    left: dict[str, list[Any]] | None = None

    def __call__(self) -> None:
        if self.left is not None or current.get(None) is None:
            return
        self.left = {}
        with self.server.app.engine.begin() as connection, Session(connection) as session:
            self.act(session, self.world)
            session.flush()
        self.left = rows(self.server)


def send(operation: Operation, caller: Person, world: World) -> Any:
    return caller.request(operation.method, world.path, **right_request(operation))


@every_operation_that_writes
def test_who_may_no_longer_when_it_writes_writes_nothing(
    server: Server, operation: Operation
) -> None:
    wrong, written = {}, []

    for name, taking, kind, expected in walk(operation):
        world = make_world(server, kind, operation)
        caller = caller_of(server, kind, world)
        interruption = Interruption(server, world, taking.act)
        with before_begin(interruption):
            answered = sign(send(operation, caller, world))
        assert interruption.left is not None
        if answered != expected:
            wrong[name] = f"{answered} instead of {expected}"
        if expected != "+" and rows(server) != interruption.left:
            written.append(name)

    assert not wrong, str(wrong)
    assert not written


@pytest.mark.parametrize("serve", ["postgresql"], indirect=True)
@every_operation_that_writes
def test_who_waits_for_what_takes_a_role_away_is_judged_afterwards(
    server: Server, operation: Operation
) -> None:
    wrong = {}

    for name, taking, kind, expected in walk(operation):
        world = make_world(server, kind, operation)
        caller = caller_of(server, kind, world)
        with ThreadPoolExecutor(1) as threads, server.session() as session:
            # As whoever takes a role away does: users, then clients, then teams.
            User.lock(session, *{world.caller or 0, world.target})
            client = Client.find(session, world.client)
            assert client
            Client.lock(session, client.id)
            Team.lock(session, world.team)
            taking.act(session, world)
            session.flush()
            request = threads.submit(send, operation, caller, world)
            waited = waits(server, request)
            session.commit()
            answered = sign(request.result(DEADLINE))
        # Where it needs none of the locks, it comes before the other one.
        if answered != (expected if waited else "+"):
            wrong[name] = f"{answered} instead of {expected}"

    assert not wrong, str(wrong)


def test_who_is_no_admin_any_more_signs_nobody_up_in_an_admins_way(serve: Serve) -> None:
    server = serve(signup="closed")
    body = {"username": "ada", "email": "ada@x.example", "password": PASSWORD}
    [sign_up] = [operation for operation in WRITING if operation.id == "sign_up"]

    for taking, status in ((flags_taken, 403), (deactivated, 401), (grant_ended, 401)):
        world = make_world(server, KINDS["admin"], sign_up)
        admin = server.caller(world.caller)
        with before_begin(Interruption(server, world, taking)):
            assert admin.post("/users", body).status_code == status

    with server.session() as session:
        assert User.find_by_login(session, "ada") is None


def waits(server: Server, request: Future[Any]) -> bool:
    """Tell whether a request comes to wait for a lock, or ends without."""
    ends = monotonic() + DEADLINE
    # Each time anew: within a transaction the answer would stay as it was.
    with server.app.engine.connect() as connection:
        while not request.done() and monotonic() < ends:
            if connection.scalar(text(WAITING)):
                return True
            sleep(0.002)
    return False

"""Requests that schemathesis makes up from the definition, one by one and in chains."""

import json
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.auths import AuthContext
from schemathesis.checks import CheckFunction, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.hypothesis.reporting import ignore_hypothesis_output
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source
from schemathesis.specs.openapi.checks import (
    ensure_resource_availability,
    positive_data_acceptance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema
from sqlalchemy.orm import Session
from starlette.types import Receive, Scope, Send

from models import Client, Grant, Team, Token, User
from models.database.base import now
from models.oauth import bearer
from models.oauth.token import ACCESS, digest, generate
from roster.contract import loader
from tests.fuzzing.formats import add_formats, has_odd_tag
from tests.fuzzing.meeting import meet_what_is_there
from tests.scopes import ALL_SCOPES
from tests.serving import PASSWORD, Server, empty

pytestmark = pytest.mark.slow

# The word that stands for an admin's token in the requests.
ADMIN = "the-token-of-an-admin"

# What may be answered to a request that is as its schema has it; 412 is for another version than
# the one at hand, 422 for rules that no schema tells, and 429 for the wrong passwords of requests
# before.
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "412", "422", "429"]

# Where a check does not hold, and why.
OPERATIONS: list[dict[str, Any]] = [
    {
        # RFC 6749 has the parameters judged by the grant, and errors told in a form of its own; so
        # the definition lets any form through, and 400 is right for most of them.
        "include-operation-id": [
            "issue_token",
            "issue_token_by_get",
            "revoke_token",
            "introspect_token",
        ],
        "checks": {"positive_data_acceptance": {"enabled": False}},
    },
    {
        # What the pages take was made by the pages before: a registered client, a form's code.
        "include-operation-id": [
            "show_authorization",
            "decide_authorization",
            "show_login",
            "log_in",
            "log_out",
        ],
        "checks": {"positive_data_acceptance": {"enabled": False}},
    },
]
WITHOUT_A_TOKEN = {
    # Allow lists what the caller may do, and who has no token may only sign up here.
    "include-path": "/api/v1/users",
    "checks": {"allow_header_conformance": {"enabled": False}},
}


def excluded_checks(case: Case[Any]) -> list[CheckFunction]:
    """Return the checks that do not hold for a request, whatever its operation."""
    # A cursor is opaque: what this server has not made for this very list is refused.
    # Members of a patch that mean nothing may be called anything, but no body holds a NUL.
    has_nul = isinstance(case.body, list) and "\\u0000" in json.dumps(case.body)
    is_odd = has_nul or has_odd_tag(case) or "cursor" in (case.query or {})
    return [positive_data_acceptance] if is_odd else []


# With these a team can go, though nobody deletes it: it goes with its last member.
TAKE_OTHERS_ALONG = {
    "DELETE /api/v1/users/{user_id}",
    "DELETE /api/v1/teams/{team_id}/members/{user_id}",
}

add_formats()


class UnderTest:
    """The server of the test at hand, as an ASGI application that knows who ADMIN is.

    Requests are made up long before they are sent, and what they do may end the very token that
    they came with. So they carry a word for it, and get a token that works at the last moment.
    """

    server: Server
    token = ""
    numbers = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; the server's own life is not of this application."""
        if scope["type"] != "http":
            return
        headers = [
            (name, f"Bearer {self._living_token()}".encode())
            if value == f"Bearer {ADMIN}".encode()
            else (name, value)
            for name, value in scope["headers"]
            if name != b"host"  # of schemathesis, which no development server answers to
        ]
        await self.server.app({**scope, "headers": headers}, receive, send)

    def begin(self) -> None:
        """Begin anew, with the development data, an admin and some teams."""
        app = self.server.app
        empty(app.engine, app.settings.origin, app.settings.port)
        self.numbers = count()
        self.token = ""
        with self.server.session() as session:
            self.token = self._new_token(session)
            users = [session.get_one(User, id) for id in (1, 3, 4, 5)]
            for number, leader in enumerate(users):
                made = Team.create(session.connection(), title="Analytical Engine", leader=leader)
                team = session.get_one(Team, made.id)
                for user in users[:number]:
                    team.add(session, user.id, is_leader=number == 3)
            session.commit()

    def _living_token(self) -> str:
        with self.server.session() as session:
            caller = bearer.caller_of(session.connection(), self.token)
            root = session.get(User, 1)
            if caller is None or not caller.is_admin or root is None or root.password_version:
                self.token = self._new_token(session)
                session.commit()
        return self.token

    def _new_token(self, session: Session) -> str:
        """Make a new admin and log it in, without a client that others could delete."""
        name = f"admin{next(self.numbers)}"
        admin = User.create(
            session,
            username=name,
            email=f"{name}@example.com",
            password=PASSWORD,
            is_admin=True,
        )
        client, _ = Client.create(session, user_id=admin.id, name="Test")
        ends = now() + timedelta(hours=1)
        scope = " ".join(ALL_SCOPES)
        grant = Grant(client_id=client.id, user_id=admin.id, scope=scope, expires_at=ends)
        session.add(grant)
        session.flush()
        token = generate()
        session.add(
            Token(hash=digest(token), kind=ACCESS, grant_id=grant.id, scope=scope, expires_at=ends)
        )
        session.flush()
        return token


under_test = UnderTest()


class Admin:
    """The admin as schemathesis sees it."""

    def get(self, _case: Case[Any], context: AuthContext) -> str | None:
        """Return the word for the admin's token, where there is a use for one."""
        security = context.operation.definition.raw["security"]
        return ADMIN if any("oauth2" in scheme for scheme in security) else None

    def set(self, case: Case[Any], token: str, _context: AuthContext) -> None:
        """Send the word."""
        case.headers["Authorization"] = f"Bearer {token}"


def load(
    examples: int,
    *,
    phases: Sequence[str] = ("examples", "coverage", "fuzzing"),
    operations: Sequence[dict[str, Any]] = OPERATIONS,
    is_admin: bool = True,
) -> OpenApiSchema:
    """Load the definition, for so many requests at random to each operation."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "generation": {"deterministic": True, "database": "none", "max-examples": examples},
            "phases": {
                "enabled": False,
                **{phase: {"enabled": True} for phase in phases},
            },
            "operations": [*operations],
            "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
        }
    )
    document = loader.load("development").document
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.app = under_test
    if is_admin:
        schema.auth.auth(refresh_interval=None)(Admin)
    return schema


@pytest.fixture
def fresh(server: Server) -> None:
    """Put the server of the test in the place of the one before, with fresh data."""
    under_test.server = server
    under_test.begin()


unhurried = settings(deadline=None, suppress_health_check=list(HealthCheck))
on_sqlite = pytest.mark.parametrize("serve", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("serve", ["postgresql"], indirect=True)

every_operation = pytest.mark.parametrize(
    ("method", "path"),
    [(each.method, each.path) for each in loader.load("development").operations],
    ids=lambda part: part,
)


@unhurried
def send(case: Case[Any]) -> None:
    """Send a request and hold the answer against the definition, by every check that holds."""
    meet_what_is_there(case, PASSWORD)
    answer = case.call_and_validate(excluded_checks=excluded_checks(case))
    is_admin = answer.request.headers.get("Authorization") == f"Bearer {ADMIN}"
    assert not (is_admin and answer.status_code == 401)


def send_all(schema: OpenApiSchema, method: str, path: str) -> None:
    """Make up the requests to one operation, and send them.

    schemathesis would make up those to all operations when tests are collected, in each process
    that runs some of them.
    """
    load_all_checks()
    test = build_operation_test(
        config=schema.config,
        operation=schema[path][method],
        test_func=send,
        given_kwargs={},
        feedback=FeedbackSources(constants_value_source=make_constants_value_source(schema)),
    )
    with ignore_hypothesis_output():
        test()


@cache
def by_admin() -> OpenApiSchema:
    return load(40)


@cache
def by_nobody() -> OpenApiSchema:
    return load(10, operations=[*OPERATIONS, WITHOUT_A_TOKEN], is_admin=False)


@cache
def by_admin_on_postgresql() -> OpenApiSchema:
    return load(5, phases=["examples", "fuzzing"])


@every_operation
@on_sqlite
@pytest.mark.usefixtures("fresh")
def test_requests_of_an_admin(method: str, path: str) -> None:
    send_all(by_admin(), method, path)


@every_operation
@on_sqlite
@pytest.mark.usefixtures("fresh")
def test_requests_without_a_token(method: str, path: str) -> None:
    send_all(by_nobody(), method, path)


@every_operation
@on_postgresql
@pytest.mark.usefixtures("fresh")
def test_requests_of_an_admin_on_postgresql(method: str, path: str) -> None:
    send_all(by_admin_on_postgresql(), method, path)


def chain() -> Any:
    """Make the class of requests that follow the definition's links, each chain on fresh data."""

    class Chain(load(1, phases=["stateful"]).as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            under_test.begin()
            self.somebody_went = False

        def before_call(self, case: Case[Any]) -> None:
            meet_what_is_there(case, PASSWORD)

        def validate_response(self, response: Response, case: Case[Any], **options: Any) -> None:
            excluded = excluded_checks(case)
            if self.somebody_went:
                excluded.append(ensure_resource_availability)
            if case.operation.label in TAKE_OTHERS_ALONG and response.status_code == 204:
                self.somebody_went = True
            case.validate_response(
                response,
                excluded_checks=excluded,
                transport_kwargs=options,
                recorder=self.recorder,
            )

    return Chain


@pytest.mark.parametrize(
    ("serve", "chains"), [("sqlite", 75), ("postgresql", 15)], indirect=["serve"]
)
@pytest.mark.usefixtures("fresh")
def test_chains_of_requests(chains: int) -> None:
    chain().run(
        settings=settings(
            unhurried,
            max_examples=chains,
            stateful_step_count=8,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
        )
    )

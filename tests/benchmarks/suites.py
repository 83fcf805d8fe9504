"""The two parts of the benchmark: the API and the authorization server, each with its own peers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks import authorization, data, operations, prepared, servers, verify
from tests.benchmarks.data import Data
from tests.benchmarks.operations import Operation
from tests.benchmarks.servers import Kind, Server
from tests.benchmarks.verify_authorization import verify_authorization


@dataclass(frozen=True)
class Suite:
    """A part of the benchmark: what it measures, and of which servers.

    `prepare` makes so many secrets of a kind for a server. The operations that are `stormed` are
    measured beside logins, too; those that are `shown` are in the picture, above the `note`. The
    `differences` between the servers' work are told below the figures.
    """

    name: str
    label: str
    kinds: tuple[Kind, ...]
    names: tuple[str, ...]
    operations: Callable[[Data], list[Operation]]
    verify: Callable[[list[Server], Data], None]
    prepare: Callable[[Server, str, int], Sequence[str]]
    stormed: tuple[str, ...]
    shown: tuple[str, ...]
    note: str
    differences: tuple[str, ...] = ()


API = Suite(
    "api",
    "the API",
    servers.KINDS,
    ("users_me", "users", "team", "create_team", "mix", "password", "refresh"),
    operations.operations,
    verify.verify,
    lambda server, _what, count: data.refresh_tokens(server.database_url, count),
    ("users_me",),
    # Token requests are left out: they measure the password hash, or have no goal.
    ("users_me", "users", "team", "create_team", "mix"),
    "The limit: a bare ASGI callable with a raw database driver and orjson.",
)
AUTHORIZATION = Suite(
    "authorization",
    "the authorization server",
    servers.AUTHORIZATION_KINDS,
    (
        *("client_credentials", "code", "rotation", "introspect_live", "introspect_dead"),
        *("revoke", "login_page", "consent_to_code"),
    ),
    authorization.operations,
    verify_authorization,
    prepared.prepare,
    ("rotation", "introspect_live"),
    ("client_credentials", "code", "rotation", "introspect_live", "consent_to_code"),
    "oidc-provider in memory stores nothing. Authlib's example remembers no consent.",
    (
        "Roster stores tokens, codes, sessions and secrets as SHA-256, the peers as they are.",
        "Roster records each consent that it uses, and counts requests by address and by token.",
        "Roster ends the oldest of 100 grants of a client and a user, of about 1,000 of a service.",
        "Authlib refuses a refresh token that comes back; the others end its family, too.",
        "Django's consent is remembered as long as a token lives; Authlib's example has none.",
        "oidc-provider's clients are in its configuration. Its cookies are not signed.",
    ),
)
SUITES = {suite.name: suite for suite in (API, AUTHORIZATION)}

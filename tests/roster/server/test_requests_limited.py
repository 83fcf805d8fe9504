"""Requests are limited by address and by token, at each operation that does not say otherwise."""

import re
import threading
from typing import Any
from unittest.mock import Mock

import pytest

from roster.contract import loader
from roster.contract.operation import Operation
from roster.http.errors import PROBLEM
from tests.redis_server import frozen
from tests.roster.raw import ask, body_of, converse, http_scope
from tests.serving import Serve, Server

pytestmark = pytest.mark.one_database

OPERATIONS = loader.load("development").operations
LIMITED = [each for each in OPERATIONS if each.is_rate_limited]
PROTECTED = [each for each in LIMITED if each.is_protected and not each.is_open]
FREE = [each for each in OPERATIONS if not each.is_rate_limited]

# The fields as structured fields (RFC 9651): a list of strings with integers as parameters.
LIMIT = re.compile(r'"(address|token)";r=(\d+);t=(\d+)')
POLICY = re.compile(r'"(address|token)";q=(\d+);w=60')


def every(operations: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", operations, ids=lambda each: each.id)


def path_of(operation: Operation) -> str:
    """Return a path of an operation: its parameters are numbers or texts."""
    return re.sub(r"{\w+}", "1", operation.path)


def left(answer: Any) -> dict[str, int]:
    """Return how many requests are left by the name of the policy; check both headers."""
    limits = [LIMIT.fullmatch(each) for each in answer.headers["ratelimit"].split(", ")]
    policies = [POLICY.fullmatch(each) for each in answer.headers["ratelimit-policy"].split(", ")]
    found = {each[1]: int(each[2]) for each in limits if each}
    assert len(found) == len(limits)
    assert [each[1] for each in policies if each] == [*found]
    assert all(each is None or 0 < int(each[3]) <= 60 for each in limits)
    return found


def check_refused(answer: Any, operation: Operation) -> None:
    """Check the form of a 429; the definition's own check is made by who asked."""
    assert answer.status_code == 429
    assert answer.headers["content-type"].partition(";")[0] == operation.error_media_type
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert 0 in left(answer).values()
    if operation.error_media_type == PROBLEM:
        assert answer.json()["title"] == "Too Many Requests"
    elif "json" in operation.error_media_type:
        assert answer.json()["error"] == "temporarily_unavailable"
        assert answer.headers["cache-control"] == "no-store"


# Each operation


@every(LIMITED)
def test_an_address_that_sends_too_many_requests_is_refused(
    serve: Serve, operation: Operation
) -> None:
    app = serve(rate_per_address=1).app
    ask(app, "GET", "/")

    answer = ask(app, operation.method, path_of(operation))

    check_refused(answer, operation)
    assert left(answer) == {"address": 0}


@every(PROTECTED)
def test_a_token_that_is_used_too_often_is_refused(serve: Serve, operation: Operation) -> None:
    server = serve(rate_per_token=1)
    admin = server.admin
    assert left(admin.get("/users/me"))["token"] == 0
    headers = [(name.lower().encode(), text.encode()) for name, text in admin.headers.items()]

    answer = ask(server.app, operation.method, path_of(operation), headers=headers)

    check_refused(answer, operation)
    assert left(answer)["token"] == 0


@every(FREE)
def test_what_monitoring_asks_is_never_refused(serve: Serve, operation: Operation) -> None:
    app = serve(rate_per_address=1, rate_per_token=1).app

    for _ in range(3):
        answer = ask(app, operation.method, operation.path)
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("ratelimit")]
    assert {each.id for each in FREE} == {"read_health", "read_readiness", "read_metrics"}


@every(OPERATIONS)
def test_each_answer_of_a_limited_operation_declares_the_headers(operation: Operation) -> None:
    declared = [
        {"RateLimit", "RateLimit-Policy"} & each.get("headers", {}).keys()
        for each in operation.spec["responses"].values()
    ]

    assert all(declared) if operation.is_rate_limited else not any(declared)
    assert operation.is_rate_limited == ("429" in operation.spec["responses"])


# What counts


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/v1/openapi.json", "/api/v1/users/me"])
def test_other_methods_count_too(serve: Serve, method: str, path: str) -> None:
    app = serve(rate_per_address=2).app

    for number in (1, 0):
        answer = ask(app, method, path)
        assert answer.status_code != 429
        assert left(answer) == {"address": number}
    assert ask(app, method, path).status_code == 429


def test_a_method_that_is_not_for_the_path_does_nothing_and_counts_for_nothing(
    serve: Serve,
) -> None:
    app = serve(rate_per_address=1).app

    assert [ask(app, "PUT", "/").status_code for _ in range(3)] == [405, 405, 405]


def test_options_counts_for_the_token(serve: Serve) -> None:
    admin = serve(rate_per_token=2).admin

    assert [admin.request("OPTIONS", "/users").status_code for _ in range(3)] == [204, 204, 429]


def test_errors_count_and_tell_what_is_left(server: Server) -> None:
    admin = server.admin
    answers = [
        admin.get("/users/99999"),
        admin.get("/users", params={"limit": "none"}),
        admin.post("/teams", {"no": 1}),
        server.nobody.get("/users/me"),
        server.client.post("/auth/oauth2/token", data={"grant_type": "none"}),
        server.client.post("/auth/login", data={}),
        server.client.post("/api/v1/users", content=b" " * (1024 * 1024 + 1)),
    ]

    assert [each.status_code for each in answers] == [404, 400, 400, 401, 400, 403, 413]
    assert [left(each)["address"] for each in answers] == [*range(59_999, 59_992, -1)]


def test_what_is_computed_in_threads_of_its_own_counts_once(server: Server) -> None:
    user = server.user("ada")
    ada = server.caller(user)
    proof = {"op": "test", "path": "/current_password", "value": "wrong"}
    change = {"op": "replace", "path": "/first_name", "value": "Ada"}

    answer = ada.patch(f"/users/{user}", proof, change)

    assert left(answer) == {"address": 59_999, "token": 29_999}


def test_two_tokens_have_counts_of_their_own_and_a_refreshed_one_that_of_the_last(
    serve: Serve,
) -> None:
    server = serve(rate_per_token=3)
    form = {"client_id": "documentation", "username": "root", "password": "q"}

    def get_token(**form: str) -> Any:
        return server.client.post("/auth/oauth2/token", data=form).json()

    def left_with(token: Any) -> int:
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        return left(server.client.get("/api/v1/users/me", headers=bearer))["token"]

    first, second = (get_token(grant_type="password", **form) for _ in range(2))
    assert [left_with(first), left_with(first), left_with(second)] == [2, 1, 2]
    refreshed = get_token(
        grant_type="refresh_token",
        client_id="documentation",
        refresh_token=first["refresh_token"],
    )
    assert left_with(refreshed) == 0


def test_where_a_token_may_be_left_out_the_address_alone_counts(server: Server) -> None:
    assert left(server.admin.post("/users", {})) == {"address": 59_999}


def test_a_service_has_one_count_for_all_its_tokens(server: Server) -> None:
    answers = [server.caller(None).get("/users") for _ in range(2)]

    assert [left(each)["token"] for each in answers] == [29_999, 29_998]


def test_addresses_are_counted_apart_and_networks_of_ipv6_together(serve: Serve) -> None:
    app = serve(rate_per_address=10, trusted_proxies=1).app

    def left_for(address: str) -> int:
        headers = [(b"x-forwarded-for", b"198.51.100.9, " + address.encode())]
        return left(ask(app, "GET", "/", headers=headers))["address"]

    assert [left_for("192.0.2.1"), left_for("192.0.2.1:99"), left_for("192.0.2.2")] == [9, 8, 9]
    assert [left_for("2001:db8::1"), left_for("2001:db8::2"), left_for("2001:db8:0:1::")] == [
        *(9, 8, 9)
    ]


def test_no_limit_is_a_setting(serve: Serve) -> None:
    server = serve(rate_per_address=0, rate_per_token=0)
    answer = server.admin.get("/users/me")
    assert not [name for name in answer.headers if name.startswith("ratelimit")]

    one = serve(rate_per_address=0, rate_per_token=1)
    answer = one.admin.get("/users/me")
    assert left(answer) == {"token": 0}
    assert not ask(one.app, "GET", "/").headers.get("ratelimit")


def test_scripts_of_other_origins_may_read_what_is_left(serve: Serve) -> None:
    origin = "https://app.example"
    server = serve(cors_origins=origin, rate_per_address=1)
    for status in (401, 429):
        answer = server.client.get("/api/v1/users/me", headers={"Origin": origin})
        assert answer.status_code == status
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= {*exposed}


# With a Redis


def test_requests_are_counted_in_the_redis_where_there_is_one(
    serve: Serve, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(limits_url=redis_url, rate_per_address=20)
    shared = server.app.rates.shared
    assert shared
    hit = Mock(side_effect=shared.hit)
    monkeypatch.setattr(shared, "hit", hit)
    admin = server.admin

    answers = [
        admin.get("/users/me"),
        admin.patch("/users/1", {"op": "replace", "path": "/first_name", "value": "Ro"}),
        admin.request("OPTIONS", "/users/me"),
        server.client.request("OPTIONS", "/auth/login"),
        server.client.get("/"),
        server.nobody.get("/users/me"),
        server.client.head("/api/v1/openapi.json"),
        server.client.post("/auth/oauth2/token", data={"grant_type": "none"}),
        ask(server.app, "POST", "/api/v1/users", body=b" " * (1024 * 1024 + 1)),
        server.client.get("/healthz"),
    ]

    assert answers[-1].status_code == 200
    # One question each, about one party or two.
    assert [len(each.args[0]) for each in hit.call_args_list] == [2, 2, 2, 1, 1, 1, 1, 1, 1]
    assert [left(each)["address"] for each in answers[:8]] == [*range(19, 11, -1)]
    assert left(answers[0])["token"] == 29_999


def test_an_address_is_refused_with_a_redis_too(serve: Serve, redis_url: str) -> None:
    app = serve(limits_url=redis_url, rate_per_address=1).app
    for operation in LIMITED:
        app.rates.reset()
        ask(app, "GET", "/auth/login")

        # Once by the Redis, once by what is remembered of that.
        for _ in range(2):
            check_refused(ask(app, operation.method, path_of(operation)), operation)


@pytest.mark.parametrize("said", ["open", "closed"])
def test_a_redis_that_stands_still_takes_nobody_with_it(
    serve: Serve, redis_url: str, said: str
) -> None:
    server = serve(limits_url=redis_url, rate_without_redis=said)
    admin = server.admin
    with frozen(redis_url):
        statuses = {admin.get("/users/me").status_code for _ in range(50)}
        assert statuses == {200 if said == "open" else 503}
        assert server.client.get("/healthz").status_code == 200
        form = {"grant_type": "password", "client_id": "documentation"}
        login = server.client.post(
            "/auth/oauth2/token", data={**form, "username": "root", "password": "q"}
        )
        assert login.status_code == 503


def test_nothing_asks_the_redis_on_the_event_loop(
    serve: Serve, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = serve(limits_url=redis_url).app
    shared = app.rates.shared
    assert shared
    threads: set[str] = set()
    hit = shared.hit

    def noting(parties: Any) -> Any:
        threads.add(threading.current_thread().name)
        return hit(parties)

    monkeypatch.setattr(shared, "hit", noting)
    for operation in LIMITED:
        scope = http_scope(operation.method, path_of(operation))
        converse(app, scope, body_of(b""))

    assert threads
    assert all(name.startswith("roster") for name in threads)

"""Metrics: what Prometheus reads, and who else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roster.observability.metrics import Metrics
from tests.roster.raw import ask
from tests.serving import PRODUCTION, Serve, Server

ROOT = Path(__file__).parents[3]
TOKEN = "operators-token-of-metrics"


def figure(text: str, sample: str) -> float:
    """Read one figure out of Prometheus' text format; 0 where it is not there."""
    found = [line for line in text.splitlines() if line.startswith(f"{sample} ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def requests(server: Server, operation: str, status: int) -> float:
    sample = f'roster_requests_total{{operation="{operation}",status="{status}"}}'
    return figure(server.client.get("/metrics").text, sample)


def test_requests_are_counted_by_operation_and_status(server: Server) -> None:
    paths: list[tuple[str, str, str, int]] = [
        ("GET", "/users/1", "read_user", 200),
        ("GET", "/users/999", "read_user", 404),
        ("HEAD", "/users/1", "read_user", 200),
        ("GET", "/users?limit=x", "list_users", 400),
        ("POST", "/teams", "create_team", 415),
        ("PUT", "/teams", "", 405),
        ("GET", "/nothing", "", 404),
        ("OPTIONS", "/users/1", "", 204),
    ]
    for method, path, operation, status in paths:
        before = requests(server, operation, status)

        assert server.admin.request(method, path, content=b"x").status_code == status

        assert requests(server, operation, status) == before + 1


def test_failures_are_counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    caller = server.admin
    before = requests(server, "read_me", 500)
    with monkeypatch.context() as patch:
        patch.setattr("roster.stack.resolver.Rules.judge", fail)
        assert caller.get("/users/me").status_code == 500

    assert requests(server, "read_me", 500) == before + 1


def test_times_are_measured_by_operation(server: Server) -> None:
    sample = 'roster_request_duration_seconds_count{operation="read_user"}'
    before = figure(server.client.get("/metrics").text, sample)

    server.admin.get("/users/1")

    assert figure(server.client.get("/metrics").text, sample) == before + 1


def test_no_label_holds_what_a_client_sent(server: Server) -> None:
    server.client.get("/api/v1/canary?canary=canary")
    server.client.get("/api/v1/users/canary")
    ask(server.app, "CANARY", "/api/v1/users")

    assert "canary" not in server.client.get("/metrics").text.lower()


def test_metrics_are_text_in_the_format_of_prometheus(server: Server) -> None:
    answer = server.client.get("/metrics")

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "# TYPE roster_requests_total counter" in answer.text


# Who may read them


def test_in_development_anybody_may(server: Server) -> None:
    assert server.client.get("/metrics").status_code == 200


def test_in_production_they_are_absent_without_the_setting(serve: Serve) -> None:
    client = serve(**PRODUCTION).client

    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN}"}):
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == 404
        absent = client.get("/nothing").json()
        assert {**answer.json(), "request_id": ""} == {**absent, "request_id": ""}


@pytest.mark.parametrize("environment", [PRODUCTION, {}])
class TestWithTheToken:
    """The operator's token opens the metrics, wherever it is set."""

    def test_it_opens_them(self, serve: Serve, environment: dict[str, str]) -> None:
        client = serve(metrics_token=TOKEN, **environment).client

        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})

        assert answer.status_code == 200

    def test_without_it_there_is_a_challenge(
        self, serve: Serve, environment: dict[str, str]
    ) -> None:
        answer = serve(metrics_token=TOKEN, **environment).client.get("/metrics")

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="metrics"'

    @pytest.mark.parametrize(
        "header",
        ["Bearer x", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN.upper()}"],
    )
    def test_another_is_wrong(self, serve: Serve, environment: dict[str, str], header: str) -> None:
        client = serve(metrics_token=TOKEN, **environment).client

        answer = client.get("/metrics", headers={"Authorization": header})

        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN])
    def test_what_is_no_bearer_token_is_none(
        self, serve: Serve, environment: dict[str, str], header: str
    ) -> None:
        client = serve(metrics_token=TOKEN, **environment).client

        assert client.get("/metrics", headers={"Authorization": header}).status_code == 401

    def test_an_access_token_opens_nothing_here_and_it_nothing_elsewhere(
        self, serve: Serve, environment: dict[str, str]
    ) -> None:
        server = serve(metrics_token=TOKEN, **environment)
        header = {"Authorization": f"Bearer {TOKEN}"}

        assert server.client.get("/metrics", headers=server.admin.headers).status_code == 401
        assert server.client.get("/api/v1/users/me", headers=header).status_code == 401


# Several processes

OBSERVE = """
from roster.observability.metrics import Metrics
metrics = Metrics()
metrics.observe("read_me", 200, 0.25)
metrics.observe("read_me", 200, 0.25)
"""
EXPOSE = """
from roster.observability.metrics import Metrics
print(Metrics().exposition().decode())
"""


def run(code: str, folder: Path) -> str:
    """Run Python code in a process that shares its figures in a folder."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        capture_output=True,
        check=True,
        text=True,
    ).stdout


def test_the_figures_of_several_processes_are_added_up(tmp_path: Path) -> None:
    for _ in range(2):
        run(OBSERVE, tmp_path)

    text = run(EXPOSE, tmp_path)

    assert figure(text, 'roster_requests_total{operation="read_me",status="200"}') == 4
    assert figure(text, 'roster_request_duration_seconds_sum{operation="read_me"}') == 1
    assert figure(text, 'roster_request_duration_seconds_count{operation="read_me"}') == 4


def test_the_figures_of_the_folder_are_exposed_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = Metrics()
    metrics.observe("read_me", 200, 0.25)
    assert b"read_me" in metrics.exposition()

    run(OBSERVE, tmp_path)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    sample = 'roster_requests_total{operation="read_me",status="200"}'
    assert figure(metrics.exposition().decode(), sample) == 2


def test_how_workers_are_is_added_up_while_they_live(tmp_path: Path) -> None:
    code = """
import sys
from collections.abc import Callable
from roster.observability.metrics import Metrics
metrics = Metrics()
metrics.watch("threads", "Threads.", requests=lambda: 4)
metrics.watch("log_lines", "Lines.", dropped=lambda: 1)
metrics.exposition()
print("ready", flush=True)
sys.stdin.readline()
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for each in workers:
        assert each.stdout
        assert each.stdout.readline() == "ready\n"

    both = run(EXPOSE, tmp_path)
    workers[0].kill()
    workers[0].communicate()
    one = run(EXPOSE, tmp_path)
    workers[1].communicate("end\n")

    threads, lost = 'roster_threads{kind="requests"}', 'roster_log_lines{kind="dropped"}'
    assert (figure(both, threads), figure(both, lost)) == (8, 2)
    assert (figure(one, threads), figure(one, lost)) == (4, 1)
    assert figure(run(EXPOSE, tmp_path), threads) == 0


# What happens inside


def grown(server: Server, sample: str, act: Callable[[], Any]) -> float:
    """Return by how much a figure grows while something is done."""
    before = figure(server.client.get("/metrics").text, sample)
    act()
    return figure(server.client.get("/metrics").text, sample) - before


def log_in(server: Server, password: str = "w") -> int:
    form = {"grant_type": "password", "client_id": "documentation", "username": "user"}
    answer = server.client.post("/auth/oauth2/token", data=form | {"password": password})
    return int(answer.status_code)


def test_hashes_and_the_queue_before_them_are_timed(serve: Serve) -> None:
    # Hashes are told to the last server that was made, as there is one in a process.
    server = serve(quota_clients=77)
    for sample in (
        "roster_password_hash_seconds_count",
        'roster_queue_seconds_count{kind="hashing"}',
    ):
        assert grown(server, sample, lambda: log_in(server)) == 1


def test_the_use_of_the_database_is_timed(server: Server) -> None:
    caller = server.admin
    is_postgresql = server.app.engine.dialect.name == "postgresql"
    for sample, number in (
        ("roster_database_connection_held_seconds_count", 1),
        ("roster_database_wait_seconds_count", 1 if is_postgresql else 0),
    ):
        assert grown(server, sample, lambda: caller.get("/users/me")) == number
    waited = grown(server, "roster_database_wait_seconds_sum", lambda: caller.get("/users/me"))
    held = figure(server.client.get("/metrics").text, "roster_database_connection_held_seconds_sum")
    assert (0 < waited < held) is is_postgresql


def test_what_a_limit_refuses_is_counted_by_its_name(serve: Serve) -> None:
    server = serve(limit_per_account_and_address=2, rate_per_address=40)

    def guess() -> None:
        assert [log_in(server, "wrong") for _ in range(3)] == [400, 400, 429]

    assert grown(server, 'roster_limited_requests_total{limit="login"}', guess) == 1
    before = server.client.get("/metrics").text
    while server.client.get("/api/v1/teams").status_code != 429:
        continue
    sample = 'roster_limited_requests_total{limit="rate-address"}'
    server.app.rates.reset()
    assert figure(server.client.get("/metrics").text, sample) == figure(before, sample) + 1


def test_threads_and_connections_are_watched(server: Server) -> None:
    server.admin.get("/users/me")
    text = server.client.get("/metrics").text

    assert figure(text, 'roster_threads{kind="requests"}') == server.app.settings.threads
    assert figure(text, 'roster_threads{kind="hashing"}') > 0
    assert figure(text, 'roster_queue_length{kind="requests"}') == 0
    idle, opened = (
        figure(text, f'roster_database_connections{{kind="{kind}"}}') for kind in ("idle", "open")
    )
    assert 1 <= idle <= opened
    assert 'version="' in next(each for each in text.splitlines() if "build_info{" in each)

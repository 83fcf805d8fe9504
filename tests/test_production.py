"""Production: what differs from development, and how a server starts, or does not."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live import PATIENCE_SECONDS, PRODUCTION, ROSTER, LiveServer, serving

pytestmark = pytest.mark.live

BEHIND_A_PROXY = {
    **PRODUCTION,
    "ROSTER_ISSUER": "https://api.example",
    "ROSTER_TRUSTED_PROXIES": "1",
}
PASSWORD = "correct horse battery staple"
TOKEN = "/auth/oauth2/token"
METRICS_TOKEN = "a-token-for-metrics"


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a production server with an empty database."""
    with serving(tmp_path_factory.mktemp("production"), **PRODUCTION) as server:
        yield server


def run(*arguments: str, standard_input: str = "", **environment: str) -> Any:
    """Run `roster` to its end."""
    return subprocess.run(
        [ROSTER, *arguments],
        env={**os.environ, **environment},
        input=standard_input,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_no_development_data_is_loaded(production: LiveServer) -> None:
    form = {
        "grant_type": "password",
        "client_id": "documentation",
        "username": "root",
        "password": "q",
    }

    answer = production.client.post(TOKEN, data=form)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")
    with sqlite3.connect(production.log.with_name("roster.db")) as connection:
        for table in ("users", "clients"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("name", ["grant_type", "username", "password", "client_id", "scope"])
def test_the_token_endpoint_takes_no_parameter_in_the_url(
    production: LiveServer, name: str
) -> None:
    answer = production.client.post(TOKEN, params={name: "password"}, data={"client_id": "site"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_the_token_endpoint_ignores_an_unknown_parameter_in_the_url(
    production: LiveServer,
) -> None:
    form = {"grant_type": "client_credentials", "client_id": "site", "client_secret": "unknown"}

    answer = production.client.post(TOKEN, params={"unknown": "1"}, data=form)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


def test_the_definition_has_no_get_on_the_token_endpoint(production: LiveServer) -> None:
    path = production.client.get("/api/v1/openapi.json").json()["paths"][TOKEN]

    assert "post" in path
    assert "get" not in path
    assert not path.get("parameters")
    assert "parameters" not in path["post"]


def test_without_a_captcha_service_nobody_signs_up(production: LiveServer) -> None:
    form = {
        "username": "ada",
        "email": "ada@example.com",
        "password": PASSWORD,
        "recaptcha_key": "secret_key",
    }

    assert production.client.post("/api/v1/users", json=form).status_code == 403
    assert "ROSTER_CAPTCHA_VERIFY_URL" in production.log.read_text()


def test_a_proxy_that_nobody_told_of_is_warned_of_once(production: LiveServer) -> None:
    for _ in range(3):
        headers = {"X-Forwarded-For": "192.0.2.7", "Host": "api.example"}
        assert production.client.get("/healthz", headers=headers).status_code == 200

    # A thread writes the log, some time after the answer.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "ROSTER_TRUSTED_PROXIES" not in production.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert production.log.read_text().count("ROSTER_TRUSTED_PROXIES") == 1


def test_a_client_of_the_documentation_that_is_not_there_is_warned_of(tmp_path: Path) -> None:
    environment = {**PRODUCTION, "ROSTER_DOCS_CLIENT_ID": "canary"}
    with serving(tmp_path, **environment) as server:
        log = server.log.read_text()

    assert log.count("ROSTER_DOCS_CLIENT_ID") == 1
    assert "canary" not in log


def test_without_a_token_of_the_operator_there_are_no_metrics(production: LiveServer) -> None:
    assert production.client.get("/metrics").status_code == 404


def test_an_operator_lets_the_first_user_and_client_in(production: LiveServer) -> None:
    environment = {**PRODUCTION, "DATABASE_URL": production.database_url}
    command = ["users", "create", "ada", "--email", "ada@example.com", "--admin"]
    user = run(*command, standard_input=f"{PASSWORD}\n", **environment)
    assert user.returncode == 0, user.stderr
    command = ["clients", "create", "--owner", "ada", "--name", "Site", "--grant", "password"]
    client = run(*command, "--scope", "users:read", **environment)
    assert client.returncode == 0, client.stderr

    form = {
        **json.loads(client.stdout),
        "grant_type": "password",
        "username": "ada",
        "password": PASSWORD,
    }
    token = production.client.post(TOKEN, data=form).json()
    header = {"Authorization": f"Bearer {token['access_token']}"}
    me = production.client.get("/api/v1/users/me", headers=header)

    assert token["scope"] == "users:read"
    assert (me.status_code, me.json()["username"]) == (200, "ada")


def send_alone(server: LiveServer, form: dict[str, str]) -> int:
    """Ask for a token on a new connection, which any worker may take; return the status."""
    return httpx2.post(f"{server.url}{TOKEN}", data=form, trust_env=False).status_code


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_workers_count_wrong_logins_together(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    environment = {
        **PRODUCTION,
        "DATABASE_URL": database_url,
        "WORKERS": "2",
        "ROSTER_LIMITS_URL": redis_url,
    }
    with serving(tmp_path, **environment) as server:
        command = ["users", "create", "ada", "--email", "ada@example.com"]
        user = run(*command, standard_input=f"{PASSWORD}\n", **environment)
        assert user.returncode == 0, user.stderr
        command = ["clients", "create", "--owner", "ada", "--name", "App", "--grant", "password"]
        made = run(*command, "--scope", "users:read", "--public", **environment)
        assert made.returncode == 0, made.stderr
        form = {**json.loads(made.stdout), "grant_type": "password", "username": "ada"}

        statuses = [
            send_alone(server, {**form, "password": f"wrong {number}"}) for number in range(12)
        ]

    assert statuses == [400] * 10 + [429] * 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_workers_share_the_work_and_add_up_their_metrics(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {
        **PRODUCTION,
        "DATABASE_URL": database_url,
        "WORKERS": "2",
        "ROSTER_LIMITS_URL": redis_url,
        "ROSTER_METRICS_TOKEN": METRICS_TOKEN,
        "TMPDIR": str(temporary),
    }

    with serving(tmp_path, **environment) as server:
        sent = 0
        # Each worker counts in a file of its own.
        while (
            sum(b"read_health" in each.read_bytes() for each in temporary.glob("*/counter_*.db"))
            < 2
        ):
            assert sent < 2000, "One worker answers everything."
            sent += send_on_new_connections(server, 50)
        # A worker counts when it has answered, so at first the last ones may be missing.
        counts = (healthy_answers(server) for _ in range(1000))
        assert next((count for count in counts if count >= sent), None) == sent

    assert not list(temporary.glob("roster-metrics-*"))


def send_on_new_connections(server: LiveServer, number: int) -> int:
    """Send requests at once, each on a connection that any worker may take; return how many."""

    def send(_: int) -> int:
        return httpx2.get(f"{server.url}/healthz", trust_env=False).status_code

    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(send, range(number))) == {200}
    return number


def healthy_answers(server: LiveServer) -> int:
    """Read how many answers of /healthz the workers have counted together."""
    header = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    answer = server.client.get("/metrics", headers=header)
    assert answer.status_code == 200
    pattern = r'roster_requests_total\{operation="read_health",status="200"\} (\d+)\.0'
    found = re.search(pattern, answer.text)
    assert found is not None, answer.text
    return int(found[1])


@pytest.mark.parametrize(
    ("setting", "environment"),
    [
        ("ROSTER_SECRET_KEY", {"ROSTER_ENV": "production"}),
        (
            "ROSTER_TRUSTED_PROXIES",
            {name: PRODUCTION[name] for name in ("ROSTER_ENV", "ROSTER_SECRET_KEY")},
        ),
        ("ROSTER_METRICS_TOKEN", {**PRODUCTION, "ROSTER_METRICS_TOKEN": "secret"}),
        ("DATABASE_URL", {"DATABASE_URL": "postgresql+asyncpg://roster:secret@127.0.0.1/roster"}),
        ("DATABASE_URL", {"DATABASE_URL": "postgresql+psycopg2://roster:secret@127.0.0.1/roster"}),
        ("HOST", {**BEHIND_A_PROXY, "HOST": "192.0.2.1"}),
        ("HOST", {**BEHIND_A_PROXY, "HOST": "secret..example"}),
        ("PORT", {"PORT": "http-secret"}),
        ("DATABASE_URL", {"DATABASE_URL": "postgresql://roster:secret@127.0.0.1:1/roster"}),
        ("DATABASE_URL", {"DATABASE_URL": "sqlite:////dev/null/secret.db"}),
        ("ROSTER_SIGN_UP", {"ROSTER_SIGN_UP": "secret"}),
    ],
)
def test_a_start_that_fails_tells_the_setting_in_one_line(
    setting: str, environment: dict[str, str], tmp_path: Path
) -> None:
    default = {"DATABASE_URL": f"sqlite:///{tmp_path / 'roster.db'}"}

    done = run("serve", **{**default, **environment})

    assert done.returncode == 1
    assert not done.stdout
    assert re.fullmatch(rf"roster: {setting}: [^\n]+\n", done.stderr)
    assert "secret" not in done.stderr


@pytest.mark.parametrize(("host", "workers"), [("127.0.0.1", "1"), ("localhost", "2")])
def test_a_port_that_is_taken_is_told_in_one_line(host: str, workers: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        url = f"sqlite:///{tmp_path / 'roster.db'}"

        done = run("serve", HOST=host, PORT=port, WORKERS=workers, DATABASE_URL=url)

    assert done.returncode == 1
    assert not done.stdout
    assert re.fullmatch(r"roster: PORT: [^\n]+\n", done.stderr)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("environment", [{}, PRODUCTION], ids=["development", "production"])
def test_uvicorn_serves_it_too(environment: dict[str, str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'roster.db'}"
    assert run("db", "upgrade", DATABASE_URL=url).returncode == 0
    uvicorn = str(Path(sysconfig.get_path("scripts")) / "uvicorn")

    with serving(tmp_path, (uvicorn, "roster:app", "--port", "{port}"), **environment) as server:
        page = server.client.get("/", follow_redirects=True)

    assert page.status_code == 200
    assert page.url.path == "/api/v1/"
    assert server.process.returncode == -signal.SIGTERM


def test_uvicorn_tells_a_wrong_setting_too(tmp_path: Path) -> None:
    uvicorn = str(Path(sysconfig.get_path("scripts")) / "uvicorn")

    done = subprocess.run(
        [uvicorn, "roster:app"],
        cwd=tmp_path,
        env={**os.environ, "ROSTER_ENV": "production"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert done.returncode == 1
    assert re.fullmatch(r"roster: ROSTER_SECRET_KEY: [^\n]+\n", done.stderr)

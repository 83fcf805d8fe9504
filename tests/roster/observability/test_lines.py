"""Lines of the log of a server that runs: one JSON object each, whether somebody reads them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roster import settings
from roster.settings import SettingsError
from tests.live import (
    PATIENCE_SECONDS,
    PRODUCTION,
    ROOT,
    ROSTER,
    SERVE,
    LiveServer,
    free_port,
    serving,
)

pytestmark = pytest.mark.live

UVICORN = (sys.executable, "-m", "uvicorn", "roster:app", "--port", "{port}")
JSON = {"ROSTER_LOG_FORMAT": "json"}
CANARY = "canary-in-the-query"

# An extension whose page fails, as a mistake of a developer would.
FAILING = """
def extend(app):
    @app.get("/failing")
    def failing():
        raise RuntimeError("broken\\nin two lines")
"""


def lines(server: LiveServer) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def requests_of(server: LiveServer) -> list[dict[str, Any]]:
    return [each for each in lines(server) if each["logger"] == "roster.access"]


# Without the records of its answers: the page that fails is in no definition.
@pytest.mark.parametrize("command", [(ROSTER, "serve"), UVICORN], ids=["roster serve", "uvicorn"])
def test_each_line_is_a_json_object_in_production(tmp_path: Path, command: Any) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    chosen = {"ROSTER_EXTEND": "failing:extend", "PYTHONPATH": path, **PRODUCTION}
    issuer = {"ROSTER_ISSUER": "http://127.0.0.1:5000"}
    with serving(tmp_path, command, ready="/healthz", fault="canary", **chosen, **issuer) as server:
        server.client.get(f"/api/v1/users/5?a={CANARY}", headers={"X-Request-ID": "0" * 32})
        server.client.get(f"/{CANARY}?a={CANARY}")
        server.client.get(f"/api/v1/auth/oauth2_clients/{CANARY * 3}")
        server.client.get("/auth/style.css")
        assert server.client.get("/failing").status_code == 500

    found = lines(server)
    assert {"timestamp", "level", "logger", "message"} <= set.intersection(*map(set, found))
    [failure] = [each for each in found if "exception" in each]
    assert failure["exception"].endswith("RuntimeError: broken\nin two lines")
    user, absent, client, style, page = requests_of(server)[-5:]
    assert user.pop("duration_ms") > 0
    assert user.pop("timestamp").endswith("Z")
    assert user == {
        "level": "info",
        "logger": "roster.access",
        "message": "request",
        "request_id": "0" * 32,
        "operation": "read_user",
        "method": "GET",
        "path": "/api/v1/users/5",
        "status": 401,
        "bytes": user["bytes"],
        "address": "127.0.0.1",
    }
    assert user["bytes"] > 0
    assert absent["status"] == 404
    assert "path" not in absent
    assert client["path"] == "/api/v1/auth/oauth2_clients/{client_id}"
    assert style["path"] == "/auth/style.css"
    assert page["request_id"] == failure["request_id"]
    assert any(each["message"].startswith("Finished server") for each in found)


def test_each_line_of_several_workers_is_a_json_object(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="2", **JSON) as server:
        header = server.bearer("root", "q")
        for _ in range(20):
            server.client.get("/api/v1/users/1", headers=header)

    reads = [each for each in requests_of(server) if each.get("operation") == "read_user"]
    assert len(reads) == 20
    assert {(each["user"], each["client"]) for each in reads} == {(1, 1)}
    messages = [each["message"] for each in lines(server)]
    assert any(each.startswith("ROSTER_LIMITS_URL") for each in messages)
    assert any(each.startswith("Started parent process [") for each in messages)


def test_development_has_lines_for_people(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.client.get(f"/api/v1/users/5?a={CANARY}")

    log = server.log.read_text()
    assert "[info] GET /api/v1/users/5 401 " in log
    assert CANARY not in log


@pytest.mark.parametrize(
    ("command", "chosen"),
    [
        (SERVE, {"ROSTER_ACCESS_LOG": "off"}),
        (SERVE, {"ROSTER_LOG_LEVEL": "warning"}),
        (SERVE, {"ROSTER_LOG_LEVEL": "debug,roster.access=warning"}),
        (SERVE, {"ROSTER_LOG_FORMAT": "none", "ROSTER_ACCESS_LOG": "off"}),
        ((*UVICORN, "--no-access-log"), {}),
        ((*UVICORN, "--log-level", "warning"), {}),
    ],
    ids=["setting", "level", "of the logger", "not ours", "uvicorn", "uvicorn's level"],
)
def test_the_access_log_can_be_switched_off(
    tmp_path: Path, command: Any, chosen: dict[str, str]
) -> None:
    with serving(tmp_path, command, ready="/healthz", **{**JSON, **chosen}) as server:
        server.client.get("/api/v1/users/5")

    assert "/api/v1/users" not in server.log.read_text()


def test_levels_are_given_for_all_loggers_and_for_single_ones(tmp_path: Path) -> None:
    chosen = {"ROSTER_LOG_LEVEL": "warning, uvicorn.error=info", **JSON}
    code = "import logging, roster; roster.app; print(*(logging.getLogger(n).getEffectiveLevel()"
    code += " for n in ('', 'roster.http', 'uvicorn.error', 'oauthlib', 'oauthlib.oauth2')))"
    chosen["ROSTER_LOG_LEVEL"] += ",oauthlib=debug,oauthlib.oauth2=debug"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **chosen}
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )

    # Below a warning oauthlib would print tokens.
    assert found.stdout.split() == ["30", "30", "20", "30", "30"]


@pytest.mark.parametrize("level", ["", "loud", "roster=", "info,=x", "info;roster=debug"])
def test_a_level_that_is_none_is_refused(level: str) -> None:
    with pytest.raises(SettingsError, match="ROSTER_LOG_LEVEL: must be one of debug"):
        settings.load(log_level=level)


# A log that nobody reads


@contextmanager
def served_into_a_pipe(folder: Path) -> Iterator[tuple[httpx2.Client, Any, int]]:
    """Start a server whose log is a pipe; yield a client, the process and the pipe's end."""
    reader, writer = os.pipe()
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PORT": str(port),
        "DATABASE_URL": f"sqlite:///{folder / 'roster.db'}",
        **JSON,
    }
    url = f"http://127.0.0.1:{port}"
    with (
        httpx2.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client,
        subprocess.Popen(
            [*SERVE], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stderr=writer
        ) as process,
    ):
        os.close(writer)
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    client.get("/readyz").raise_for_status()
                    break
                except httpx2.TransportError:
                    time.sleep(0.05)
            yield client, process, reader
        finally:
            process.kill()


def test_a_full_pipe_holds_up_no_request_and_not_the_end(tmp_path: Path) -> None:
    with served_into_a_pipe(tmp_path) as (client, process, reader):
        # 64 KiB are in the pipe, and lines of some 300 bytes in the queue of 4,000 behind it.
        for _ in range(600):
            assert client.get("/healthz").status_code == 200
        process.terminate()

        process.wait(PATIENCE_SECONDS)
        os.close(reader)


def test_a_reader_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    with served_into_a_pipe(tmp_path) as (client, process, reader):
        os.close(reader)
        for _ in range(20):
            assert client.get("/healthz").status_code == 200
        assert process.poll() is None
        process.terminate()
        process.wait(PATIENCE_SECONDS)

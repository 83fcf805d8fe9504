"""One story, told by a client in each language to a live server, and compiled at its strictest."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from models.database import connections
from models.development import CLIENT_SECRET
from models.users.user import User
from tests.clients.build import BUILDERS
from tests.clients.generate import HERE, NODE_MODULES, AbsentError, program, run
from tests.live import PATIENCE_SECONDS, ROSTER, LiveServer, free_port, serving

pytestmark = pytest.mark.clients

# Each story waits for the end of its first token, and takes less with its second.
TOKEN_SECONDS = 5
NEW_USERS = 250
DEVELOPMENT_USERS = 4

STORY: list[dict[str, Any]] = [
    {"step": "log in", "token_type": "Bearer"},
    {"step": "use a token that has ended", "status": 401, "title": "Unauthorized"},
    {"step": "refresh", "is_new": True},
    {"step": "read oneself", "username": "root", "is_admin": True},
    {
        "step": "page through the users",
        "users": NEW_USERS + DEVELOPMENT_USERS,
        "pages": 3,
        "last": f"reader{NEW_USERS}",
    },
    {"step": "create a team", "title": "Analysts", "leader": "root"},
    {"step": "send that again", "is_the_same": True},
    {"step": "add a member", "username": f"reader{NEW_USERS}", "is_leader": False},
    {"step": "add it again", "status": 409, "title": "Conflict"},
    {"step": "change oneself", "first_name": "Ada"},
    {"step": "introspect a live token", "active": True, "username": "root"},
    {"step": "introspect a dead token", "active": False},
    {"step": "delete the team", "status": 204},
    {"step": "read what is gone", "status": 404, "title": "Not Found"},
]


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the definition as a client's author gets it."""
    printed = subprocess.run([ROSTER, "spec"], capture_output=True, check=True)
    path = tmp_path_factory.mktemp("definition") / "openapi.yaml"
    path.write_bytes(printed.stdout)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server with short tokens and many users."""
    folder = tmp_path_factory.mktemp("clients")
    with serving(folder, ROSTER_ACCESS_TOKEN_SECONDS=str(TOKEN_SECONDS)) as started:
        engine = connections.connect(started.database_url)
        with Session(engine) as session:
            names = [f"reader{number}" for number in range(1, NEW_USERS + 1)]
            session.add_all(
                User(username=name, email=f"{name}@example.org", password_hash="", is_active=True)
                for name in names
            )
            session.commit()
        engine.dispose()
        yield started


@pytest.mark.parametrize("language", BUILDERS)
def test_a_generated_client_tells_the_story(
    language: str, definition: Path, server: LiveServer, tmp_path: Path
) -> None:
    try:
        command = BUILDERS[language](definition, tmp_path / language)
    except AbsentError as error:
        pytest.skip(f"The {language} client was not tried: {error}.")

    told = subprocess.run(
        [*command, server.url, CLIENT_SECRET],
        cwd=tmp_path / language,
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert [json.loads(line) for line in told.stdout.splitlines()] == STORY


@contextmanager
def prism(definition: Path, upstream: str, folder: Path) -> Iterator[str]:
    """Yield the URL of a proxy that answers 500 for what the definition does not say."""
    port = free_port()
    proxy = program("prism", NODE_MODULES / ".bin")
    command = [proxy, "proxy", str(definition), upstream, "--errors"]
    log = folder / "prism.log"
    with (
        log.open("wb") as output,
        subprocess.Popen([*command, "--port", str(port)], stdout=output, stderr=output) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while b"is listening" not in log.read_bytes():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_prism_between_a_client_and_the_server_finds_nothing(
    definition: Path, server: LiveServer, tmp_path: Path
) -> None:
    try:
        command = BUILDERS["python"](definition, tmp_path / "python")
        with prism(definition, server.url, tmp_path) as url:
            told = subprocess.run(
                [*command, url, CLIENT_SECRET], capture_output=True, text=True, check=False
            )
    except AbsentError as error:
        pytest.skip(f"Prism was not tried: {error}.")

    log = (tmp_path / "prism.log").read_text(encoding="utf-8")
    assert told.returncode == 0, told.stdout + told.stderr + log
    assert [json.loads(line) for line in told.stdout.splitlines()] == STORY
    assert "violation" not in log.lower()


def test_the_lines_of_the_readme_write_clients(tmp_path: Path) -> None:
    readme = (HERE.parents[1] / "README.md").read_text(encoding="utf-8")
    _, _, section = readme.partition("## Generate a client\n")
    activate, *lines = section.split("```\n")[1].splitlines()
    try:
        for name, folder in [("java", None), ("openapi-typescript", NODE_MODULES / ".bin")]:
            program(name, folder)
    except AbsentError as error:
        pytest.skip(f"The lines were not tried: {error}.")
    (tmp_path / "tests").symlink_to(HERE.parent)

    for line in lines:
        run(["sh", "-c", line], tmp_path)

    assert activate == ". .venv/bin/activate"
    assert {each.name for each in tmp_path.iterdir()} == {
        "java-client",
        "openapi.yaml",
        "roster-client",
        "roster.d.ts",
        "tests",
    }

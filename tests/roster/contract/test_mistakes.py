"""Mistakes in the definition: each is one line, which names the place and the nearest word."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

import roster
from handlers import teams
from roster.cli.main import main
from roster.contract import extensions, loader
from tests.live import free_port

ROOT = Path(__file__).parents[3]
TEAMS = "paths/api@v1@teams.yaml"
TEAM = "paths/api@v1@teams@{team_id}.yaml"
READY = "paths/readyz.yaml"
TOKEN = "paths/auth@oauth2@token.yaml"


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the definition."""
    return Path(shutil.copytree(ROOT / "openapi", tmp_path_factory.mktemp("copy") / "openapi"))


Spoil = Callable[[str, str, str], None]


@pytest.fixture
def spoil(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spoil]:
    """Return a function that puts a mistake into a file of the copy, which is used then."""
    monkeypatch.setattr(loader, "FOLDER", copied)
    before: dict[Path, bytes | None] = {}

    def spoil(name: str, old: str, new: str) -> None:
        file = copied / name
        before[file] = file.read_bytes() if file.exists() else None
        text = file.read_text() if file.exists() else ""
        assert old in text
        file.write_text(text.replace(old, new, 1))

    yield spoil
    for file, content in before.items():
        file.unlink() if content is None else file.write_bytes(content)


Told = Callable[..., list[str]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Return a function that runs a command that must fail, and returns what it says."""

    def run(*arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["roster", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert not printed.out
        if isinstance(ended.value.code, str):
            return [*printed.err.splitlines(), ended.value.code]
        assert ended.value.code == 1
        return printed.err.splitlines()

    return run


IN_TEAMS = f"openapi/{TEAMS}: GET /api/v1/teams: "
ON_CREATE = f"openapi/{TEAMS}: POST /api/v1/teams: "
IN_READY = f"openapi/{READY}: GET /readyz: "

OF_NO_INTEGER = "{name: size, in: query, schema: {type: integer, default: many}}\n"
OF_BOTH = "{name: size, in: query, schema: {}, content: {application/json: {}}}\n"
OF_STYLE = "{name: size, in: query, style: form, content: {application/json: {}}}\n"
ONE = "{name: size, in: query, schema: {type: integer}}\n"
OTHER = "{name: size, in: query, schema: {type: string}}\n"
HEADERS = "{name: X-Size, in: header, schema: {}}, {name: x-size, in: header, schema: {}}"

MISTAKES: dict[str, tuple[str, str, str, str]] = {
    "a component that is missing": (
        *(TEAMS, "schemas/teams/Team.yaml", "schemas/teams/Taem.yaml"),
        (
            f"{ON_CREATE}$ref: there is no file ../components/schemas/teams/Taem.yaml;"
            " did you mean Team.yaml?"
        ),
    ),
    "a path file that is missing": (
        *("openapi.yaml", "paths/readyz.yaml", "paths/redyz.yaml"),
        (
            "openapi/openapi.yaml: /readyz: $ref: there is no file paths/redyz.yaml;"
            " did you mean readyz.yaml?"
        ),
    ),
    "a file outside the folder": (
        *(READY, "../components/schemas/monitoring/Readiness.yaml", "../../../etc/passwd"),
        f"{IN_READY}$ref: ../../../etc/passwd is outside the folder openapi",
    ),
    "a file of another host": (
        *(READY, "../components/schemas/monitoring/Readiness.yaml", "http://127.0.0.1/a.yaml"),
        f"{IN_READY}$ref: http://127.0.0.1/a.yaml is not a file of this folder, and is not fetched",
    ),
    "a path file to which nothing refers": (
        *("openapi.yaml", "  /metrics: {$ref: paths/metrics.yaml}\n", ""),
        "openapi/paths/metrics.yaml: nothing refers to this file",
    ),
    "a component to which nothing refers": (
        *("components/schemas/teams/Draft.yaml", "", "type: string"),
        "openapi/components/schemas/teams/Draft.yaml: nothing refers to this file",
    ),
    "a default that its schema refuses": (
        *(TEAMS, "  parameters:\n", "  parameters:\n    - " + OF_NO_INTEGER),
        f"{IN_TEAMS}query parameter size: its default is not as its schema has it",
    ),
    "x-permission mistyped": (
        *(TEAMS, "x-permission", "x-permisson"),
        f"{IN_TEAMS}x-permisson is no name of this server's; did you mean x-permission?",
    ),
    "x-permission missing": (
        *(READY, "  x-permission: {may: [anyone]}\n", ""),
        f"{IN_READY}there is no x-permission, which says who may call the operation",
    ),
    "another environment mistyped": (
        *(TOKEN, "x-environment: development", "x-enviroment: development"),
        (
            f"openapi/{TOKEN}: /auth/oauth2/token: parameters/0: x-enviroment is no name of this"
            " server's; did you mean x-environment?"
        ),
    ),
    "an unknown environment": (
        *(TOKEN, "x-environment: development", "x-environment: develpment"),
        (
            f"openapi/{TOKEN}: /auth/oauth2/token: parameters/0: x-environment must be one of"
            " development, production; did you mean development?"
        ),
    ),
    "no controller": (
        *(READY, "  x-openapi-router-controller: handlers.monitoring\n", ""),
        (
            f"{IN_READY}there is no x-openapi-router-controller, the module with the operation's"
            " function"
        ),
    ),
    "no operationId": (
        *(READY, "  operationId: read_readiness\n", "  operationId: ''\n"),
        f"{IN_READY}there is no operationId, the name of the function that carries it out",
    ),
    "an operationId twice": (
        *(READY, "operationId: read_readiness", "operationId: read_health"),
        f"{IN_READY}the operationId read_health is that of GET /healthz too",
    ),
    "the function of another operation": (
        *(READY, "operationId: read_readiness", "operationId: read.health"),
        f"{IN_READY}the operationId read.health names the function of GET /healthz too",
    ),
    "a scheme that cannot be checked": (
        *("components/securitySchemes/metrics.yaml", "scheme: bearer", "scheme: digest"),
        (
            "openapi/components/securitySchemes/metrics.yaml: components/securitySchemes/metrics:"
            " this server cannot check it; it checks schemes of the type oauth2, and metrics, the"
            " operator's token"
        ),
    ),
    "two schemes at once": (
        *(TEAMS, "[{oauth2: [teams:read]}]", "[{oauth2: [teams:read], metrics: []}]"),
        f"{IN_TEAMS}security: oauth2 and metrics cannot be required together",
    ),
    "a server with a path": (
        *("openapi.yaml", "  - url: /\n", "  - url: /v1\n"),
        (
            "openapi/openapi.yaml: servers/0: the URL must have no path, as"
            " /.well-known/oauth-authorization-server is at the root of its host (RFC 8615), and so"
            " is all that it names"
        ),
    ),
    "a server with a variable that is not declared": (
        *("openapi.yaml", "  - url: /\n", "  - url: https://{host}.example.org\n"),
        "openapi/openapi.yaml: servers/0: the URL's {host} is not declared as a variable",
    ),
    "a link to nothing": (
        *(TEAMS, "operationId: read_team", "operationId: read_taem"),
        (
            f"{IN_TEAMS}responses/200/links/read_team: there is no operation read_taem;"
            " did you mean read_team?"
        ),
    ),
    "a link without an operation": (
        *("paths/root.yaml", "operationId: read_documentation", "operationRef: '#/paths/~1no/get'"),
        (
            "openapi/paths/root.yaml: GET /: responses/307/links/read_documentation: there is no"
            " #/paths/~1no/get"
        ),
    ),
    "an expression that makes no Location": (
        *(TEAMS, "team_id: $response.body#/id", "team_id: $request.path.id"),
        (
            f"{ON_CREATE}responses/201/links/read_team: team_id must be an expression such as"
            " $response.body#/id for the Location header; this server makes it of nothing else"
        ),
    ),
    "a Location of a member that is missing": (
        *(TEAMS, "team_id: $response.body#/id", "team_id: $response.body#/idd"),
        (
            f"{ON_CREATE}responses/201/links/read_team: team_id: the answer has no idd;"
            " did you mean id?"
        ),
    ),
    "a Location without a value": (
        *(TEAMS, "team_id: $response.body#/id", "taem_id: $response.body#/id"),
        (
            f"{ON_CREATE}responses/201/links/read_team: there is no value for {{team_id}};"
            " did you mean taem_id?"
        ),
    ),
    "a Location without a link": (
        *(
            READY,
            "      headers:\n",
            "      headers:\n        Location: {required: true, schema: {type: string}}\n",
        ),
        f"{IN_READY}the Location header is made from the answer's first link, and there is none",
    ),
    "a member that OpenAPI does not have": (
        *(READY, "summary:", "sumary:"),
        f"{IN_READY}OpenAPI 3.0 knows no sumary here; did you mean summary?",
    ),
    "a member that is missing": (
        *(READY, "description: The server can work.", "x-description: The server can work."),
        f"{IN_READY}responses/200: 'description' is a required property",
    ),
    "a type that is unknown": (
        *("components/schemas/teams/TeamTitle.yaml", "type: string", "type: strin"),
        (
            "openapi/components/schemas/teams/TeamTitle.yaml: components/schemas/TeamTitle/type:"
            " 'strin' must be one of array, boolean, integer, number, object, string;"
            " did you mean string?"
        ),
    ),
    "another version of OpenAPI": (
        *("openapi.yaml", "openapi: 3.0.3", "openapi: 3.1.0"),
        "openapi/openapi.yaml: openapi: this server reads OpenAPI 3.0, not 3.1.0",
    ),
    "a document that is no mapping": (
        *("openapi.yaml", "openapi: 3.0.3", "- openapi: 3.0.3"),
        "openapi/openapi.yaml: line 2, column 1: did not find expected '-' indicator",
    ),
    "YAML that is none": (
        *(READY, "  summary: ", "  summary: a: "),
        f"openapi/{READY}: line 8, column 13: mapping values are not allowed in this context",
    ),
    "a key twice": (
        *(READY, "  security: []\n", "  security: []\n  security: []\n"),
        f"openapi/{READY}: line 14, column 3: the key 'security' stands twice",
    ),
    "a scheme that is unknown": (
        *(READY, "security: []", "security: [{oauht2: []}]"),
        f"{IN_READY}security: there is no scheme oauht2; did you mean oauth2?",
    ),
    "a parameter with schema and content": (
        *(TEAMS, "  parameters:\n", "  parameters:\n    - " + OF_BOTH),
        f"{IN_TEAMS}parameters/0: schema and content exclude each other; write one of them",
    ),
    "a parameter with a style of its content": (
        *(TEAMS, "  parameters:\n", "  parameters:\n    - " + OF_STYLE),
        f"{IN_TEAMS}parameters/0: OpenAPI 3.0 knows no style here beside content",
    ),
    "a parameter twice": (
        *(TEAMS, "  parameters:\n", "  parameters:\n    - " + ONE + "    - " + OTHER),
        f"{IN_TEAMS}parameters: there are 2 query parameters size; one is allowed",
    ),
    "a header twice": (
        *(READY, "  summary:", "  parameters: [" + HEADERS + "]\n  summary:"),
        f"{IN_READY}parameters: there are 2 header parameters x-size; one is allowed",
    ),
    "a parameter of a path twice": (
        *(READY, "get:\n", "parameters: [" + ONE.strip() + ", " + OTHER.strip() + "]\nget:\n"),
        (
            f"openapi/{READY}: /readyz: parameters: there are 2 query parameters size; one is"
            " allowed"
        ),
    ),
    "a path that is percent-encoded": (
        *("openapi.yaml", "  /readyz:", "  /is%20ready%2B:"),
        (
            f"openapi/{READY}: /is%20ready%2B: a path is written without percent-encoding:"
            " /is ready+"
        ),
    ),
    "a path with a query": (
        *("openapi.yaml", "  /readyz:", "  /readyz?full:"),
        f"openapi/{READY}: /readyz?full: a path holds no ?: no request could reach it",
    ),
    "a path with a fragment": (
        *("openapi.yaml", "  /readyz:", "  /readyz#full:"),
        f"openapi/{READY}: /readyz#full: a path holds no #: no request could reach it",
    ),
    "a method that is not served": (
        *("paths/root.yaml", "get:\n", "options:\n"),
        "openapi/paths/root.yaml: OPTIONS /: this server answers OPTIONS by itself, if at all",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(spoil: Spoil, told: Told, mistake: str) -> None:
    file, old, new, line = MISTAKES[mistake]
    spoil(file, old, new)

    assert told("routes") == [f"roster: {line}"]


@pytest.mark.parametrize(
    "arguments", [("spec",), ("spec", "--json"), ("routes",), ("matrix",), ("check",)]
)
def test_every_command_tells_it(spoil: Spoil, told: Told, arguments: tuple[str, ...]) -> None:
    spoil(TEAMS, "x-permission", "x-permisson")

    assert told(*arguments) == [f"roster: {MISTAKES['x-permission mistyped'][3]}"]


HANDLERS: dict[str, tuple[str, str, str, str]] = {
    "an operationId without a function": (
        *(READY, "operationId: read_readiness", "operationId: read_readyness"),
        (
            f"{IN_READY}operationId: handlers.monitoring has no function read_readyness;"
            " did you mean read_readiness?"
        ),
    ),
    "a controller that is missing": (
        *(READY, "handlers.monitoring", "handlers.monitorin"),
        (
            f"{IN_READY}x-openapi-router-controller: there is no module handlers.monitorin;"
            " did you mean handlers.monitoring?"
        ),
    ),
    "a controller in a package that is missing": (
        *(READY, "handlers.monitoring", "handler.monitoring"),
        f"{IN_READY}x-openapi-router-controller: there is no module handler.monitoring",
    ),
    "a controller that is no name": (
        *(READY, "handlers.monitoring", "'../handlers'"),
        f"{IN_READY}x-openapi-router-controller: there is no module ../handlers",
    ),
    "an unknown object": (
        *(TEAM, "object: team", "object: taem"),
        (
            f"openapi/{TEAM}: GET /api/v1/teams/{{team_id}}: x-permission: models/registry.py has"
            " no line for the object taem; did you mean team?"
        ),
    ),
    "an unknown limit": (
        *("paths/api@v1@teams@{team_id}@members.yaml", "members-added", "members-aded"),
        (
            "openapi/paths/api@v1@teams@{team_id}@members.yaml:"
            " POST /api/v1/teams/{team_id}/members: x-limit must be one of members-added;"
            " did you mean members-added?"
        ),
    ),
    "a field that the form does not have": (
        *(TOKEN, "x-computes-hash: {grant_type", "x-computes-hash: {grant_typ"),
        (
            f"openapi/{TOKEN}: POST /auth/oauth2/token: x-computes-hash: the form has no field"
            " grant_typ; did you mean grant_type?"
        ),
    ),
}


@pytest.fixture
def line_of_uvicorn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], str]:
    """Return a function that asks for `roster:app` as uvicorn does, which must fail."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'unused.db'}")

    def line() -> str:
        with pytest.raises(SystemExit) as ended:
            roster.__getattr__("app")
        return str(ended.value.code)

    return line


@pytest.mark.parametrize("mistake", HANDLERS)
def test_a_mistake_between_definition_and_handlers_is_one_line(
    spoil: Spoil, line_of_uvicorn: Callable[[], str], mistake: str
) -> None:
    file, old, new, line = HANDLERS[mistake]
    spoil(file, old, new)

    assert line_of_uvicorn() == f"roster: {line}"


def test_a_mistake_of_the_definition_stops_uvicorn_too(
    spoil: Spoil, line_of_uvicorn: Callable[[], str]
) -> None:
    file, old, new, line = MISTAKES["a link to nothing"]
    spoil(file, old, new)

    assert line_of_uvicorn() == f"roster: {line}"


def test_a_parameter_that_comes_from_nowhere_is_one_line(
    monkeypatch: pytest.MonkeyPatch, line_of_uvicorn: Callable[[], str]
) -> None:
    def read_team(taem: object) -> None:
        """Ask for what nobody gives."""

    monkeypatch.setattr(teams, "read_team", read_team)

    assert line_of_uvicorn() == (
        f"roster: openapi/{TEAM}: GET /api/v1/teams/{{team_id}}: handlers.teams.read_team asks for"
        " taem, which neither the definition nor a provider gives; did you mean team?"
    )


async def coroutine(team: object) -> None:
    """Wait for an event loop that is not there."""


async def generator(team: object) -> AsyncIterator[None]:
    """Do it in steps."""
    yield


def by_place(team: object, /) -> None:
    """Take no name."""


@pytest.mark.parametrize(
    ("handler", "sentence"),
    [
        (coroutine, "is called in a thread: write it without async"),
        (generator, "is called in a thread: write it without async"),
        (by_place, "is called by names, and takes team by its place alone"),
    ],
)
def test_a_handler_that_cannot_be_called_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    line_of_uvicorn: Callable[[], str],
    handler: Callable[..., object],
    sentence: str,
) -> None:
    monkeypatch.setattr(teams, "read_team", handler)
    place = f"openapi/{TEAM}: GET /api/v1/teams/{{team_id}}"

    assert line_of_uvicorn() == f"roster: {place}: handlers.teams.read_team {sentence}"


# All at once


def test_check_tells_all_mistakes_of_the_definition(spoil: Spoil, told: Told) -> None:
    chosen = ["x-permission mistyped", "a link without an operation", "a scheme that is unknown"]
    for file, old, new, _ in map(MISTAKES.__getitem__, chosen):
        spoil(file, old, new)

    assert set(told("check")) == {f"roster: {MISTAKES[mistake][3]}" for mistake in chosen}


def test_other_commands_tell_the_first_and_how_many_more_there_are(
    spoil: Spoil, told: Told
) -> None:
    for mistake in ("x-permission mistyped", "a scheme that is unknown"):
        file, old, new, _ = MISTAKES[mistake]
        spoil(file, old, new)

    assert told("spec") == [
        f"roster: {MISTAKES['x-permission mistyped'][3]} (1 more: run `roster check`)"
    ]


def test_check_tells_all_references_to_nothing(spoil: Spoil, told: Told) -> None:
    chosen = ["a component that is missing", "a path file that is missing", "YAML that is none"]
    for file, old, new, _ in map(MISTAKES.__getitem__, chosen[:2]):
        spoil(file, old, new)

    assert set(told("check")) == {f"roster: {MISTAKES[mistake][3]}" for mistake in chosen[:2]}


def test_check_tells_all_handlers_that_do_not_fit(spoil: Spoil, told: Told) -> None:
    chosen = ["an operationId without a function", "an unknown limit"]
    for file, old, new, _ in map(HANDLERS.__getitem__, chosen):
        spoil(file, old, new)

    lines = [f"roster: {HANDLERS[mistake][3]}" for mistake in chosen]
    lines.append("roster: handlers/monitoring.py: no operation names the function read_readiness")
    assert sorted(told("check")) == sorted(lines)


# What every name of ours is


def test_every_internal_name_is_known() -> None:
    used = {
        key
        for file in (ROOT / "openapi").rglob("*.yaml")
        for key in re.findall(r"^\s*(x-[a-z-]+):", file.read_text(), flags=re.MULTILINE)
    }

    assert len(used) > 9
    assert used <= extensions.NAMES.keys()


# Real processes


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the program whose definition has a mistake."""
    folder = tmp_path_factory.mktemp("program")
    for name in ("roster", "handlers", "models", "openapi"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    file, old, new, _ = HANDLERS["an operationId without a function"]
    (folder / "openapi" / file).write_text(
        (folder / "openapi" / file).read_text().replace(old, new)
    )
    return folder


@pytest.mark.live
@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_checks_before_it_migrates(broken: Path, tmp_path: Path, workers: str) -> None:
    program = "from roster.cli.main import main; main()"
    ended = start(broken, tmp_path, "-c", program, "serve", WORKERS=workers)

    assert ended == (1, [f"roster: {HANDLERS['an operationId without a function'][3]}"])
    assert not (tmp_path / "roster.db").exists()


@pytest.mark.live
def test_uvicorn_ends_with_one_line(broken: Path, tmp_path: Path) -> None:
    status, lines = start(
        broken, tmp_path, "-m", "uvicorn", "roster:app", "--port", str(free_port())
    )

    assert status == 1
    assert lines[-1] == f"roster: {HANDLERS['an operationId without a function'][3]}"
    assert not any("Traceback" in line for line in lines)


def start(program: Path, folder: Path, *arguments: str, **more: str) -> tuple[int, list[str]]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ROSTER_")}
    environment = {**clean, "PYTHONPATH": str(program), "PORT": str(free_port()), **more}
    environment["DATABASE_URL"] = "sqlite:///roster.db"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != -signal.SIGKILL
    return done.returncode, [line for line in done.stderr.splitlines() if line]

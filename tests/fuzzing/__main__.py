"""Fuzz a live server of the run's own: `make fuzz`, or `python -m tests.fuzzing --help`."""

import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tests.fuzzing.hooks import VARIABLE
from tests.live import ROOT, ROSTER, LiveServer, serving
from tests.postgresql import postgresql
from tests.scopes import ALL_SCOPES

DATABASES = ("sqlite", "postgresql")
REPORTS = ROOT / "build" / "fuzz"
PASSWORD = "correct horse battery staple"
# Guesses are a part of the requests, and so is whatever else is limited.
UNLIMITED = {
    f"ROSTER_LIMIT_{name}": "1000000000"
    for name in (
        "PER_ACCOUNT_AND_ADDRESS",
        "PER_ACCOUNT",
        "PER_ADDRESS",
        "PER_CLIENT_AND_ADDRESS",
        "CAPTCHAS_PER_ADDRESS",
        "MEMBERS_ADDED",
    )
} | {"ROSTER_RATE_PER_ADDRESS": "0", "ROSTER_RATE_PER_TOKEN": "0"}
# The admin comes last: it deletes what others need.
ROLES = ("anonymous", "user", "leader", "service", "admin")
# A token may end by chance (a guessed id, a race); more of it would hide what is tested.
MAX_LOST = 20


@contextmanager
def database(kind: str) -> Iterator[dict[str, str]]:
    """Yield the settings for a fresh database of a kind."""
    if kind == "sqlite":
        yield {}
        return
    with postgresql() as server:
        yield {"DATABASE_URL": server.get_uri()}


class World:
    """A server with people, teams and clients for each role."""

    def __init__(self, server: LiveServer) -> None:
        """Make what the roles need, besides the development data."""
        self._server = server
        self._root = server.bearer("root", "q")
        names = ("service", "reader", "writer", "user", "leader", "admin")
        self.ids = {name: self._user(name) for name in names}
        self.forms: dict[str, dict[str, str] | None] = {
            "anonymous": None,
            "service": self._service(),
            **{name: self._login(name) for name in ("user", "leader", "admin")},
        }
        for leader, members in (("leader", names), ("admin", ("user", "reader")), ("writer", ())):
            self._team(leader, members)

    def _command(self, *arguments: str) -> Any:
        environment = {**os.environ, "DATABASE_URL": self._server.database_url}
        done = subprocess.run(
            [ROSTER, *arguments],
            env=environment,
            input=f"{PASSWORD}\n",
            text=True,
            capture_output=True,
            check=True,
        )
        return done.stdout

    def _user(self, name: str) -> int:
        more = ["--admin"] if name == "admin" else []
        self._command(
            "users", "create", f"fuzz-{name}", "--email", f"fuzz-{name}@example.org", *more
        )
        found = self._server.client.get("/api/v1/users?limit=100", headers=self._root).json()
        return next(int(each["id"]) for each in found if each["username"] == f"fuzz-{name}")

    def _client(self, owner: str, *options: str) -> Any:
        scopes = [part for each in ALL_SCOPES for part in ("--scope", each)]
        arguments = ("--owner", f"fuzz-{owner}", "--name", f"Fuzz {owner}", *scopes, *options)
        return json.loads(self._command("clients", "create", *arguments))

    def _login(self, name: str) -> dict[str, str]:
        made = self._client(name, "--public", "--grant", "password")
        return {
            "grant_type": "password",
            "client_id": made["client_id"],
            "username": f"fuzz-{name}",
            "password": PASSWORD,
        }

    def _service(self) -> dict[str, str]:
        made = self._client("service", "--grant", "client_credentials")
        names = ("client_id", "client_secret")
        return {"grant_type": "client_credentials", **{name: made[name] for name in names}}

    def _team(self, leader: str, members: tuple[str, ...]) -> None:
        client, form = self._server.client, self.forms.get(leader) or self._login(leader)
        token = client.post("/auth/oauth2/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        made = client.post("/api/v1/teams", json={"title": f"Team of {leader}"}, headers=headers)
        for name in members:
            if name != leader:
                path = f"/api/v1/teams/{made.json()['id']}/members"
                client.post(path, json={"user_id": self.ids[name]}, headers=headers)


def fuzz(
    server: LiveServer, world: World, role: str, seconds: int, seed: int, folder: Path
) -> tuple[bool, Counter[str]]:
    """Run schemathesis as a role; tell whether nothing was found, and the counts."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = folder / "counts.json"
    told = {
        "url": server.url,
        "form": world.forms[role],
        "user_id": world.ids.get(role),
        "counts": str(counts),
    }
    scripts = Path(sysconfig.get_path("scripts"))
    command = [
        *(str(scripts / "schemathesis"), "run", f"{server.url}/api/v1/openapi.json"),
        *("--seed", str(seed), "--max-time", str(seconds), "--phases"),
        "examples,coverage,fuzzing,stateful",
        *("--report", "html", "--report-html-path", str(folder / "html")),
    ]
    environment = {
        **os.environ,
        VARIABLE: json.dumps(told),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
    }
    log = folder / "log.txt"
    with log.open("wb") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    counted = Counter[str](json.loads(counts.read_text())) if counts.exists() else Counter[str]()
    if done.returncode:
        click.echo(log.read_text())
    return done.returncode == 0, counted


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", default=600, help="How long all roles take together.")
@click.option("--database", "kind", type=click.Choice(DATABASES), default="sqlite")
@click.option("--seed", type=int, help="That of a run before, to repeat it.")
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, help="Only this one.")
def main(seconds: int, kind: str, seed: int | None, roles: tuple[str, ...]) -> None:
    """Fuzz a server as each role in turn; write reports to build/fuzz."""
    seed = seed if seed is not None else random.randrange(2**32)
    chosen = roles or ROLES
    click.echo(f"seed: {seed} (repeat by --seed {seed})")
    failed = []
    total = Counter[str]()
    with (
        tempfile.TemporaryDirectory(prefix="roster-fuzz-") as folder,
        database(kind) as settings,
        serving(Path(folder), (ROSTER, "serve"), **settings, **UNLIMITED) as server,
    ):
        world = World(server)
        for role in chosen:
            reports = REPORTS / kind / role
            share = max(1, seconds // len(chosen))
            is_good, counted = fuzz(server, world, role, share, seed, reports)
            total.update(counted)
            lost = counted["answered 401 because the token ended"]
            if not is_good or lost > MAX_LOST:
                failed.append(role)
            figures = ", ".join(f"{name}: {number}" for name, number in sorted(counted.items()))
            click.echo(f"{kind}, {role}: {'passed' if is_good else 'FAILED'}; {figures}")
            click.echo(f"  {(reports / 'html').relative_to(ROOT)}/index.html")
    counting = total["requests"] - total["answered 401 because the token ended"]
    click.echo(f"{kind}: {counting} requests that count, seed {seed}; failed: {failed or 'none'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

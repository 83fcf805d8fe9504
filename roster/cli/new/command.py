"""The command `roster new`: all files of a resource, or none."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from roster.cli.new.changes import changed_files
from roster.cli.new.names import NameRefusedError, Names
from roster.cli.new.parent import parent_of
from roster.cli.new.project import InTheWayError, Project
from roster.cli.new.resource import Resource, formatted

_ROSTER = "from roster.cli.main import main; main()"
_VERSIONS = "models/database/migrations/versions"


@click.command()
@click.argument("plural")
@click.option("--singular", metavar="NAME", help="One of them; needed where it is irregular.")
@click.option("--in", "parent", metavar="OBJECT", help="What they belong to; a user without it.")
@click.option("--dry-run", is_flag=True, help="Print the names of the files, and write none.")
def new(plural: str, singular: str | None, parent: str | None, *, dry_run: bool) -> None:
    """Write a new resource into this project: definition, model, migration, handlers, tests.

    `roster new projects --in team` makes the projects of a team, for its members to read and its
    leaders to write. Without --in each user has projects of its own.
    """
    root = Path.cwd()
    try:
        names = Names.of(plural, singular)
        for tool in ("ruff", "alembic"):
            if importlib.util.find_spec(tool) is None:
                raise InTheWayError(f"{tool} is not installed: run `make lint` first")
        project = Project.here(root)
        resource = Resource(project, names, parent_of(project, parent) if parent else None)
        project.check_free(names, resource.path)
        made = formatted(root, resource.rendered())
        changed = formatted(root, changed_files(resource))
        for name in made:
            if (root / name).exists():
                raise InTheWayError(f"{name} is there already")
        if not dry_run:
            made[_write(root, names, made, changed)] = ""
    except (InTheWayError, NameRefusedError) as error:
        raise SystemExit(f"roster: {error}") from None
    except OSError as error:
        raise SystemExit(f"roster: {error.filename}: {error.strerror}") from None
    _tell(resource, made, changed, dry_run=dry_run)


def _write(root: Path, names: Names, made: Mapping[str, str], changed: Mapping[str, str]) -> str:
    """Write all files and the migration, check them, and return the migration's name.

    :raises InTheWayError: where something fails; then all is as it was.
    """
    with _all_or_nothing(root, made, changed):
        for name, text in {**made, **changed}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        before = set((root / _VERSIONS).glob("*.py"))
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'migration.db'}"
            _run(root, url, "-c", _ROSTER, "db", "upgrade")
            message = f"add {names.words}"
            _run(root, url, "-m", "alembic", "revision", "--autogenerate", "--message", message)
            _run(root, url, "-c", _ROSTER, "check")
        [migration] = set((root / _VERSIONS).glob("*.py")) - before
    return migration.relative_to(root).as_posix()


@contextmanager
def _all_or_nothing(
    root: Path, made: Mapping[str, str], changed: Mapping[str, str]
) -> Iterator[None]:
    """Undo what was written, also the new folders and migrations, where it ends by an error."""
    old = {name: (root / name).read_bytes() for name in changed}
    migrations = set((root / _VERSIONS).glob("*.py"))
    folders = {parent for name in made for parent in (root / name).parents if not parent.exists()}
    try:
        yield
    except BaseException:
        for name, content in old.items():
            (root / name).write_bytes(content)
        for path in (*(root / name for name in made), *(root / _VERSIONS).glob("*.py")):
            if path not in migrations:
                path.unlink(missing_ok=True)
        for folder in sorted(folders, reverse=True):
            for cached in folder.glob("__pycache__/*"):
                cached.unlink()
            for left in (folder / "__pycache__", folder):
                if left.is_dir():
                    left.rmdir()
        raise


def _run(root: Path, url: str, *command: str) -> None:
    """Run a module of Python in the project.

    :raises InTheWayError: with the last line that it says, where it fails.
    """
    done = subprocess.run(  # nosec B603 # noqa: S603 (this interpreter, and no shell)
        [sys.executable, *command],
        cwd=root,
        env=_environment(root, url),
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason is told").splitlines()[-1]
        raise InTheWayError(f"nothing was written: {said.removeprefix('roster: ')}")


def _environment(root: Path, url: str) -> dict[str, str]:
    environment = dict(os.environ)
    return environment | {
        "DATABASE_URL": url,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(root), environment.get("PYTHONPATH")))),
    }


def _tell(
    resource: Resource, made: Mapping[str, str], changed: Mapping[str, str], *, dry_run: bool
) -> None:
    """Print which files there are, and what to edit next."""
    for sign, files in (("+", made), ("~", changed)):
        for name in files:
            click.echo(f"{sign} {name}")
    if dry_run:
        click.echo("Nothing was written. A migration would be added too.")
        return
    migration = next(name for name in made if name.startswith(_VERSIONS))
    click.echo(resource.next_steps(migration), nl=False)

"""The commands that back a database up and restore it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from sqlalchemy import make_url

from models.database import backup as backups
from models.database import migrate
from roster import settings

_OF_POSTGRESQL = {
    "backup": "back PostgreSQL up by `pg_dump --format=custom --file=PATH NAME`",
    "restore": "restore PostgreSQL by `pg_restore --exit-on-error --dbname=NAME PATH`",
}


class _File(click.Path):
    """The path of a file, which has a name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse an empty path, which would be the current folder."""
        if not value:
            self.fail("The path is empty.", param, ctx)
        return super().convert(value, param, ctx)


_FILE = _File(dir_okay=False, path_type=Path)


@click.command()
@click.argument("path", type=_FILE)
@click.option("--overwrite", is_flag=True, help="Replace PATH, if it is there.")
def backup(path: Path, *, overwrite: bool) -> None:
    """Write a copy of the SQLite database to PATH, while servers go on."""
    _carry_out(backups.back_up, _database("backup"), path, overwrite=overwrite)


@click.command()
@click.argument("path", type=_FILE)
@click.option("--overwrite", is_flag=True, help="Replace the database, if it is there.")
def restore(path: Path, *, overwrite: bool) -> None:
    """Put the backup PATH in the place of the SQLite database, which no server may have open."""
    database = _database("restore")
    _carry_out(backups.restore, path, database, overwrite=overwrite)
    if migrate.current(f"sqlite:///{database}") != migrate.head():
        click.echo("roster: the backup is of an older Roster; run `roster db upgrade`", err=True)


def _database(command: str) -> Path:
    """Return the file of the database.

    :raises ClickException: for PostgreSQL, with what to do instead.
    """
    url = settings.load().database_url
    if not url.startswith("sqlite:"):
        raise click.ClickException(f"DATABASE_URL: {_OF_POSTGRESQL[command]} (docs/backup.md)")
    return Path(str(make_url(url).database))


def _carry_out(
    function: Callable[..., None], source: Path, target: Path, *, overwrite: bool
) -> None:
    try:
        function(source, target, overwrite=overwrite)
    except backups.BackupError as error:
        raise click.ClickException(str(error)) from None

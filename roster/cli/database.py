"""The commands that look after the database, and what every command needs that works on it."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

import click
from sqlalchemy.orm import Session

from models.database import connections, migrate
from roster import settings
from roster.purges import PURGE_BATCH, PURGE_REST, purges_of
from roster.settings import Settings

NEWER = "DATABASE_URL: the database is newer than this Roster, which leaves it as it is"


@contextmanager
def opened(current: Settings) -> Iterator[Session]:
    """Open a session on the migrated database, and commit what is done in it.

    A command may take its time, but waits for others no longer than a request does.
    """
    limits = replace(current.database_limits, statement=None)
    engine = connections.connect(current.database_url, limits=limits, prepares=current.prepares)
    try:
        if not migrate.is_current(engine):
            raise click.ClickException("the database is not migrated; run `roster db upgrade`")
        with connections.session_factory(engine)() as session:
            yield session
            session.commit()
    finally:
        engine.dispose()


def commit_each(session: Session, steps: Iterable[None]) -> None:
    """Commit after each of many steps, and rest as long as it took, so that others can write."""
    began = time.monotonic()
    for _ in steps:
        session.commit()
        time.sleep(time.monotonic() - began)
        began = time.monotonic()


@click.group()
def db() -> None:
    """Migrate the database."""


@db.command()
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Bring the database up to a revision, the newest by default."""
    migrate.upgrade(_url(), revision)
    if migrate.is_newer(_url()):
        click.echo(f"roster: {NEWER}", err=True)


@db.command()
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the database back to a revision; `base` empties it."""
    migrate.downgrade(_url(), revision)


@db.command()
def current() -> None:
    """Print the revision that the database is at."""
    click.echo(migrate.current(_url()) or "none")


def _url() -> str:
    return settings.load().database_url


@click.group()
def tokens() -> None:
    """Look after tokens."""


@tokens.command()
def purge() -> None:
    """Delete what has expired, and old audit events, some at a time so that nobody has to wait."""
    removed = 0
    current = settings.load()
    with opened(current) as session:
        began = time.monotonic()
        purges = purges_of(current).values()
        for purged in chain.from_iterable(each(session, PURGE_BATCH) for each in purges):
            session.commit()
            removed += purged
            time.sleep(PURGE_REST * (time.monotonic() - began))
            began = time.monotonic()
    click.echo(f"{removed} removed")

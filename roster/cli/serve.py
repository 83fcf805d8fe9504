"""The command that serves, with what it does before."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from models import Client, development
from models.database import connections, migrate
from roster import settings
from roster.cli.database import NEWER
from roster.contract import loader
from roster.described_settings import described
from roster.observability import logs
from roster.server import memory, serving
from roster.settings import Settings, SettingsError

_logger = logging.getLogger(__name__)


class _WithSettings(click.Command):
    """A command whose help lists the settings."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each setting with its default and what it is for."""
        with formatter.section("Settings (environment variables)"):
            rows = [(each.name, each.help) for each in described()]
            formatter.write_dl(rows, col_max=max(len(name) for name, _ in rows))


@click.command(cls=_WithSettings)
@click.option(
    "--no-migrate",
    is_flag=True,
    help="Leave the database as it is: another process migrates it, and the server is not ready"
    " before that.",
)
def serve(no_migrate: bool) -> None:
    """Check the definition, migrate the database, load development data if due, and serve."""
    current = settings.load()
    logs.configure(current)
    with ExitStack() as stack:
        sockets = serving.listen(current.host, current.port)
        for each in sockets:
            stack.callback(each.close)
        with memory.starting():
            serving.build()
            if not no_migrate:
                _prepare(current)
        _say_what_is_missing(current)
        stack.enter_context(_shared_metrics(current))
        serving.run(current, sockets)


def _prepare(current: Settings) -> None:
    engine = connections.connect(current.database_url, prepares=current.prepares)
    try:
        migrate.upgrade(engine)
        if migrate.is_newer(engine):
            _logger.warning(NEWER)
        with connections.session_factory(engine)() as session:
            if current.is_development:
                for sentence in migrate.lacking(engine):
                    _logger.warning(sentence)
                scopes = loader.load(current.environment).scopes
                development.load(session, current.origin, current.port, scopes)
                session.commit()
            elif current.docs_client_id and not Client.find(session, current.docs_client_id):
                _logger.warning("ROSTER_DOCS_CLIENT_ID: there is no such client")
    finally:
        engine.dispose()


def _say_what_is_missing(current: Settings) -> None:
    if current.captcha == "on" and not current.captcha_verify_url and not current.is_development:
        _logger.warning("ROSTER_CAPTCHA_VERIFY_URL is not set: only admins can create users")
    if current.workers > 1 and not current.limits_url:
        _logger.warning(
            "ROSTER_LIMITS_URL is not set: each worker counts failed logins by itself, so that all"
            " limits are %d times as high",
            current.workers,
        )


@contextmanager
def _shared_metrics(current: Settings) -> Iterator[None]:
    """Let several workers add up their figures in a folder that goes when they do."""
    given = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if given is not None and not (Path(given).is_dir() and os.access(given, os.W_OK | os.X_OK)):
        raise SettingsError("PROMETHEUS_MULTIPROC_DIR: there is no such folder that can be written")
    if current.workers == 1 or given is not None:
        yield
        return
    try:
        made = tempfile.TemporaryDirectory(prefix="roster-metrics-")
    except OSError:
        raise SettingsError("TMPDIR: there is no folder in which a file can be made") from None
    with made as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]

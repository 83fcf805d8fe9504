"""The checks of a production server before its start: all that would stop or weaken it."""

import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, exc, func, make_url, select, text

from models import Base, Client, User, development
from models.database import connections, migrate
from models.database.clock import clocks_differ
from models.errors import NotReady
from models.oauth.secret import digest
from models.users.passwords import is_right
from roster import redis_client, settings
from roster.cli.mistakes import line_of
from roster.contract import loader
from roster.contract.errors import DefinitionError
from roster.origins import is_loopback
from roster.server.capacity import capacity
from roster.settings import Settings, SettingsError
from roster.stack.extension import find_extension

# Tokens and codes end by the clock of the host that looks at them.
MAX_SKEW = timedelta(seconds=2)
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_WELL_KNOWN = {"root": "q", "documentation": "w", "user": "w", "internal": "q"}


def of_production() -> Iterator[str]:
    """Yield a line for each thing that would stop or weaken a start in production.

    No line has the value of a setting in it.
    """
    current, mistakes = settings.examine()
    yield from mistakes
    if current.is_development:
        yield "ROSTER_ENV: it is development, with well-known users; set it to production"
    told = {each.partition(":")[0] for each in mistakes}
    for name, sentence in current.production_mistakes():
        if name not in told:
            yield f"{name}: {sentence}"
    yield from _of_the_origins(current)
    yield from _of_the_captcha(current)
    yield from _of_the_secrets(current)
    yield from _of_the_process(current)
    yield from _of_redis(current)
    yield from _of_the_database(current)


def _of_the_origins(current: Settings) -> Iterator[str]:
    if is_loopback(urlsplit(current.origin).hostname or ""):
        yield "ROSTER_ISSUER: it leads to this machine alone; set the https origin that clients use"
    elif current.origin.startswith("https:") and current.trusted_proxies == 0:
        yield (
            "ROSTER_TRUSTED_PROXIES: https needs a proxy in front, so this is 1 or more; with 0 all"
            " clients have the address of the proxy, and are limited together"
        )
    if any(is_loopback(urlsplit(each).hostname or "") for each in current.cors_origins):
        yield "ROSTER_CORS_ORIGINS: a program on a user's own machine may use the API"


def _of_the_captcha(current: Settings) -> Iterator[str]:
    if current.signup == "closed":
        return
    if current.captcha == "off":
        yield "ROSTER_CAPTCHA: it is off, so that programs can sign up; or close ROSTER_SIGNUP"
    elif not current.captcha_verify_url:
        yield "ROSTER_CAPTCHA_VERIFY_URL: it is not set, so only admins can create users"


def _of_the_secrets(current: Settings) -> Iterator[str]:
    key, token = (each.get_secret_value() for each in (current.secret_key, current.metrics_token))
    if len(token) >= 16 and len({*token}) < 8:
        yield "ROSTER_METRICS_TOKEN: it can be guessed; set a random one"
    if token and token == key:
        yield "ROSTER_METRICS_TOKEN: it is the secret key too; set another one"


def _of_the_process(current: Settings) -> Iterator[str]:
    try:
        if (allowed := capacity(current).connections) < current.connections:
            yield (
                "ROSTER_CONNECTIONS: the files that the system lets a process open (`ulimit -n`)"
                f" are enough for {allowed} connections"
            )
    except SettingsError as error:
        yield str(error)
    try:
        loader.load("production")
    except DefinitionError as error:
        yield from map(str, error.all)
    try:
        find_extension(current)
    except SettingsError as error:
        yield str(error)


def _of_redis(current: Settings) -> Iterator[str]:
    if not current.limits_url:
        return
    try:
        redis_client.client_of(current.limits_url).ping()
    except redis_client.failure():  # its text shows the URL
        yield "ROSTER_LIMITS_URL: this Redis does not answer"


def _of_the_database(current: Settings) -> Iterator[str]:
    url = make_url(current.database_url) if current.database_url.startswith("sqlite:") else None
    if url is not None:
        path = Path(str(url.database))
        if not path.exists():
            yield "DATABASE_URL: there is no such file yet; run `roster db upgrade`"
            return
        yield from _of_the_file(path)
    limits = current.database_limits
    engine = connections.connect(current.database_url, 1, limits, current.prepares)
    try:
        yield from _of_the_tables(current, engine)
    except exc.SQLAlchemyError as error:
        yield line_of(error) or "DATABASE_URL: the database cannot be used"
    finally:
        engine.dispose()


def _of_the_file(path: Path) -> Iterator[str]:
    beside = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    for each in (path, *filter(Path.exists, beside)):
        if each.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"DATABASE_URL: others may use {each.name}; run `chmod 600` on it"
    mode = path.absolute().parent.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        yield "DATABASE_URL: others may write to the folder of the file, and so replace it"


def _of_the_tables(current: Settings, engine: Engine) -> Iterator[str]:
    try:
        migrate.check_current(engine)
    except NotReady as error:
        yield f"DATABASE_URL: {error.detail} Run `roster db upgrade`."
        return
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            yield from _of_postgresql(connection)
    with connections.session_factory(engine)() as session:
        for name, password in _WELL_KNOWN.items():
            user = User.find_by_login(session, name)
            if user is not None and is_right(password, user.password_hash):
                yield (
                    f"DATABASE_URL: the user {name} has the password that all know from"
                    f" development; run `roster users set {name} --password`"
                )
        client = Client.find(session, development.CLIENT_ID)
        if client is not None and client.secret_hash == digest(development.CLIENT_SECRET):
            yield (
                f"DATABASE_URL: the client {development.CLIENT_ID} has the secret that all know"
                f" from development; run `roster clients delete {development.CLIENT_ID}`"
            )
        if current.docs_client_id and not Client.find(session, current.docs_client_id):
            yield "ROSTER_DOCS_CLIENT_ID: there is no such client"


def _of_postgresql(connection: Connection) -> Iterator[str]:
    for table in Base.metadata.sorted_tables:
        for right in _RIGHTS:
            if not connection.scalar(select(func.has_table_privilege(table.name, right))):
                yield f"DATABASE_URL: the role has no right to {right} on {table.name}"
    if connection.scalar(text("SHOW is_superuser")) == "on":
        yield "DATABASE_URL: the role is a superuser; let it own the database, and no more"
    if connection.scalar(text("SHOW fsync")) == "off":
        yield "DATABASE_URL: fsync is off, so a power failure can destroy the database"
    if clocks_differ(connection, MAX_SKEW):
        yield (
            "DATABASE_URL: the clocks of this host and of the database's differ by more than"
            f" {MAX_SKEW.seconds} seconds; run NTP on both"
        )

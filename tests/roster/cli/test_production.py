import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from models import Client, User, development
from models.database.connections import connect
from roster.cli import production
from tests.commands import Migrated, Outcome, Run
from tests.scopes import ALL_SCOPES

SECRET = "canary" * 6 + "0123456789"
GOOD = {
    "ROSTER_ENV": "production",
    "ROSTER_SECRET_KEY": SECRET,
    "ROSTER_ISSUER": "https://api.example.com",
    "ROSTER_TRUSTED_PROXIES": "1",
    "ROSTER_SIGNUP": "closed",
}

Check = Callable[..., Outcome]


@pytest.fixture
def check(run: Run, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a function that checks production with good settings, but for those that are given."""

    def check(**others: str) -> Outcome:
        for name, value in {**GOOD, **others}.items():
            monkeypatch.setenv(name, value)
        found = run("check", "--production")
        assert "canary" not in found.out + found.error
        return found

    return check


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "roster.db"
    shutil.copyfile(migrated_sqlite, path)
    path.chmod(0o600)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    return path


@pytest.mark.usefixtures("database")
def test_a_good_production_has_nothing_in_its_way(check: Check) -> None:
    found = check()

    assert (found.status, found.error) == (0, "")


WRONG: list[tuple[dict[str, str], str]] = [
    ({"ROSTER_ENV": "development"}, "ROSTER_ENV: it is development"),
    ({"ROSTER_SECRET_KEY": "canary"}, "ROSTER_SECRET_KEY: production needs"),
    ({"ROSTER_ISSUER": "http://canary.example"}, "ROSTER_ISSUER: production needs"),
    ({"ROSTER_ISSUER": "https://localhost"}, "ROSTER_ISSUER: it leads to this machine"),
    ({"ROSTER_TRUSTED_PROXIES": "0"}, "ROSTER_TRUSTED_PROXIES: https needs"),
    ({"ROSTER_TRUSTED_PROXIES": "canary"}, "ROSTER_TRUSTED_PROXIES: "),
    ({"ROSTER_CANARY": "1", "PORT": "canary"}, "PORT: "),
    ({"ROSTER_CORS_ORIGINS": "http://canary.example"}, "ROSTER_CORS_ORIGINS: production"),
    ({"ROSTER_CORS_ORIGINS": "http://localhost:3000"}, "ROSTER_CORS_ORIGINS: a program"),
    ({"ROSTER_METRICS_TOKEN": "canary"}, "ROSTER_METRICS_TOKEN: production"),
    ({"ROSTER_METRICS_TOKEN": "canary" * 4}, "ROSTER_METRICS_TOKEN: it can be guessed"),
    ({"ROSTER_METRICS_TOKEN": SECRET}, "ROSTER_METRICS_TOKEN: it is the secret key"),
    ({"ROSTER_SIGNUP": "open"}, "ROSTER_CAPTCHA_VERIFY_URL: it is not set"),
    ({"ROSTER_SIGNUP": "open", "ROSTER_CAPTCHA": "off"}, "ROSTER_CAPTCHA: it is off"),
    ({"ROSTER_CAPTCHA_VERIFY_URL": "https://canary.example"}, "ROSTER_CAPTCHA_SECRET: needed"),
    ({"ROSTER_CAPTCHA_VERIFY_URL": "http://canary.example"}, "ROSTER_CAPTCHA_VERIFY_URL: "),
    ({"WORKERS": "2"}, "WORKERS: SQLite serves one worker"),
    ({"WORKERS": "2"}, "ROSTER_LIMITS_URL: several workers"),
    ({"ROSTER_LIMITS_URL": "redis://:canary@127.0.0.1:1"}, "ROSTER_LIMITS_URL: this Redis"),
    ({"ROSTER_CONNECTIONS": "1000000"}, "ROSTER_CONNECTIONS: the files"),
    ({"ROSTER_EXTEND": "nowhere:extend"}, "ROSTER_EXTEND: "),
    ({"ROSTER_DOCS_CLIENT_ID": "canary"}, "ROSTER_DOCS_CLIENT_ID: there is no such client"),
    ({"DATABASE_URL": "postgresql://me:canary@127.0.0.1:1/roster"}, "DATABASE_URL: "),
]


@pytest.mark.parametrize(("settings", "line"), WRONG)
@pytest.mark.usefixtures("database")
def test_each_weakness_has_its_line(
    check: Check, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], line: str
) -> None:
    # What the system really allows is not the same everywhere.
    monkeypatch.setattr("roster.server.capacity._allowed_files", lambda wanted: min(wanted, 9000))

    found = check(**settings)

    assert found.status == 1
    assert [each for each in found.error.splitlines() if each.startswith(f"roster: {line}")]


@pytest.mark.usefixtures("database")
def test_all_weaknesses_are_told_at_once_each_in_one_line(check: Check) -> None:
    found = check(
        ROSTER_SECRET_KEY="short",
        ROSTER_TRUSTED_PROXIES="many",
        ROSTER_LIMITS_URL="redis://127.0.0.1:1",
        PORT="0",
        WORKERS="2",
        ROSTER_SIGNUP="open",
    )

    named = [each.split(":")[1].strip() for each in found.error.splitlines()]
    assert sorted(named) == sorted(
        [
            *("ROSTER_SECRET_KEY", "ROSTER_TRUSTED_PROXIES", "ROSTER_LIMITS_URL", "PORT"),
            *("WORKERS", "ROSTER_CAPTCHA_VERIFY_URL"),
        ]
    )


@pytest.mark.usefixtures("database")
def test_a_redis_that_answers_is_no_weakness(check: Check, redis_url: str) -> None:
    assert check(ROSTER_LIMITS_URL=redis_url).status == 0


def test_a_file_that_others_may_read_or_replace_is_told(check: Check, database: Path) -> None:
    database.chmod(0o640)
    assert "chmod 600" in check().line
    database.chmod(0o600)
    database.parent.chmod(0o777)
    assert "to the folder" in check().line


def test_a_database_that_is_not_there_is_not_made(check: Check, database: Path) -> None:
    database.unlink()

    assert "roster db upgrade" in check().line
    assert not database.exists()


def test_a_database_without_tables_is_told(check: Check, empty: str) -> None:
    if empty.startswith("sqlite"):
        Path(empty.removeprefix("sqlite:///")).touch(mode=0o600)

    assert "roster db upgrade" in check().error


def test_what_all_know_from_development_is_told(check: Check, migrated: Migrated) -> None:
    migrated.ask(lambda session: development.load(session, "http://localhost", 1, ALL_SCOPES))

    told = check().error

    for name in ("root", "user", "internal", "documentation"):
        assert f"roster users set {name} --password" in told
    assert "roster clients delete documentation" in told


def test_other_users_of_these_names_are_not_told_of(check: Check, migrated: Migrated) -> None:
    password = "correct horse battery staple"

    def create(session: Session) -> None:
        for name in ("root", "user"):
            email = f"{name}@example.com"
            User.create(session, username=name, email=email, password=password)

    migrated.ask(create)

    told = check().error

    assert "roster users set" not in told
    assert migrated.ask(lambda session: Client.find(session, "documentation")) is None


def test_postgresql_is_looked_at_for_what_it_may_and_does(
    check: Check, migrated: Migrated, monkeypatch: pytest.MonkeyPatch
) -> None:
    if migrated.url.startswith("sqlite"):
        pytest.skip("SQLite has no roles, and the clock of its host.")
    monkeypatch.setattr(production, "MAX_SKEW", -production.MAX_SKEW)

    told = check().error

    assert "superuser" in told
    assert "fsync is off" in told
    assert "the clocks" in told


def test_a_role_without_rights_is_told(
    check: Check, migrated: Migrated, monkeypatch: pytest.MonkeyPatch
) -> None:
    if migrated.url.startswith("sqlite"):
        pytest.skip("SQLite has no roles.")
    engine = connect(migrated.url)

    def execute(*statements: str) -> None:
        with engine.connect() as connection:
            for each in statements:
                connection.exec_driver_sql(each)
            connection.commit()

    name = "roster_reads_only"
    execute(
        f"CREATE ROLE {name} LOGIN",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
    )
    try:
        monkeypatch.setenv("DATABASE_URL", migrated.url.replace("postgres:@", f"{name}:@"))
        told: Any = check().error
    finally:
        execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}")
        engine.dispose()
    assert "no right to INSERT on users" in told
    assert "no right to SELECT" not in told

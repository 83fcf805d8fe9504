"""The command line: what an operator gets done, and one line for each mistake."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import Client, Grant, Token, User
from models.database import migrate
from models.database.base import now
from models.oauth.purge import purge as purge_batches
from models.oauth.secret import digest
from roster.cli import database
from roster.cli import users as commands
from roster.cli.main import roster
from tests.commands import CLIENT, MORE, PASSWORD, Migrated, Run, rows
from tests.serving import API, Server

# db


def test_a_database_is_migrated_up_and_down(empty: str, run: Run) -> None:
    assert run("db", "current").out == "none\n"

    assert run("db", "upgrade").status == 0
    head = run("db", "current").out.strip()
    assert head not in {"", "none"}
    assert migrate.current(empty) == head

    assert run("db", "downgrade", "base").status == 0
    assert run("db", "current").out == "none\n"
    assert run("db", "upgrade", head).status == 0
    assert run("db", "current").out.strip() == head


def test_an_upgrade_of_a_database_that_is_up_to_date_changes_nothing(
    ada: User, migrated: Migrated, run: Run
) -> None:
    assert run("db", "upgrade").status == 0

    assert migrated.user("ada").id == ada.id


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(
    "arguments",
    [
        ("upgrade", "nonsense"),
        ("downgrade", "nonsense"),
        ("upgrade", "+9"),
    ],
)
def test_an_unknown_revision_is_one_line(run: Run, arguments: tuple[str, str]) -> None:
    assert run("db", *arguments).line.startswith("roster: ")


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    "arguments",
    [
        ("users", "create", "ada", "--email", "ada@example.com"),
        ("users", "set", "ada", "--admin"),
        (
            *("clients", "create", "--owner", "ada", "--name", "x"),
            *("--grant", "password", "--scope", "users:read"),
        ),
        ("tokens", "purge"),
    ],
)
def test_a_database_that_is_not_migrated_is_one_line(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments, stdin=PASSWORD).line == (
        "Error: the database is not migrated; run `roster db upgrade`"
    )


COMMANDS_OF_THE_DATABASE = [
    ("db", "upgrade"),
    ("db", "downgrade", "base"),
    ("db", "current"),
    ("tokens", "purge"),
    ("users", "set", "ada", "--admin"),
]


@pytest.mark.parametrize("arguments", COMMANDS_OF_THE_DATABASE, ids=" ".join)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "no database"])
def test_a_database_that_cannot_be_reached_is_one_line(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    arguments: tuple[str, ...],
) -> None:
    (tmp_path / "letter.txt").write_text("Dear database, " * 100)
    urls = {
        "sqlite": f"sqlite:///{tmp_path / 'nowhere' / 'roster.db'}",
        "postgresql": f"postgresql://postgres:sesame@/roster?host={tmp_path}",
        "no database": f"sqlite:///{tmp_path / 'letter.txt'}",
    }
    monkeypatch.setenv("DATABASE_URL", urls[kind])

    line = run(*arguments).line

    said = {
        "sqlite": "the file cannot be opened or made; is its folder there, and writable?",
        "postgresql": "nobody answers there; does PostgreSQL run, on this host and port?",
        "no database": "this file is no database of SQLite",
    }
    assert line == f"roster: DATABASE_URL: {said[kind]}"


def test_an_error_of_the_program_is_not_taken_for_a_missing_database(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise IntegrityError("INSERT", {}, Exception("broken"))

    monkeypatch.setattr(migrate, "current", fail)

    with pytest.raises(IntegrityError):
        run("db", "current")


# One rule for the API and the command line


ADDRESSES = (
    "jörg@bücher.example",
    "x@-example-.org",
    "a..b@example.org",
    ".a@example.org",
    "a" * 70 + "@example.org",
    "a b@example.org",
    '"quoted x"@example.org',
    "ada@example.org.",
    " ada@example.org",
    "a@b@example.org",
    "\u212aate@example.org",
    "x" * 110 + "@example.org",
)


@pytest.mark.parametrize("email", ADDRESSES)
def test_an_address_that_the_api_refuses_is_refused_here(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch, email: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.app.settings.database_url)
    body = {"username": "joerg", "email": email, "password": PASSWORD}
    answer = server.client.post(f"{API}/users", json={**body, "recaptcha_key": "secret_key"})
    assert answer.status_code in {400, 422}

    line = run("users", "create", "joerg", "--email", email, stdin=PASSWORD).line

    assert "address" in line
    assert email.strip() not in line


@pytest.mark.parametrize(
    "username", ["jörg", "a b", "-ada", "ada\n", "", "a" * 81, "ada@x", " ada"]
)
def test_a_username_that_the_api_refuses_is_refused_here(
    migrated: Migrated, run: Run, username: str
) -> None:
    line = run("users", "create", "--email", "a@x.example", "--", username, stdin=PASSWORD).line

    assert "A username has 1 to 80 letters" in line


@pytest.mark.parametrize("email", ["ada@localhost", "a@[127.0.0.1]", "a+b@xn--bcher-kva.example"])
def test_an_address_that_the_api_takes_is_taken_here(
    migrated: Migrated, run: Run, email: str
) -> None:
    assert run("users", "create", "joerg", "--email", email, stdin=PASSWORD).status == 0


# users create


def test_a_user_is_created_as_a_regular_one(migrated: Migrated, run: Run) -> None:
    created = run("users", "create", "bob", "--email", "bob@example.com", stdin=f"{PASSWORD}\n")

    bob = migrated.user("bob")
    assert (created.status, created.out, created.error) == (0, f"{bob.id}\n", "")
    assert (bob.email, bob.is_active, bob.is_regular_user) == ("bob@example.com", True, True)
    assert (bob.is_admin, bob.is_internal) == (False, False)
    assert logs_in(migrated, "bob", PASSWORD)


def logs_in(migrated: Migrated, username: str, password: str) -> bool:
    found = migrated.ask(lambda session: User.authenticate(session, username, password))
    return found is not None


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        (("--admin",), (True, False, True)),
        (("--internal",), (False, True, True)),
        (("--inactive",), (False, False, False)),
        (("--admin", "--internal", "--inactive"), (True, True, False)),
    ],
)
def test_a_user_is_created_with_roles(
    migrated: Migrated, run: Run, options: tuple[str, ...], flags: tuple[bool, ...]
) -> None:
    run("users", "create", "bob", "--email", "bob@example.com", *options, stdin=PASSWORD)

    bob = migrated.user("bob")
    assert (bob.is_admin, bob.is_internal, bob.is_active) == flags


@pytest.mark.parametrize(
    ("stdin", "password"),
    [
        (f"{PASSWORD}\n", PASSWORD),
        (f"{PASSWORD}\r\n", PASSWORD),
        (f"{PASSWORD}\nmore\n", PASSWORD),
        (f"  {PASSWORD}  \n", f"  {PASSWORD}  "),
        ("pässwörd und so\n", "pässwörd und so"),
    ],
)
def test_a_password_is_the_first_line_of_standard_input(
    migrated: Migrated, run: Run, stdin: str, password: str
) -> None:
    assert run("users", "create", "bob", "--email", "bob@example.com", stdin=stdin).status == 0

    assert logs_in(migrated, "bob", password)


def test_a_password_is_asked_for_twice_at_a_terminal(
    migrated: Migrated, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch)

    asked = CliRunner().invoke(
        roster,
        ["users", "create", "bob", "--email", "bob@example.com"],
        input=f"{PASSWORD}\nanother\n{PASSWORD}\n{PASSWORD}\n",
    )

    assert asked.exit_code == 0, asked.output
    assert PASSWORD not in asked.output
    assert logs_in(migrated, "bob", PASSWORD)


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the commands think that somebody sits at a terminal."""
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(commands, "sys", SimpleNamespace(stdin=terminal))


@pytest.mark.usefixtures("migrated")
def test_who_stops_at_the_question_stops_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: str) -> str:
        raise KeyboardInterrupt

    at_a_terminal(monkeypatch)
    monkeypatch.setattr("click.termui.hidden_prompt_func", interrupt)

    stopped = run("users", "create", "bob", "--email", "bob@example.com")

    assert (stopped.status, stopped.error.splitlines()[-1]) == (1, "roster: stopped")
    assert "Traceback" not in stopped.error


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("bob", "--email", "bob@example.com"), "", "8 to 128"),
        (("bob", "--email", "bob@example.com"), "short\n", "8 to 128"),
        (("bob", "--email", "bob@example.com"), "x" * 129, "8 to 128"),
        (("bob", "--email", "bob@example.com"), "password1\n", "too common"),
        (("bob", "--email", "bob@example.com"), "canary\0canary\n", "8 to 128"),
        (("bobbobbob", "--email", "bob@example.com"), "BobBobBob\n", "username"),
        (("bob", "--email", "bob"), PASSWORD, "e-mail"),
        (("bob", "--email", "x" * 120 + "@example.com"), PASSWORD, "e-mail"),
        (("bob", "--email", "b\udcffb@example.com"), PASSWORD, "e-mail"),
        (("b b", "--email", "bob@example.com"), PASSWORD, "username"),
        (("", "--email", "bob@example.com"), PASSWORD, "username"),
        (("b" * 81, "--email", "bob@example.com"), PASSWORD, "username"),
        (("b\udcff", "--email", "bob@example.com"), PASSWORD, "username"),
        (("ada", "--email", "bob@example.com"), PASSWORD, "username is taken"),
        (("ADA", "--email", "bob@example.com"), PASSWORD, "username is taken"),
        (("bob", "--email", "ADA@example.com"), PASSWORD, "address is taken"),
    ],
)
@pytest.mark.usefixtures("ada")
def test_a_user_that_cannot_be_is_one_line(
    migrated: Migrated, run: Run, arguments: tuple[str, ...], stdin: str, words: str
) -> None:
    line = run("users", "create", *arguments, stdin=stdin).line

    assert line.startswith("roster: ")
    assert words in line
    assert "canary" not in line
    assert rows(migrated, User) == 1


@pytest.mark.usefixtures("migrated")
def test_a_password_that_is_no_utf8_is_one_line(run: Run) -> None:
    failed = run(
        "users", "create", "bob", "--email", "bob@example.com", stdin=b"canary\xff canary\n"
    )

    assert failed.line.startswith(("roster: ", "Error: "))
    assert "canary" not in failed.line


# users set


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        (("--admin",), "is_admin", True),
        (("--internal",), "is_internal", True),
        (("--no-internal",), "is_internal", False),
        (("--no-active",), "is_active", False),
        (("--active",), "is_active", True),
    ],
)
@pytest.mark.usefixtures("ada")
def test_a_users_roles_are_set_and_others_left(
    migrated: Migrated, run: Run, options: tuple[str, ...], name: str, value: bool
) -> None:
    run("users", "create", "bob", "--email", "bob@example.com", stdin=PASSWORD)
    expected = vars_of(migrated.user("bob")) | {name: value}

    done = run("users", "set", "BOB", *options)

    assert (done.status, done.out, done.error) == (0, "", "")
    assert vars_of(migrated.user("bob")) == expected


@pytest.mark.usefixtures("ada")
def test_a_change_of_a_user_says_what_to_change(run: Run) -> None:
    refused = run("users", "set", "ada")

    assert refused.status == 2
    assert "say what to change" in refused.error.splitlines()[-1]


def vars_of(user: User) -> dict[str, Any]:
    names = ("is_active", "is_admin", "is_internal", "is_regular_user", "password_hash", "email")
    return {name: getattr(user, name) for name in names}


def test_an_admin_may_step_down_beside_another(ada: User, migrated: Migrated, run: Run) -> None:
    run("users", "create", "bob", "--email", "bob@example.com", "--admin", stdin=PASSWORD)

    assert run("users", "set", ada.username, "--no-admin").status == 0

    assert not migrated.user("ada").is_admin


@pytest.mark.parametrize("option", ["--no-admin", "--no-active"])
def test_the_last_admin_stays_one(ada: User, migrated: Migrated, run: Run, option: str) -> None:
    line = run("users", "set", ada.username, option).line

    assert line == "roster: At least one active admin has to remain."
    assert migrated.user("ada").is_admin
    assert migrated.user("ada").is_active


def test_a_new_password_ends_the_users_tokens(ada: User, migrated: Migrated, run: Run) -> None:
    give_token(migrated, ada)

    done = run("users", "set", "ada@example.com", "--password", stdin="another good one\n")

    assert (done.status, done.out) == (0, "")
    assert logs_in(migrated, "ada", "another good one")
    assert not logs_in(migrated, "ada", PASSWORD)
    assert rows(migrated, Token) == 0


def give_token(migrated: Migrated, user: User, *, lives: bool = True) -> None:
    """Store a grant of a user with one access token, alive or long dead."""
    ends = now() + timedelta(hours=1 if lives else -1)

    def give(session: Any) -> None:
        client, _ = Client.create(session, user_id=user.id, name="x")
        grant = Grant(client_id=client.id, user_id=user.id, scope="", expires_at=ends)
        session.add(grant)
        session.flush()
        token = Token(hash=digest(str(grant.id)), kind="access", scope="", expires_at=ends)
        token.grant_id = grant.id
        session.add(token)

    migrated.ask(give)


@pytest.mark.usefixtures("ada")
def test_a_new_password_that_cannot_be_is_one_line(migrated: Migrated, run: Run) -> None:
    assert "too common" in run("users", "set", "ada", "--password", stdin="password1\n").line

    assert logs_in(migrated, "ada", PASSWORD)


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("username", ["nobody", "", "b\udcff", "x" * 1000])
def test_a_user_who_is_not_there_is_one_line(run: Run, username: str) -> None:
    assert run("users", "set", username, "--admin").line == "Error: there is no such user"


# tokens purge


def test_what_has_expired_is_purged_batch_by_batch(
    ada: User, migrated: Migrated, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_transaction = []

    def purge(session: Session, batch: int) -> Iterator[int]:
        for purged in purge_batches(session, batch):
            yield purged
            in_transaction.append(session.in_transaction())

    monkeypatch.setattr(database, "PURGE_BATCH", 2)
    monkeypatch.setattr(database, "purges_of", lambda _: {"of the test": purge})
    for _ in range(5):
        give_token(migrated, ada, lives=False)
    give_token(migrated, ada)

    first, second = run("tokens", "purge"), run("tokens", "purge")

    assert first.out.endswith(" removed\n")
    assert int(first.out.split()[0]) >= 5
    assert second.out == "0 removed\n"
    assert len(in_transaction) > 3
    assert not any(in_transaction)
    for kind in (Token, Grant):
        assert rows(migrated, kind) == 1


# Mistakes


@pytest.mark.parametrize(
    "arguments",
    [
        *COMMANDS_OF_THE_DATABASE,
        ("serve",),
        ("routes",),
        ("matrix",),
        ("users", "create", "bob", "--email", "bob@example.com"),
        (*CLIENT, *MORE),
    ],
    ids=" ".join,
)
def test_a_wrong_setting_is_one_line_that_names_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PORT", "canary")

    failed = run(*arguments)

    assert failed.status == 1
    assert failed.line.startswith("roster: PORT: ")
    assert "canary" not in failed.line


def test_a_missing_setting_is_one_line_that_names_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROSTER_ENV", "production")

    assert run("serve").line.startswith("roster: ROSTER_SECRET_KEY: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("db", "nonsense"),
        ("db", "downgrade"),
        ("users", "create"),
        ("users", "create", "bob"),
        ("users", "set", "ada", "--nonsense"),
        ("tokens", "purge", "now"),
    ],
    ids=" ".join,
)
def test_a_wrong_usage_is_explained(run: Run, arguments: tuple[str, ...]) -> None:
    failed = run(*arguments)

    assert (failed.status, failed.out) == (2, "")
    assert failed.error.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("-h",), ("users", "--help"), ("clients", "create", "-h")],
    ids=" ".join,
)
def test_help_is_no_failure(run: Run, arguments: tuple[str, ...]) -> None:
    helped = run(*arguments)

    assert (helped.status, helped.error) == (0, "")
    assert helped.out.startswith("Usage: ")


def test_the_app_of_uvicorn_names_a_wrong_setting_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import roster as package  # noqa: PLC0415

    monkeypatch.setenv("PORT", "canary")

    with pytest.raises(SystemExit, match=r"^roster: PORT: "):
        _ = package.app


def test_the_app_of_uvicorn_is_built_once(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    import roster as package  # noqa: PLC0415

    monkeypatch.setenv("DATABASE_URL", database_url)
    try:
        assert package.app is package.app
        assert package.app.settings.database_url == database_url
    finally:
        vars(package).pop("app", None)


def test_the_package_has_nothing_else() -> None:
    import roster as package  # noqa: PLC0415

    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense

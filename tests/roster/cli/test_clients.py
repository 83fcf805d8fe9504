"""The commands for OAuth clients: what an operator gets done, and one line for each mistake."""

import json
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Client, Consent, Grant, User
from models.database.base import now
from models.oauth import administration
from tests.commands import CLIENT, MORE, PASSWORD, Migrated, Run, rows

# clients create


@pytest.mark.usefixtures("ada")
def test_a_client_is_registered_and_its_secret_shown_once(migrated: Migrated, run: Run) -> None:
    made = run(
        *CLIENT,
        *("--grant", "password", "--grant", "refresh_token", "--grant", "authorization_code"),
        *("--scope", "users:read", "--scope", "teams:read"),
        *("--redirect-uri", "https://a.example/", "--redirect-uri", "https://b.example/"),
    )

    assert made.status == 0
    printed = json.loads(made.out)
    assert printed.keys() == {"client_id", "client_secret"}
    client = migrated.ask(lambda session: Client.find(session, printed["client_id"]))
    assert client
    assert (client.name, client.client_type) == ("Site", "confidential")
    assert client.scopes == ("teams:read", "users:read")
    assert client.grant_types == ("authorization_code", "password", "refresh_token")
    assert client.redirect_uris == ("https://a.example/", "https://b.example/")
    assert client.secret_matches(printed["client_secret"])


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("options", "kind", "has_secret"),
    [
        ((), "confidential", True),
        (("--secret",), "confidential", True),
        (("--public",), "public", False),
        (("--public", "--secret"), "public", True),
    ],
)
def test_a_public_client_has_a_secret_only_if_it_is_asked_for(
    migrated: Migrated, run: Run, options: tuple[str, ...], kind: str, has_secret: bool
) -> None:
    printed = json.loads(run(*CLIENT, *MORE, *options).out)

    assert ("client_secret" in printed) == has_secret
    client = migrated.ask(lambda session: Client.find(session, printed["client_id"]))
    assert client
    assert (client.client_type, client.secret_hash is not None) == (kind, has_secret)


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*CLIENT, "--grant", "password", "--scope", "nonsense"), "--scope: there is no scope"),
        ((*CLIENT, "--grant", "nonsense", "--scope", "users:read"), "--grant"),
        ((*CLIENT, "--grant", "implicit", "--scope", "users:read"), "--grant"),
        ((*CLIENT, "--scope", "users:read"), "--grant"),
        ((*CLIENT, "--grant", "password"), "--scope"),
        (
            (*CLIENT, "--grant", "authorization_code", "--scope", "users:read"),
            "--redirect-uri: needed",
        ),
        (
            (*CLIENT, "--public", "--grant", "client_credentials", "--scope", "users:read"),
            "--grant: A public client cannot use client_credentials.",
        ),
        ((*CLIENT, *MORE, "--redirect-uri", "https://a b"), "--redirect-uri"),
        ((*CLIENT, *MORE, "--redirect-uri", ""), "--redirect-uri"),
        ((*CLIENT, *MORE, "--redirect-uri", "javascript:alert(1)"), "--redirect-uri"),
        ((*CLIENT, *MORE, "--redirect-uri", "http://a.example/"), "--redirect-uri"),
        ((*CLIENT, *MORE, "--redirect-uri", "https://ä.example"), "--redirect-uri"),
        ((*CLIENT, *MORE, "--redirect-uri", "https://\udcff.example"), "--redirect-uri"),
        ((*CLIENT, *MORE, "--owner", "nobody"), "--owner: there is no such user"),
        ((*CLIENT, *MORE, "--owner", "\udcff"), "--owner: there is no such user"),
        ((*CLIENT, *MORE, "--name", ""), "--name"),
        ((*CLIENT, *MORE, "--name", "x" * 81), "--name"),
        ((*CLIENT, *MORE, "--name", "x\udcff"), "--name"),
        ((*CLIENT, *MORE, "--name", " "), "--name"),
        ((*CLIENT, *MORE, "--name", "A\nbank"), "--name"),
        ((*CLIENT, *MORE, "--name", " A bank"), "--name"),
        ((*CLIENT, *MORE, "--name", "\u3164"), "--name"),
        ((*CLIENT, *MORE, "--name", "A bank\u2800"), "--name"),
        (("clients", "create", "--owner", "ada", *MORE), "--name"),
    ],
)
def test_a_client_that_cannot_be_is_refused_and_none_is_made(
    migrated: Migrated, run: Run, arguments: tuple[str, ...], words: str
) -> None:
    failed = run(*arguments)

    assert failed.status in {1, 2}
    assert failed.out == ""
    line = failed.error.partition("Error: ")[2]
    assert words in line
    assert "Traceback" not in failed.error
    assert rows(migrated, Client) == 0


# clients set


@pytest.mark.usefixtures("ada")
def test_an_operator_says_which_clients_need_no_admin(migrated: Migrated, run: Run) -> None:
    client_id = json.loads(run(*CLIENT, *MORE).out)["client_id"]

    def is_by_operator() -> bool:
        client = migrated.ask(lambda session: Client.find(session, client_id))
        assert client
        return bool(client.by_operator)

    assert is_by_operator()
    for option, expected in (("--no-by-operator", False), ("--by-operator", True)):
        done = run("clients", "set", client_id, option)
        assert (done.status, done.out) == (0, "")
        assert is_by_operator() is expected


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("client_id", ["nobody", "", "b\udcff", "x" * 1000])
def test_a_client_that_is_not_there_is_one_line(run: Run, client_id: str) -> None:
    refused = run("clients", "set", client_id, "--by-operator")

    assert refused.line == "Error: there is no such client"


@pytest.mark.usefixtures("migrated")
def test_a_change_of_a_client_says_what_to_change(run: Run) -> None:
    refused = run("clients", "set", "nobody")

    assert refused.status == 2
    assert "--by-operator" in refused.error


@pytest.mark.usefixtures("ada")
def test_a_public_client_with_a_secret_has_credentials(run: Run) -> None:
    grant = ("--grant", "client_credentials")
    client_id = made(run, "--public", "--secret", *grant)
    assert run("clients", "set", client_id, *grant).status == 0

    without = made(run, "--public")
    refused = run("clients", "set", without, *grant)

    assert refused.line == "Error: --grant: A public client cannot use client_credentials."
    assert shown(run, without)["grant_types"] == ["password"]


def made(run: Run, *more: str) -> str:
    """Register a client; return its id."""
    found = json.loads(run(*CLIENT, *MORE, *more).out)
    return str(found["client_id"])


def shown(run: Run, client_id: str) -> dict[str, object]:
    """Return what is shown of a client."""
    found = json.loads(run("clients", "show", client_id).out)
    assert isinstance(found, dict)
    return found


CODE = ("--grant", "authorization_code", "--redirect-uri", "https://a.example/")


@pytest.mark.usefixtures("ada")
def test_each_part_of_a_client_is_changed_and_others_stay(run: Run) -> None:
    assert run("users", "create", "bob", "--email", "b@example.com", stdin=PASSWORD).status == 0
    client_id = made(run)
    before = shown(run, client_id)
    for options, name, value in (
        (("--name", "Other"), "name", "Other"),
        (("--owner", "bob"), "owner", "bob"),
        (("--scope", "teams:read", "--scope", "auth:read"), "scopes", ["auth:read", "teams:read"]),
        (("--add-scope", "users:read"), "scopes", ["auth:read", "teams:read", "users:read"]),
        (("--remove-scope", "auth:read"), "scopes", ["teams:read", "users:read"]),
        (("--redirect-uri", "https://b.example/"), "redirect_uris", ["https://b.example/"]),
        (("--grant", "refresh_token"), "grant_types", ["refresh_token"]),
        (("--no-by-operator",), "by_operator", False),
    ):
        done = run("clients", "set", client_id, *options)
        assert (done.status, done.out, done.error) == (0, "", "")
        after = shown(run, client_id)
        assert after == {**before, name: value, "updated": after["updated"]}
        before = after


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--scope", "users:raed"), "--scope: there is no scope users:raed; did you mean users:"),
        (("--add-scope", "zzz"), "--add-scope: there is no scope zzz"),
        (("--remove-scope", "teams:read"), "--remove-scope: there is no scope teams:read"),
        (("--remove-scope", "users:read"), "--remove-scope: a client has one scope or more"),
        (("--scope", "users:read", "--add-scope", "teams:read"), "--scope gives all scopes"),
        (("--grant", "authorization_code"), "--redirect-uri: needed"),
        (("--grant", "nonsense"), "--grant"),
        (("--redirect-uri", "http://a.example/"), "--redirect-uri"),
        (("--owner", "nobody"), "--owner: there is no such user"),
        (("--name", " "), "--name"),
        ((), "say what to change"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(
    run: Run, options: tuple[str, ...], words: str
) -> None:
    client_id = made(run)
    before = shown(run, client_id)

    failed = run("clients", "set", client_id, *options)

    assert failed.status in {1, 2}
    assert words in failed.error.partition("Error: ")[2]
    assert "Traceback" not in failed.error
    assert shown(run, client_id) == before


def test_fewer_scopes_end_the_tokens_that_have_more(
    ada: User, migrated: Migrated, run: Run
) -> None:
    client_id = made(run, "--scope", "teams:read")
    for scope in ("users:read", "teams:read users:read"):
        migrated.ask(partial(add_grant, client_id=client_id, user_id=ada.id, scope=scope))

    assert run("clients", "set", client_id, "--scope", "users:read").status == 0

    assert migrated.ask(lambda session: list(session.scalars(select(Grant.scope)))) == [
        "users:read"
    ]


def add_grant(session: Session, client_id: str, user_id: int, scope: str) -> None:
    client = Client.find(session, client_id)
    assert client
    values = {"client_id": client.id, "user_id": user_id, "scope": scope}
    session.add(Grant(expires_at=now() + timedelta(hours=1), **values))
    Consent.remember(session, user_id, client.id, scope.split())


def test_other_redirect_uris_end_what_is_remembered_and_no_token(
    ada: User, migrated: Migrated, run: Run
) -> None:
    client_id = made(run, *CODE)
    migrated.ask(partial(add_grant, client_id=client_id, user_id=ada.id, scope="users:read"))

    assert run("clients", "set", client_id, "--redirect-uri", "https://b.example/").status == 0

    remembered = migrated.ask(lambda session: list(session.scalars(select(Consent.scope))))
    assert (remembered, rows(migrated, Grant)) == ([""], 1)


def test_a_client_is_deleted_with_its_tokens(ada: User, migrated: Migrated, run: Run) -> None:
    client_id, other = made(run), made(run)
    migrated.ask(partial(add_grant, client_id=client_id, user_id=ada.id, scope="users:read"))

    done = run("clients", "delete", client_id)

    assert (done.status, done.out) == (0, "")
    assert (rows(migrated, Grant), rows(migrated, Consent)) == (0, 0)
    assert [each["client_id"] for each in json.loads(run("clients", "list", "--json").out)] == [
        other
    ]


@pytest.mark.usefixtures("ada")
def test_all_clients_are_listed_in_order(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(administration, "BATCH", 2)
    ids = [made(run) for _ in range(5)]

    head, *lines = run("clients", "list").out.splitlines()

    assert head.split() == ["CLIENT", "OWNER", "TYPE", "BY", "OPERATOR", "GRANTS", "SCOPES", "NAME"]
    assert [line.split()[0] for line in lines] == ids
    assert lines[0].split()[1:] == ["ada", "confidential", "yes", "password", "users:read", "Site"]
    listed = json.loads(run("clients", "list", "--json").out)
    assert listed == [shown(run, client_id) for client_id in ids]
    assert not any("secret" in name for name in listed[0])


@pytest.mark.usefixtures("migrated")
def test_no_clients_are_an_empty_list(run: Run) -> None:
    assert json.loads(run("clients", "list", "--json").out) == []
    assert len(run("clients", "list").out.splitlines()) == 1


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("command", ["show", "delete"])
@pytest.mark.parametrize("client_id", ["nobody", "b\udcff"])
def test_a_client_that_is_not_there_is_one_line_to_each_command(
    run: Run, command: str, client_id: str
) -> None:
    assert run("clients", command, client_id).line == "Error: there is no such client"


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize("client_id", ["-h" + "x" * 30, "--name" + "x" * 26])
def test_an_id_that_begins_with_a_dash_is_no_option(
    run: Run, monkeypatch: pytest.MonkeyPatch, client_id: str
) -> None:
    monkeypatch.setattr("models.oauth.client._new_id", lambda: client_id)
    made(run)

    assert run("clients", "set", client_id, "--name", "Other").status == 0
    assert shown(run, client_id)["name"] == "Other"
    assert run("clients", "delete", client_id).status == 0
    assert run("clients", "show", client_id).line == "Error: there is no such client"


@pytest.mark.usefixtures("ada")
def test_an_option_as_long_as_an_id_is_an_option(run: Run) -> None:
    client_id = made(run)
    option = "--redirect-uri=https://a.example"
    assert len(option) == len(client_id)

    assert run("clients", "set", option, client_id).status == 0
    assert shown(run, client_id)["redirect_uris"] == ["https://a.example"]

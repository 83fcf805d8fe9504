"""Grants that only an admin gives: they end with the admin's role, and nobody else widens them."""

from collections.abc import Callable
from typing import Any

import pytest

from models import Client, User, accounts
from models.users import passwords
from tests.handlers.test_clients import CLIENTS, TOKEN, at, create, new, scoped
from tests.handlers.test_tokens import CountingSlots
from tests.serving import PASSWORD, SCOPES, Person, Server, demand, pointers, replace
from tests.statements import after_reading

Change = Callable[[Server, int], None]
GRANTS = ["client_credentials", "password"]


def demote(server: Server, user_id: int) -> None:
    administer(server, user_id, is_admin=False)


def deactivate(server: Server, user_id: int) -> None:
    administer(server, user_id, is_active=False)


def administer(server: Server, user_id: int, **flags: Any) -> None:
    with server.session() as session:
        accounts.administer(session, session.get_one(User, user_id), **flags)
        session.commit()


def made_by(admin: Person, grant: str, **fields: Any) -> dict[str, Any]:
    """Register a client with one of the grants; return what is known of it."""
    body = {"grant_types": [grant, "refresh_token"], "default_scopes": ["users:read"], **fields}
    made: dict[str, Any] = create(admin, **body)
    return made


def by_operator(server: Server, owner: Person, *grants: str, **fields: Any) -> dict[str, Any]:
    """Register a client as the command line does; return what is known of it."""
    values = {"name": "Team wall", "scopes": ["teams:read"], "grant_types": grants, **fields}
    with server.session() as session:
        client, secret = Client.create(session, user_id=owner.id, by_operator=True, **values)
        session.commit()
        return {"client_id": client.client_id, "client_secret": secret}


def ask(server: Server, client: dict[str, Any], grant: str, **fields: str) -> Any:
    """Ask for a token by one of the grants."""
    form = {name: client[name] for name in ("client_id", "client_secret")}
    form |= {"grant_type": grant}
    form |= {"username": "user", "password": "w"} if grant == "password" else {}
    return server.client.post(TOKEN, data=form | fields)


def new_secret(person: Person, client: dict[str, Any]) -> Any:
    return person.request("POST", f"{at(client)}/secret")


@pytest.mark.parametrize("loss", [demote, deactivate])
@pytest.mark.parametrize("grant", GRANTS)
def test_they_end_with_the_role_of_the_owner_and_come_back_with_it(
    server: Server, admin: Person, grant: str, loss: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = made_by(admin, grant)
    assert ask(server, client, grant).status_code == 200
    loss(server, admin.id)
    hashes = CountingSlots()
    monkeypatch.setattr(passwords, "_slots", hashes)

    descriptions = set()
    for fields in ({}, {"password": "wrong"}, {"username": "nobody"}):
        refused = ask(server, client, grant, **fields)
        assert refused.status_code == 400
        assert refused.json()["error"] == "unauthorized_client"
        descriptions.add(refused.json()["error_description"])
    assert len(descriptions) == 1
    assert "not an active admin" in descriptions.pop()
    assert hashes.count == 0
    refused = new_secret(server.admin, client)
    assert refused.status_code == 403
    assert "active admin" in refused.json()["detail"]
    if loss is demote:
        assert new_secret(admin, client).status_code == 403

    administer(server, admin.id, is_admin=True, is_active=True)
    assert ask(server, client, grant).status_code == 200
    assert new_secret(server.admin, client).status_code == 201


@pytest.mark.parametrize("loss", [demote, deactivate])
def test_other_grants_of_the_same_client_go_on(server: Server, admin: Person, loss: Change) -> None:
    client = made_by(admin, "password")
    issued = ask(server, client, "password").json()
    loss(server, admin.id)

    renewed = ask(server, client, "refresh_token", refresh_token=issued["refresh_token"])

    assert renewed.status_code == 200
    assert new_secret(server.admin, create(server.admin)).status_code == 201


@pytest.mark.parametrize("grant", GRANTS)
def test_a_client_of_an_operator_needs_no_admin(server: Server, ada: Person, grant: str) -> None:
    client = by_operator(server, ada, grant)
    assert ask(server, client, grant).status_code == 200

    renewed = new_secret(ada, client)

    assert renewed.status_code == 201
    assert ask(server, renewed.json(), grant).status_code == 200
    deactivate(server, ada.id)
    assert ask(server, renewed.json(), grant).status_code == 200
    with server.session() as session:
        found = Client.find(session, client["client_id"])
        assert found
        found.by_operator = False
        session.commit()
    assert ask(server, renewed.json(), grant).json()["error"] == "unauthorized_client"


@pytest.mark.parametrize("loss", [demote, deactivate])
@pytest.mark.parametrize("grant", GRANTS)
def test_a_role_that_goes_between_the_request_and_its_writing_gives_no_token(
    server: Server, admin: Person, grant: str, loss: Change
) -> None:
    client = made_by(admin, grant)

    with after_reading(server.app.engine, "clients", lambda: loss(server, admin.id)):
        refused = ask(server, client, grant)

    assert refused.json()["error"] == "unauthorized_client"


@pytest.mark.parametrize("grant", GRANTS)
def test_an_operators_word_that_goes_between_the_request_and_its_writing_gives_no_token(
    server: Server, ada: Person, grant: str
) -> None:
    client = by_operator(server, ada, grant)

    def take_back() -> None:
        with server.session() as session:
            found = Client.find(session, client["client_id"])
            assert found
            found.by_operator = False
            session.commit()

    with after_reading(server.app.engine, "clients", take_back):
        refused = ask(server, client, grant)

    assert refused.json().get("error") == "unauthorized_client"


@pytest.mark.parametrize("grant", GRANTS)
def test_an_owner_who_changes_between_the_request_and_its_writing_gives_no_token(
    server: Server, admin: Person, ada: Person, grant: str
) -> None:
    client = made_by(admin, grant)

    def give_away() -> None:
        with server.session() as session:
            found = Client.find(session, client["client_id"])
            assert found
            found.user_id = ada.id
            session.commit()

    with after_reading(server.app.engine, "clients", give_away):
        refused = ask(server, client, grant)

    assert refused.json().get("error") == "unauthorized_client"


@pytest.mark.parametrize(
    "grants", [["client_credentials"], ["password"], ["password", "refresh_token"]]
)
def test_nobody_but_an_admin_with_all_scopes_widens_them(
    server: Server, ada: Person, admin: Person, grants: list[str]
) -> None:
    client = by_operator(server, ada, *grants, scopes=["teams:read", "teams:write"])
    narrow = scoped(server, admin, SCOPES.replace("teams:write", "").replace("auth:read", ""))
    internal = server.person("inner", is_internal=True)

    for wider in (["teams:read", "teams:write", "users:read"], ["users:read"], SCOPES.split()):
        change = replace("/default_scopes", wider)
        refused = ada.patch(at(client), replace("/name", "New"), change)
        assert refused.status_code == 403
        assert pointers(refused) == ["/1/value"]
        assert narrow.patch(at(client), change).status_code == 403
        assert internal.patch(at(client), change).status_code == 404
    found = ada.get(at(client)).json()
    assert (found["name"], found["default_scopes"]) == ("Team wall", ["teams:read", "teams:write"])

    widened = admin.patch(at(client), replace("/default_scopes", SCOPES.split()))
    assert sorted(widened.json()["default_scopes"]) == sorted(SCOPES.split())


def test_their_owner_may_narrow_rename_and_move_them(server: Server, ada: Person) -> None:
    client = by_operator(server, ada, "password", scopes=["teams:read", "teams:write"])

    for path, value in (
        ("/name", "New"),
        ("/redirect_uris", ["https://new.example/"]),
        ("/default_scopes", ["teams:read"]),
    ):
        changed = ada.patch(at(client), replace(path, value))
        assert changed.status_code == 200
        assert changed.json()[path[1:]] == value
    # What was given away only an admin gives back.
    assert (
        ada.patch(at(client), replace("/default_scopes", ["teams:read", "teams:write"])).status_code
        == 403
    )


def test_without_such_a_grant_the_owner_widens_a_client(ada: Person) -> None:
    client = create(ada, default_scopes=["users:read"])

    widened = ada.patch(at(client), replace("/default_scopes", ["users:read", "users:write"]))

    assert widened.status_code == 200


def test_a_demoted_admin_makes_and_widens_none(server: Server, admin: Person) -> None:
    client = made_by(admin, "client_credentials")
    demote(server, admin.id)

    assert admin.post(CLIENTS, new(grant_types=["password"])).status_code == 403
    wider = admin.patch(at(client), replace("/default_scopes", ["users:read", "users:write"]))
    assert wider.status_code == 403


def test_the_owners_own_password_makes_no_admin_of_it(server: Server, ada: Person) -> None:
    client = by_operator(server, ada, "password", scopes=["users:read"])
    proof = demand("/current_password", PASSWORD)

    assert ada.patch(f"/users/{ada.id}", proof, replace("/is_admin", True)).status_code == 403
    issued = ask(server, client, "password", username="root", password="q").json()
    assert issued["scope"] == "users:read"

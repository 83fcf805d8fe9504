"""Registering and changing clients, at once too."""

from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from models import Caller, Client, Grant, Token, User
from models.errors import Conflict, Forbidden, NotFound, Unprocessable
from models.oauth import registration
from models.oauth.client import PUBLIC
from tests.models.factories import (
    SCOPES,
    acting,
    checking,
    count,
    make_admin,
    make_client,
    make_grant,
    make_user,
    race,
    replacing,
)

URI = "https://app.example/cb"


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


def register(session: Session, caller: Caller, **fields: Any) -> tuple[Client, str | None]:
    values = {"name": "An app", "redirect_uris": [URI], **fields}
    return registration.register(session, caller, all_scopes=SCOPES, **values)


def found(session: Session, client_id: str) -> Client:
    client = Client.find(session, client_id)
    assert client
    return client


def test_a_client_gets_the_scopes_of_the_token(session: Session, anna: User) -> None:
    client, secret = register(session, acting(anna))

    assert client.scopes == SCOPES
    assert client.grant_types == ("authorization_code", "refresh_token")
    assert client.user_id == anna.id
    assert secret
    assert client.secret_matches(secret)


def test_an_account_that_has_just_gone_gets_no_client(session: Session, anna: User) -> None:
    caller = acting(User.lock(session, anna.id)[0])
    session.expunge(anna)
    session.query(User).delete()
    session.commit()

    with pytest.raises(Forbidden):
        register(session, caller)


def test_a_public_client_has_no_secret(session: Session, anna: User) -> None:
    client, secret = register(session, acting(anna), client_type=PUBLIC)

    assert secret is None
    assert client.secret_hash is None


def test_nobody_gives_more_than_they_have(session: Session, anna: User) -> None:
    root = make_admin(session)
    narrow = Caller(root, 1, None, frozenset(SCOPES[:1]))

    for caller, fields in (
        (acting(anna), {"default_scopes": ["auth:write"]}),
        (acting(anna), {"grant_types": ["password"]}),
        (acting(anna), {"grant_types": ["client_credentials", "refresh_token"]}),
        (narrow, {"grant_types": ["password"]}),
    ):
        with pytest.raises(Forbidden):
            register(session, caller, **fields)
    assert register(session, acting(root), grant_types=["password"])


@pytest.mark.parametrize("uris", [[], ["http://app.example/cb"], [URI, "javascript:x"]])
def test_a_redirect_uri_is_there_and_safe(session: Session, anna: User, uris: list[str]) -> None:
    with pytest.raises(Unprocessable):
        register(session, acting(anna), redirect_uris=uris)


def test_a_failed_change_changes_nothing(session: Session, anna: User) -> None:
    client, _ = register(session, acting(anna))
    session.commit()
    for operations, error in (
        ([replacing("/name", "New"), checking("/name", "Old")], Conflict),
        ([replacing("/name", "New"), replacing("/redirect_uris", [])], Unprocessable),
        ([replacing("/name", "New"), replacing("/default_scopes", ["auth:read"])], Forbidden),
    ):
        with pytest.raises(error):
            registration.change(session, client, operations, acting(anna), all_scopes=SCOPES)
        session.rollback()
        assert (client.name, client.redirect_uris, client.scopes) == ("An app", (URI,), SCOPES)


def test_fewer_scopes_end_only_what_has_more(session: Session, anna: User) -> None:
    client, _ = make_client(session, anna)
    kept = make_grant(session, client, anna, scope="users:read")
    make_grant(session, client, anna, scope="teams:read users:read")

    operations = [replacing("/default_scopes", ["users:read"])]
    registration.change(session, client, operations, acting(anna), all_scopes=SCOPES)
    session.commit()

    assert [grant.id for grant in session.query(Grant)] == [kept.id]


def test_of_many_new_secrets_one_is_good(engine: Engine, session: Session, anna: User) -> None:
    client, old = register(session, acting(anna))
    session.commit()
    client_id, user_id = client.client_id, anna.id

    def renew(session: Session) -> str:
        caller = acting(session.get_one(User, user_id))
        return registration.replace_secret(session, found(session, client_id), caller)

    outcomes = race(engine, [renew] * 8)

    assert count(outcomes, str) == 8, outcomes
    session.expire_all()
    assert sum(client.secret_matches(secret) for secret in outcomes) == 1
    assert not client.secret_matches(old or "")


def test_changes_of_different_fields_lose_nothing(
    engine: Engine, session: Session, anna: User
) -> None:
    client, _ = register(session, acting(anna))
    session.commit()
    client_id, user_id = client.client_id, anna.id

    def change(path: str, value: Any) -> Any:
        def action(session: Session) -> None:
            client = found(session, client_id)
            caller = acting(session.get_one(User, user_id))
            registration.change(
                session, client, [replacing(path, value)], caller, all_scopes=SCOPES
            )

        return action

    outcomes = race(
        engine,
        [
            change("/name", "New"),
            change("/redirect_uris", [URI + "2"]),
            change("/default_scopes", ["users:read"]),
        ],
    )

    assert outcomes == [None] * 3
    session.expire_all()
    assert client.name == "New"
    assert client.redirect_uris == (URI + "2",)
    assert client.scopes == ("users:read",)


def test_a_client_is_deleted_once_with_its_tokens(
    engine: Engine, session: Session, anna: User
) -> None:
    client, _ = make_client(session, anna)
    make_grant(session, client, anna)
    client_id = client.client_id

    def remove(session: Session) -> str:
        client = Client.find(session, client_id)
        if client is None:
            raise NotFound("There is no such client.")
        registration.remove(session, client)
        return "removed"

    outcomes = race(engine, [remove] * 8)

    assert count(outcomes, str) == 1, outcomes
    assert count(outcomes, NotFound) == 7, outcomes
    assert session.query(Grant).count() == session.query(Token).count() == 0

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from models import Client, Grant, User
from models.database.base import now
from models.oauth import bearer
from models.oauth.client import PUBLIC
from models.oauth.token import REFRESH
from tests.models.factories import (
    HOUR,
    is_writing,
    make_client,
    make_grant,
    make_token,
    make_user,
)
from tests.statements import recorded


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def app(session: Session) -> Client:
    """A public client without a secret."""
    return make_client(session, client_type=PUBLIC)[0]


@pytest.fixture
def grant(session: Session, anna: User, app: Client) -> Grant:
    return make_grant(session, app, anna)


def test_the_caller_is_who_the_token_says_by_one_query(
    engine: Engine, session: Session, anna: User, app: Client, grant: Grant
) -> None:
    token = make_token(session, grant)
    with recorded(engine) as statements:
        caller = bearer.caller_of(session.connection(), token)
    assert len(statements) == 1
    assert caller is not None
    assert caller.user is not None
    assert (caller.user.id, caller.user.username) == (anna.id, "anna")
    assert (caller.client, caller.grant_id) == (app.id, grant.id)
    assert caller.scopes == {"users:read"}
    assert not is_writing(session.connection())


@pytest.mark.parametrize("token", ["", "unknown", "\0", "\ud800", "a" * 9999])
def test_an_unknown_token_is_nobodys(session: Session, token: str) -> None:
    assert bearer.caller_of(session.connection(), token) is None


def test_a_refresh_token_is_no_access_token(session: Session, grant: Grant) -> None:
    token = make_token(session, grant, REFRESH)
    assert bearer.caller_of(session.connection(), token) is None


def test_a_token_that_has_ended_is_dead(session: Session, grant: Grant) -> None:
    token = make_token(session, grant, expires_at=now())
    assert bearer.caller_of(session.connection(), token) is None


def test_a_token_whose_grant_has_ended_is_dead(session: Session, grant: Grant) -> None:
    token = make_token(session, grant, expires_at=now() + HOUR)
    grant.expires_at = now()
    session.commit()
    assert bearer.caller_of(session.connection(), token) is None


def test_a_token_of_an_inactive_user_is_dead(session: Session, anna: User, grant: Grant) -> None:
    token = make_token(session, grant)
    anna.is_active = False
    session.commit()
    assert bearer.caller_of(session.connection(), token) is None

from collections.abc import Iterable

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from models import Client, User, development
from tests.models.factories import make_user, race

# In no order.
OLD = ("b:read", "a:read")
SECRET = "KQ()SWK)SQK)QWSKQW(SKQ)S(QWSQW(SJ*HQ&HQW*SQ*^SSQWSGQSG"


def load(
    session: Session,
    issuer: str = "http://127.0.0.1:5000",
    port: int = 5000,
    scopes: Iterable[str] = OLD,
) -> None:
    development.load(session, issuer, port, scopes)


def test_the_users_are_those_of_the_documentation(session: Session) -> None:
    load(session)
    session.commit()
    users = session.scalars(select(User).order_by(User.id)).all()
    assert [
        (u.id, u.username, u.email, u.is_active, u.is_regular_user, u.is_admin, u.is_internal)
        for u in users
    ] == [
        (1, "root", "root@localhost", True, True, True, False),
        (2, "documentation", "documentation@example.org", False, False, False, False),
        (3, "user", "user@example.org", True, True, False, False),
        (4, "internal", "internal@example.org", True, False, False, True),
    ]


@pytest.mark.parametrize(
    ("login", "password"), [("root", "q"), ("USER@example.org", "w"), ("internal", "q")]
)
def test_the_users_can_log_in(session: Session, login: str, password: str) -> None:
    load(session)
    session.commit()
    assert User.authenticate(session, login, password) is not None


def test_the_inactive_user_cannot_log_in(session: Session) -> None:
    load(session)
    session.commit()
    assert User.authenticate(session, "documentation", "w") is None


def test_the_client_is_public_with_a_secret(session: Session) -> None:
    load(session)
    session.commit()
    client = Client.find(session, "documentation")
    assert client is not None
    assert client.is_public
    assert client.secret_matches(SECRET)
    assert client.user_id == 2
    assert client.scopes == ("a:read", "b:read")
    assert set(client.grant_types) == {
        "authorization_code",
        "client_credentials",
        "password",
        "refresh_token",
    }
    assert client.redirect_uris == (
        "http://127.0.0.1:5000/api/v1/oauth2-redirect.html",
        "http://localhost:5000/api/v1/oauth2-redirect.html",
    )


def test_the_same_redirect_uri_stands_once(session: Session) -> None:
    load(session, "http://localhost:8000", 8000)
    client = Client.find(session, "documentation")
    assert client is not None
    assert client.redirect_uris == ("http://localhost:8000/api/v1/oauth2-redirect.html",)


def test_a_second_load_changes_nothing(session: Session) -> None:
    load(session)
    session.commit()
    load(session)
    session.commit()
    assert session.query(User).count() == 4


def test_a_database_with_users_is_left_alone(session: Session) -> None:
    make_user(session)
    load(session)
    session.commit()
    assert session.query(User).count() == 1


def test_the_client_gets_the_scopes_that_have_come_since(session: Session) -> None:
    load(session)
    session.commit()
    load(session, scopes=[*OLD, "c:read"])
    session.commit()
    client = Client.find(session, "documentation")
    assert client is not None
    assert client.scopes == ("a:read", "b:read", "c:read")


@pytest.mark.parametrize("values", [{"by_operator": False}, {"client_type": "confidential"}])
def test_the_client_of_somebody_else_gets_no_scopes(
    session: Session, values: dict[str, object]
) -> None:
    load(session)
    client = Client.find(session, "documentation")
    assert client is not None
    for name, value in values.items():
        setattr(client, name, value)
    session.commit()
    load(session, scopes=[*OLD, "c:read"])
    session.commit()
    assert client.scopes == ("a:read", "b:read")


def test_servers_that_start_at_once_load_once(engine: Engine, session: Session) -> None:
    assert race(engine, [load] * 4) == [None] * 4
    assert session.query(User).count() == 4

    def widen(session: Session) -> None:
        load(session, scopes=[*OLD, "c:read"])

    assert race(engine, [widen] * 4) == [None] * 4
    client = Client.find(session, "documentation")
    assert client is not None
    assert client.scopes == ("a:read", "b:read", "c:read")

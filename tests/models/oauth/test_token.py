from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import Client, Token
from models.oauth.token import digest
from tests.models.factories import make_client, make_grant, make_token

PAST = timedelta(minutes=-2)


@pytest.fixture
def client(session: Session) -> Client:
    return make_client(session)[0]


def tokens(session: Session) -> set[bytes]:
    return set(session.scalars(select(Token.hash)))


def test_a_token_is_stored_hashed_only(session: Session, client: Client) -> None:
    grant = make_grant(session, client)
    token = make_token(session, grant)
    stored = session.scalars(select(Token).where(Token.hash == digest(token))).one()
    assert token not in str(vars(stored))
    assert len(stored.hash) == 32


def test_a_hash_stands_once(session: Session, client: Client) -> None:
    grant = make_grant(session, client)
    token = make_token(session, grant)
    with pytest.raises(IntegrityError):
        make_token(session, grant, hash=digest(token))

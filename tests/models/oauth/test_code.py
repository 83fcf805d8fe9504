"""Codes: each is redeemed once, and only while it lives."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from models import Client, Grant, User
from models.database.base import now
from models.errors import OAuthError
from models.oauth.code import Code, CodeRow
from models.oauth.secret import digest, generate
from tests.models.factories import make_client, make_grant, make_user
from tests.signing_in import CALLBACK, CHALLENGE


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def app(session: Session) -> Client:
    return make_client(session)[0]


def make_code(session: Session, user: User, client: Client) -> CodeRow:
    """Store a code, and return it as its exchange reads it."""
    hashed, moment = digest(generate()), now()
    Code.store(
        session.connection(),
        code_hash=hashed,
        client_id=client.id,
        user_id=user.id,
        redirect_uri=CALLBACK,
        redirect_uri_given=True,
        code_challenge=CHALLENGE,
        scope="users:read",
        created=moment,
        expires_at=moment + timedelta(minutes=1),
    )
    found = session.scalars(select(Code).where(Code.hash == hashed)).one()
    row = CodeRow(
        found.id,
        found.user_id,
        found.redirect_uri,
        found.redirect_uri_given,
        found.code_challenge,
        found.scope,
        found.expires_at,
        found.used_at,
        found.grant_id,
    )
    session.commit()
    return row


def test_a_code_is_bound_to_the_grant_that_it_is_redeemed_for(
    session: Session, anna: User, app: Client
) -> None:
    code, other = (make_code(session, anna, app) for _ in range(2))
    grant, moment = make_grant(session, app, anna), now()

    code.redeem(session.connection(), grant.id, moment)
    session.commit()

    stored = session.execute(select(Code.id, Code.grant_id, Code.used_at).order_by(Code.id)).all()
    assert stored == [(code.id, grant.id, moment), (other.id, None, None)]
    assert other.used_at is None


def use(session: Session, code: CodeRow, grant: Grant) -> None:
    code.redeem(session.connection(), grant.id, now())


def expire(session: Session, code: CodeRow, _grant: Grant) -> None:
    session.execute(update(Code).where(Code.id == code.id).values(expires_at=now()))


def remove(session: Session, code: CodeRow, _grant: Grant) -> None:
    session.execute(delete(Code).where(Code.id == code.id))


@pytest.mark.parametrize("end", [use, expire, remove])
def test_a_code_that_has_ended_since_it_was_read_is_not_redeemed(
    session: Session, anna: User, app: Client, end: Callable[[Session, CodeRow, Grant], None]
) -> None:
    code, grant = make_code(session, anna, app), make_grant(session, app, anna)
    end(session, code, grant)
    session.commit()
    before = session.execute(select(Code.used_at, Code.grant_id)).all()
    another = make_grant(session, app, anna)

    with pytest.raises(OAuthError) as refused:
        code.redeem(session.connection(), another.id, now())

    assert refused.value.error == "invalid_grant"
    assert session.execute(select(Code.used_at, Code.grant_id)).all() == before

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Grant, Token
from tests.models.factories import make_client, make_grant, make_user


def left(session: Session) -> set[int]:
    """Return the ids of all grants, which are also those of all tokens."""
    grants = set(session.scalars(select(Grant.id)))
    assert grants == set(session.scalars(select(Token.grant_id)))
    return grants


def test_a_users_grants_end_with_their_tokens(session: Session) -> None:
    anna, berta = make_user(session, "anna"), make_user(session, "berta")
    client, _ = make_client(session, anna)
    make_grant(session, client, anna)
    kept = make_grant(session, client, anna)
    foreign = make_grant(session, client, berta)
    service = make_grant(session, client)
    Grant.end_all(session, anna.id, keep=kept.id)
    assert left(session) == {kept.id, foreign.id, service.id}
    Grant.end_all(session, anna.id)
    assert left(session) == {foreign.id, service.id}


def test_an_accounts_grants_are_also_those_of_its_clients(session: Session) -> None:
    anna, berta = make_user(session, "anna"), make_user(session, "berta")
    own, foreign = make_client(session, anna)[0], make_client(session, berta)[0]
    for user in (anna, berta, None):
        make_grant(session, own, user)
    make_grant(session, foreign, anna)
    kept = {make_grant(session, foreign, user).id for user in (berta, None)}
    Grant.end_account(session, anna.id)
    assert left(session) == kept


def test_grants_end_with_their_client_and_their_user(session: Session) -> None:
    anna, owner = make_user(session, "anna"), make_user(session, "owner")
    one, other = make_client(session, owner)[0], make_client(session, owner)[0]
    make_grant(session, one, anna)
    service = make_grant(session, other)
    make_grant(session, other, anna)
    session.delete(one)
    session.delete(anna)
    session.commit()
    assert left(session) == {service.id}

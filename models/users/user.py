"""Users: their columns, how they are found, created and authenticated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Index,
    String,
    and_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column, validates

from models.attempt_limit import AttemptLimit, Unlimited
from models.caller import Caller, roles_by_flags
from models.database.base import Base, Identified, Timestamps, is_storable
from models.database.connections import Question, begin
from models.database.pagination import Listing
from models.errors import Conflict
from models.named_objects import NamedDefaults
from models.users import names, passwords

_UNLIMITED = Unlimited()
_BY_ID = "SELECT 1 FROM users WHERE id = $1"


class User(Identified, Timestamps, NamedDefaults, Base):
    """A user's account.

    Usernames and e-mail addresses are searched by their keys, which are unique.
    `password_version` counts the changes of the password; a new hash of the same password is no
    change.
    """

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(String(names.USERNAME_LENGTH))
    username_key: Mapped[str] = mapped_column(String(names.USERNAME_LENGTH), unique=True)
    email: Mapped[str] = mapped_column(String(names.EMAIL_LENGTH))
    email_key: Mapped[str] = mapped_column(String(names.EMAIL_KEY_LENGTH), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    password_version: Mapped[int] = mapped_column(default=0)
    first_name: Mapped[str] = mapped_column(String(names.NAME_LENGTH), default="")
    middle_name: Mapped[str] = mapped_column(String(names.NAME_LENGTH), default="")
    last_name: Mapped[str] = mapped_column(String(names.NAME_LENGTH), default="")
    is_active: Mapped[bool] = mapped_column(default=True)
    is_regular_user: Mapped[bool] = mapped_column(default=True)
    is_admin: Mapped[bool] = mapped_column(default=False)
    is_internal: Mapped[bool] = mapped_column(default=False)

    @validates("username")
    def _set_username_key(self, _key: str, username: str) -> str:
        self.username_key = names.username_key(username)
        return username

    @validates("email")
    def _set_email_key(self, _key: str, email: str) -> str:
        self.email_key = names.email_key(email)
        return email

    @classmethod
    def base_columns(cls) -> tuple[Any, ...]:
        """Return the columns of a user in lists."""
        return cls.id, cls.username, cls.first_name, cls.middle_name, cls.last_name

    @classmethod
    def account_columns(cls) -> tuple[Any, ...]:
        """Return the columns of a caller's account."""
        more = (cls.email, cls.is_active, cls.is_regular_user, cls.is_admin, cls.is_internal)
        return *cls.base_columns(), *more, cls.created, cls.updated

    @classmethod
    def everyone(cls) -> Listing:
        """List the base columns of all users."""
        return _everyone()

    @classmethod
    def load(cls, session: Session, user_id: int) -> Self | None:
        """Return the user with that id."""
        return cls.by_id(session, user_id)

    @classmethod
    def users_to_lock(cls, session: Session, **ids: Any) -> dict[int, bool]:
        """Return the user itself, to be locked exclusively."""
        return {ids["user_id"]: True}

    @classmethod
    def lock_named(cls, session: Session, **ids: Any) -> None:
        """Lock nothing more: the user is locked already."""

    @classmethod
    def lock_accounts(cls, connection: Connection, accounts: Mapping[int, bool]) -> None:
        """Begin a write transaction, and lock users in it by the selects of `locks`."""
        begin(connection, cls.locks(accounts))

    @staticmethod
    def locks(accounts: Mapping[int, bool]) -> list[Question]:
        """Return the selects that lock users against changes until the transaction ends.

        The value tells whether the lock is exclusive; a transaction may lock at most one user
        exclusively. Users are locked in the order of their ids, as everywhere.
        """
        by_id = {True: f"{_BY_ID} FOR UPDATE", False: f"{_BY_ID} FOR SHARE"}
        return [(by_id[accounts[id]], (id,)) for id in sorted(accounts)]

    @classmethod
    def may_write(cls) -> ColumnElement[bool]:
        """Return the SQL condition for the role `writer`."""
        return and_(cls.is_active, or_(cls.is_regular_user, cls.is_admin, cls.is_internal))

    @classmethod
    def find_by_login(cls, session: Session, login: str) -> Self | None:
        """Return the user with that username or e-mail address.

        Letter case, the width of letters and blanks around it are ignored.
        """
        key = names.login_key(login)
        if not is_storable(key):
            return None
        # No username has an @.
        found = cls.email_key == key if "@" in key else cls.username_key == key
        return session.scalar(select(cls).where(found).execution_options(populate_existing=True))

    @classmethod
    def create(
        cls,
        session: Session,
        *,
        username: str,
        email: str,
        password: str,
        first_name: str = "",
        middle_name: str = "",
        last_name: str = "",
        is_active: bool = True,
        is_regular_user: bool = True,
        is_admin: bool = False,
        is_internal: bool = False,
    ) -> Self:
        """Create an account.

        Raise Unprocessable where a name or the password breaks a rule, Conflict where the
        username or the e-mail address is taken.
        """
        names.check_username(username)
        names.check_email(email)
        passwords.check_rules(password, username)
        cls._check_free(session, username, email)
        user = cls(
            username=username,
            email=email,
            password_hash=passwords.hash_password(password),
            first_name=first_name,
            middle_name=middle_name,
            last_name=last_name,
            is_active=is_active,
            is_regular_user=is_regular_user,
            is_admin=is_admin,
            is_internal=is_internal,
        )
        session.add(user)
        try:
            session.flush()
        except IntegrityError:  # another request took the name in the meantime
            raise Conflict("The username or the e-mail address is taken.") from None
        return user

    @classmethod
    def _check_free(cls, session: Session, username: str, email: str) -> None:
        taken = []
        if cls.find_by_login(session, username) is not None:
            taken.append(("/username", "The username is taken."))
        if cls.find_by_login(session, email) is not None:
            taken.append(("/email", "The e-mail address is taken."))
        if taken:
            raise Conflict("The username or the e-mail address is taken.", taken)

    @classmethod
    def authenticate(
        cls,
        session: Session,
        login: str,
        password: str,
        attempts: AttemptLimit = _UNLIMITED,
        beside: Collection[int] = (),
    ) -> Self | None:
        """Return the active user with that login and password.

        Return None, in the same time, for an unknown user, an inactive one and a wrong password.
        The user is locked against changes until the transaction ends, so that the password is
        still valid when tokens or sessions are stored; the users `beside` are locked with it, in
        the order of ids. A hash of another cost is renewed. Raise TooManyAttempts after too many
        failures.
        """
        user = cls.find_by_login(session, login)
        # By the key that finds an account: or ten failures would tell whether there is one.
        account = user.login_account if user else f"name {names.login_key(login)}"
        attempts.count("login", account)
        if user is None or not user.is_active:
            passwords.verify_nobody(password)
            return None
        version = user.password_version
        right, upgraded = passwords.verify(password, user.password_hash)
        if not right:
            return None
        attempts.succeeded("login", account)
        if upgraded is not None:
            _renew_hash(session, user, upgraded)
        held = cls.lock_shared(session, user.id, *beside)
        if held is None or not held.is_active or held.password_version != version:
            attempts.count("login", account)  # it has failed after all
            return None
        return held

    @property
    def login_account(self) -> str:
        """The key of this account for counting failed logins; it differs from every typed login."""
        return f"user {self.id}"

    @property
    def own_roles(self) -> frozenset[str]:
        """The roles of the account by its flags: `admin`, `internal`."""
        return roles_by_flags(is_admin=self.is_admin, is_internal=self.is_internal)

    def roles_of(self, caller: Caller) -> frozenset[str]:
        """Return the caller's roles towards this user: `self`."""
        is_self = caller.user is not None and caller.user.id == self.id
        return frozenset({"self"} if is_self else ())


def _renew_hash(session: Session, user: User, password_hash: str) -> None:
    # Only the verified hash is replaced: the password may have been changed in the meantime. And
    # `updated` stays, because the account was not changed.
    verified = and_(User.id == user.id, User.password_hash == user.password_hash)
    values = {User.password_hash: password_hash, User.updated: User.updated}
    session.execute(update(User).where(verified).values(values))


@cache
def _everyone() -> Listing:
    return Listing.of(select(*User.base_columns()), User.id)


# For the check that an admin remains: admins are few among the users.
Index(
    "ix_users_active_admins",
    User.id,
    sqlite_where=and_(User.is_admin, User.is_active),
    postgresql_where=and_(User.is_admin, User.is_active),
)

"""Accounts: changing and deleting a user together with its teams, clients, logins and tokens."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from models import patch
from models.attempt_limit import AttemptLimit, Unlimited
from models.caller import Caller
from models.errors import Conflict, NotFound, PasswordRequired
from models.oauth.browser_session import BrowserSession
from models.oauth.client import Client
from models.oauth.code import Code
from models.oauth.grant import Grant
from models.teams import leaving
from models.teams.member import Member
from models.users import names, passwords, user_patch
from models.users.user import User

_UNLIMITED = Unlimited()
# The key of PostgreSQL's advisory lock for transactions that take a right from an admin.
_ADMINS = 0x41646D696E73
# Teams and clients of a deleted account that its audit event tells of.
MAX_COUNTED = 10_000
# How many teams one transaction leaves: some milliseconds' work.
_TEAMS_AT_ONCE = 300


def change(
    session: Session,
    user: User,
    operations: Sequence[patch.Operation],
    caller: Caller,
    attempts: AttemptLimit = _UNLIMITED,
) -> None:
    """Apply a JSON Patch, which first tests the caller's own password.

    Raise PasswordRequired where that password is missing or wrong, Forbidden where the
    caller has no right to a flag, Conflict where another test fails, the e-mail address
    is taken or no active admin would remain, Unprocessable where a new password or
    e-mail address breaks a rule. A new password ends the user's grants but the caller's
    own, a deactivation ends them all.
    """
    user_patch.check_rights(operations, caller)
    known = None if caller.user is None else User.by_id(session, caller.user.id)
    prover = user_patch.check_current_password(operations, known, attempts)
    version = prover.password_version
    fields, password = user_patch.apply(user, operations)
    if patch.replaces(operations, "/email"):
        names.check_email(fields["email"], patch.pointer(operations, "/email"))
    password_hash = None
    if password is not None:
        pointer = patch.pointer(operations, "/password")
        passwords.check_rules(password, user.username, pointer)
        password_hash = passwords.hash_password(password)

    present = _lock(session, user, prover.id).get(prover.id)
    if present is None or not present.is_active or present.password_version != version:
        raise PasswordRequired("The current password has just been changed.")
    fields, _ = user_patch.apply(user, operations)
    try:
        _assign(session, user, fields, password_hash, keep=caller.grant_id)
    except IntegrityError:
        pointer = patch.pointer(operations, "/email")
        errors = [(pointer, "The e-mail address is taken.")]
        raise Conflict("The e-mail address is taken.", errors) from None


def administer(
    session: Session,
    user: User,
    *,
    password: str | None = None,
    is_active: bool | None = None,
    is_admin: bool | None = None,
    is_internal: bool | None = None,
) -> None:
    """Set what an operator sets; None leaves a value as it is.

    Raise Unprocessable where the password breaks a rule, Conflict where no active admin
    would remain. Grants end as by `change`.
    """
    password_hash = None
    if password is not None:
        passwords.check_rules(password, user.username)
        password_hash = passwords.hash_password(password)
    _lock(session, user)
    flags = {"is_active": is_active, "is_admin": is_admin, "is_internal": is_internal}
    given = {name: value for name, value in flags.items() if value is not None}
    _assign(session, user, given, password_hash)


def leave_teams(session: Session, user: User, by: Caller | None = None) -> Iterator[None]:
    """Leave all but the last few of a user's teams, in batches, before the account is deleted.

    The caller of this function commits after each batch, so that nobody else waits for long.
    Raise Conflict, before anything is left, in the same cases as `delete`.
    """
    _check_deletable(session, user, by)
    while (last := leaving.id_at_position(session, user, _TEAMS_AT_ONCE)) is not None:
        leaving.leave_all(session, user, may_refuse=_is_own(user, by), through=last)
        yield
        _check_deletable(session, user, by)


def delete_account(session: Session, user: User, by: Caller | None = None) -> None:
    """Delete an account, its grants, its clients, and the teams where it is the only member.

    Other teams get a new leader, as by `leaving.leave_all`. Raise Conflict where no active admin
    would remain, or where a user who may write deletes the own account and a team would be left
    without a leader.
    """
    _check_deletable(session, user, by)
    Grant.end_account(session, user.id)
    leaving.leave_all(session, user, may_refuse=_is_own(user, by))
    session.delete(user)
    session.flush()


def goes_with(session: Session, user: User) -> dict[str, str]:
    """Return the username of an account, and how many teams and clients it has (MAX_COUNTED)."""
    clients = select(Client.id).where(Client.user_id == user.id)
    teams = select(Member.team_id).where(Member.user_id == user.id)
    counted = {
        name: session.scalar(select(func.count()).select_from(rows.limit(MAX_COUNTED).subquery()))
        for name, rows in (("clients", clients), ("teams", teams))
    }
    return {"username": user.username, **{name: str(number) for name, number in counted.items()}}


def _check_deletable(session: Session, user: User, by: Caller | None) -> None:
    _lock(session, user)
    if user.is_admin and user.is_active:
        _check_admin_remains(session, user)
    if _is_own(user, by):
        leaving.check_led(session, user)


def _is_own(user: User, by: Caller | None) -> bool:
    return by is not None and by.user is not None and by.user.id == user.id


def _lock(session: Session, user: User, other: int | None = None) -> dict[int, User]:
    """Lock the account, and another one against changes; return both as they now are."""
    ids = {user.id: True} if other is None else {other: False, user.id: True}
    User.lock_accounts(session.connection(), ids)
    fresh = select(User).where(User.id.in_(ids)).execution_options(populate_existing=True)
    locked = {each.id: each for each in session.scalars(fresh)}
    if user.id not in locked:
        raise NotFound("There is no such user.")
    return locked


def _assign(
    session: Session,
    user: User,
    fields: Mapping[str, Any],
    password_hash: str | None,
    keep: int | None = None,
) -> None:
    was_admin = user.is_admin and user.is_active
    for name, value in fields.items():
        setattr(user, name, value)
    if password_hash is not None:
        user.password_hash = password_hash
        user.password_version += 1
    session.flush()
    if was_admin and not (user.is_admin and user.is_active):
        _check_admin_remains(session, user)
    if not user.is_active:
        _end_logins(session, user)
    elif password_hash is not None:
        _end_logins(session, user, keep)


def _end_logins(session: Session, user: User, keep: int | None = None) -> None:
    Grant.end_all(session, user.id, keep)
    session.execute(delete(Code).where(Code.user_id == user.id))
    session.execute(delete(BrowserSession).where(BrowserSession.user_id == user.id))


def _check_admin_remains(session: Session, user: User) -> None:
    # One transaction at a time: or two admins could be removed at once, each because the other one
    # remains. It is the last lock of users: a transaction that has it waits for no user.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_ADMINS)))
    others = select(User.id).where(User.is_admin, User.is_active, User.id != user.id)
    if session.scalar(others.limit(1)) is None:
        raise Conflict("At least one active admin has to remain.")

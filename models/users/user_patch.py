"""The JSON Patch of a user: its rights, its fields, and the password test at its begin."""

from collections.abc import Sequence
from typing import Any

from models import patch
from models.attempt_limit import AttemptLimit
from models.caller import Caller
from models.errors import Forbidden, PasswordRequired
from models.users import passwords
from models.users.user import User

_CURRENT_PASSWORD = "/current_password"
_FIELDS = (
    "first_name",
    "middle_name",
    "last_name",
    "email",
    "is_active",
    "is_regular_user",
    "is_admin",
)


def check_rights(operations: Sequence[patch.Operation], caller: Caller) -> None:
    """Raise Forbidden if the caller may not replace a value that the operations replace."""
    if patch.replaces(operations, "/is_admin") and not caller.has("admin"):
        raise Forbidden("Only an admin may change who is an admin.")
    if patch.replaces(operations, "/is_active", "/is_regular_user") and not caller.has(
        "admin", "internal"
    ):
        raise Forbidden("Only an admin or an internal user may change this.")


def check_current_password(
    operations: Sequence[patch.Operation], caller: User | None, attempts: AttemptLimit
) -> User:
    """Return the caller's user, after every test of `/current_password` had the right password.

    The first operation has to be such a test. Only one hash is computed, however many there are.
    Raise PasswordRequired if a test is missing or wrong, Forbidden for a caller without a user.
    """
    if caller is None:
        raise Forbidden("Only a user may do this.")
    given = [operation["value"] for operation in operations if _tests_password(operation)]
    if not given or not _tests_password(operations[0]):
        raise PasswordRequired(
            "The first operation has to test /current_password, with the caller's own password."
        )
    account = caller.login_account
    attempts.count("current_password", account)
    all_same = all(passwords.are_same(given[0], other) for other in given[1:])
    if not passwords.is_right(given[0], caller.password_hash) or not all_same:
        raise PasswordRequired("The current password is wrong.")
    attempts.succeeded("current_password", account)
    return caller


def apply(user: User, operations: Sequence[patch.Operation]) -> tuple[dict[str, Any], str | None]:
    """Return the user's fields after the operations, and the new password, if there is one.

    A test of `/password` fails, unless an earlier operation replaced it.
    """
    document = {field: getattr(user, field) for field in _FIELDS}
    # All tests of the current password were checked before, also those that were typed differently.
    proven = operations[0]["value"]
    judged: list[patch.Operation] = [
        {**each, "value": proven} if _tests_password(each) else each for each in operations
    ]
    document |= {"password": None, "current_password": proven}
    document = patch.apply(document, judged)
    return {field: document[field] for field in _FIELDS}, document["password"]


def _tests_password(operation: patch.Operation) -> bool:
    return operation["op"] == "test" and operation["path"] == _CURRENT_PASSWORD

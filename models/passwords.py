"""How passwords are judged, hashed and verified: the one place that knows passlib."""

import os
from collections.abc import Callable
from functools import cache
from threading import BoundedSemaphore
from typing import Any

from passlib.context import CryptContext

from models.base import is_storable
from models.errors import Unprocessable

MIN_LENGTH = 8
MAX_LENGTH = 128

# A hash takes a core and its memory for some time: no more at once than there are cores for this
# process (not every system can say which these are).
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

_slots = BoundedSemaphore(CORES)
_context = CryptContext(schemes=["argon2"], argon2__type="ID", argon2__parallelism=1)
_cost: dict[str, int] = {}


def configure(*, time_cost: int = 2, memory_cost: int = 19456) -> None:
    """Set the cost of argon2id: `time_cost` in passes, `memory_cost` in KiB.

    The defaults are the minimum that the OWASP Password Storage Cheat Sheet asks for.
    """
    _context.update(argon2__time_cost=time_cost, argon2__memory_cost=memory_cost)
    _cost.update(time_cost=time_cost, memory_cost=memory_cost)


configure()


def hash_password(password: str) -> str:
    """Return the hash to store for a password."""
    return str(_compute(_context.hash, password))


def verify(password: str, password_hash: str) -> tuple[bool, str | None]:
    """Tell whether a password is the hashed one.

    The second value is a new hash to store, where the right password's was made at another cost.
    """
    right = is_right(password, password_hash)
    if right and _context.needs_update(password_hash):
        return True, hash_password(password)
    return right, None


def is_right(password: str, password_hash: str) -> bool:
    """Tell whether a password is the hashed one, at the price of one hash."""
    if len(password) > MAX_LENGTH or not is_storable(password):
        verify_nobody(password)
        return False
    return bool(_compute(_context.verify, password, password_hash))


def verify_nobody(password: str) -> None:
    """Take the time of a verification, for a user who does not exist."""
    # Well formed and of the present cost, but the hash of no known password.
    parameters = "m={memory_cost},t={time_cost},p=1".format_map(_cost)
    nobodys_hash = f"$argon2id$v=19${parameters}${'A' * 22}${'A' * 43}"
    _compute(_context.verify, password[:MAX_LENGTH].encode("utf-8", "replace"), nobodys_hash)


def _compute(function: Callable[..., Any], *arguments: Any) -> Any:
    with _slots:
        return function(*arguments)


def check_rules(password: str, username: str, pointer: str = "/password") -> None:
    """Raise Unprocessable, with `pointer`, for a password that a user may not choose."""
    reason = _reason_against(password, username)
    if reason is not None:
        raise Unprocessable("The password cannot be used.", [(pointer, reason)])


def _reason_against(password: str, username: str) -> str | None:
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH or not is_storable(password):
        return f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters."
    if password.casefold() == username.casefold():
        return "The password must not be the username."
    if password.casefold() in _common_passwords():
        return "The password is too common."
    return None


@cache
def _common_passwords() -> frozenset[str]:
    # Twelve MiB that a worker does without until somebody chooses a password.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    return frozenset(FREQUENCY_LISTS["passwords"])

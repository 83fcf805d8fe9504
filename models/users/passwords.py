"""Passwords: preparing, checking, hashing and verifying them; only this module uses passlib."""

import hmac
import os
from collections.abc import Callable
from functools import cache
from threading import BoundedSemaphore
from time import perf_counter
from typing import Any

from passlib.context import CryptContext
from precis_i18n import get_profile

from models.database.base import is_storable
from models.errors import Unprocessable

MIN_LENGTH = 8
MAX_LENGTH = 128
# A composed character comes from at most four code points.
_MAX_TYPED_LENGTH = 4 * MAX_LENGTH

# A hash occupies a core and memory for some time: as many are computed at once as this process has
# cores (not every system can tell).
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

FORM = (
    f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters, and none of them is a control"
    " character, invisible or unknown to Unicode."
)

_slots = BoundedSemaphore(CORES)
_opaque_string = get_profile("OpaqueString")
_context = CryptContext(schemes=["argon2"], argon2__type="ID", argon2__parallelism=1)
_cost: dict[str, int] = {}
_observer: Callable[[float], None] | None = None


def configure(*, time_cost: int = 2, memory_cost: int = 19456) -> None:
    """Set the cost of argon2id: `time_cost` in passes, `memory_cost` in KiB.

    The defaults are the minimum that the OWASP Password Storage Cheat Sheet asks for.
    """
    _context.update(argon2__time_cost=time_cost, argon2__memory_cost=memory_cost)
    _cost.update(time_cost=time_cost, memory_cost=memory_cost)


configure()


def observe(observer: Callable[[float], None]) -> None:
    """Call a function with the seconds of each hash, its wait for a core included.

    There is one such function: the last one that was given.
    """
    global _observer  # noqa: PLW0603
    _observer = observer


def prepare(password: str) -> str | None:
    """Return the form that is the same for all ways to type a password; None if it is not allowed.

    That is the OpaqueString of RFC 8265 section 4.2: composed characters and ASCII spaces, without
    control characters and invisible ones.
    """
    if password.isascii() and password.isprintable():
        return password or None
    if len(password) > _MAX_TYPED_LENGTH or not is_storable(password):
        return None
    try:
        return str(_opaque_string.enforce(password))
    except UnicodeError:
        return None


def are_same(one: str, other: str) -> bool:
    """Tell whether two texts are the same password, in a time that does not depend on it."""
    first, second = (
        (prepare(each) or each).encode("utf-8", "surrogatepass") for each in (one, other)
    )
    return hmac.compare_digest(first, second)


def hash_password(password: str) -> str:
    """Return the hash to store for a password."""
    return str(_compute(_context.hash, prepare(password) or password))


def verify(password: str, password_hash: str) -> tuple[bool, str | None]:
    """Tell whether a password is the hashed one.

    The second value is a new hash to store: the password is right, but its hash has another cost
    or was computed before passwords were prepared.
    """
    right = _matching(password, password_hash)
    if right is None:
        return False, None
    best = _forms(password)[0]
    if right != best or _context.needs_update(password_hash):
        return True, str(_compute(_context.hash, best))
    return True, None


def is_right(password: str, password_hash: str) -> bool:
    """Tell whether a password is the hashed one; this computes one hash or two."""
    return _matching(password, password_hash) is not None


def verify_nobody(password: str) -> None:
    """Compute as long as a verification takes, for a user who does not exist."""
    # Well formed and of the current cost, but not the hash of a known password.
    parameters = "m={memory_cost},t={time_cost},p=1".format_map(_cost)
    nobodys_hash = f"$argon2id$v=19${parameters}${'A' * 22}${'A' * 43}"
    for form in _forms(password) or [""]:
        _compute(_context.verify, form, nobodys_hash)


def _matching(password: str, password_hash: str) -> str | None:
    """Return that form of a password that was hashed; None if none was."""
    forms = _forms(password)
    if not forms:
        verify_nobody(password)
    right = (form for form in forms if _compute(_context.verify, form, password_hash))
    return next(right, None)


def _forms(password: str) -> list[str]:
    """Return the forms that may have been hashed: prepared, and as typed in earlier versions."""
    forms = dict.fromkeys((prepare(password), password))
    return [form for form in forms if form and len(form) <= MAX_LENGTH and is_storable(form)]


def _compute(function: Callable[..., Any], *arguments: Any) -> Any:
    began = perf_counter()
    with _slots:
        computed = function(*arguments)
    if _observer is not None:
        _observer(perf_counter() - began)
    return computed


def check_rules(password: str, username: str, pointer: str = "/password") -> None:
    """Raise Unprocessable, with `pointer`, for a password that is not allowed."""
    reason = _reason_against(password, username)
    if reason is not None:
        raise Unprocessable("The password cannot be used.", [(pointer, reason)])


def is_acceptable(password: str) -> bool:
    """Tell whether a password has an allowed length and allowed characters."""
    return _reason_against_form(password) is None


def _reason_against(password: str, username: str) -> str | None:
    reason = _reason_against_form(password)
    if reason is not None:
        return reason
    folded = (prepare(password) or password).casefold()
    if folded == username.casefold():
        return "The password must not be the username."
    if folded in _common_passwords():
        return "The password is too common."
    return None


def _reason_against_form(password: str) -> str | None:
    prepared = prepare(password)
    if prepared is None and 0 < len(password) <= _MAX_TYPED_LENGTH:
        return FORM
    if not MIN_LENGTH <= len(prepared or "") <= MAX_LENGTH:
        return f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters."
    return None


@cache
def _common_passwords() -> frozenset[str]:
    # Twelve MiB that a worker needs only when a password is chosen.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    return frozenset(FREQUENCY_LISTS["passwords"])

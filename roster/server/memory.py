"""Memory: what a server asks of the garbage collector, and of glibc where that allocates."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_M_ARENA_MAX = -8  # glibc's malloc.h
_NEW_OBJECTS = 10_000


def _of_libc(name: str) -> Any:
    """Return a function of the C library that is loaded; None where it has none of that name."""
    # Elsewhere there is no glibc, and Windows has no library without a name.
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def share_one_arena() -> None:
    """Have all threads allocate from the same memory, before there are any.

    Else glibc gives each an arena of its own, which keeps what its thread once needed: the 19 MiB
    of a password hash, for ever. Threads of Python hardly ever allocate at the same time.
    """
    mallopt = _of_libc("mallopt")
    if mallopt:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give what is free back to the system: some milliseconds, in which no thread allocates."""
    malloc_trim = _of_libc("malloc_trim")
    if malloc_trim:
        malloc_trim(0)


@contextmanager
def starting() -> Iterator[None]:
    """Collect no garbage while a server starts, and take what is there then for what stays.

    Collections would take a tenth of the start; and later, what stays need not be looked through
    each time, which would make some request wait for a tenth of a second. Requests leave little
    garbage that only a collection finds: it is looked for after 10,000 new objects.
    """
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
        gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    finally:
        gc.enable()

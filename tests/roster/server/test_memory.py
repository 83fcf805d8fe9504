"""Memory: what is no longer needed goes back to the system, what stays is not looked through."""

import ctypes
import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from roster.server import memory

HASH_IN_A_THREAD = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from roster.server import memory

memory.share_one_arena()

from models.users import passwords

def mebibytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) / 256

with ThreadPoolExecutor(1) as threads:
    list(threads.map(passwords.hash_password, ["correct horse"] * 4))
    before = mebibytes()
    memory.give_back()
    print(before - mebibytes())
"""


@pytest.fixture
def thawed() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.skipif(memory._of_libc("malloc_trim") is None, reason="The C library is not glibc.")
def test_the_memory_of_hashes_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HASH_IN_A_THREAD], capture_output=True, text=True, check=True
    )

    assert float(done.stdout) > 15


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    memory.share_one_arena()
    memory.give_back()


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: None) -> None:
        raise TypeError("Windows has no library without a name.")

    monkeypatch.setattr(ctypes, "CDLL", fail)
    monkeypatch.setattr(sys, "platform", "win32")

    memory.share_one_arena()
    memory.give_back()


@pytest.mark.usefixtures("thawed")
def test_what_a_start_leaves_is_not_looked_through_again() -> None:
    kept = []

    with memory.starting():
        assert not gc.isenabled()
        kept.append(["here to stay"])

    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == 10_000
    assert not any(each is kept[0] for each in gc.get_objects())


def test_a_start_that_fails_freezes_nothing() -> None:
    with pytest.raises(LookupError), memory.starting():
        raise LookupError("a setting")

    assert gc.isenabled()
    assert gc.get_freeze_count() == 0

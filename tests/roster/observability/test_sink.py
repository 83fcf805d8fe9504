"""The sink: log lines reach their reader, and nobody waits for one who does not read."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from roster.observability.sink import Sink

LINE = b'{"message": "' + b"x" * 500 + b'"}\n'


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Yield the two ends of a pipe: to read, and to write."""
    ends = os.pipe()
    yield ends
    for each in ends:
        with suppress(OSError):
            os.close(each)


def rendered(line: object) -> bytes:
    return f"{line}\n".encode()


def test_lines_arrive_in_their_order_rendered_or_not(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1], rendered)

    for number in range(300):
        sink.write(number if number % 2 else f"{number}\n".encode())
    sink.end(10)

    assert os.read(pipe[0], 65536).split() == [str(each).encode() for each in range(300)]
    assert sink.dropped == 0


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1], rendered, most=100)

    for _ in range(5000):
        sink.write(LINE)
    sink.end(0.1)

    assert sink.dropped > 0

    # The reader comes back, and gets whole lines: all but those that were counted.
    received = bytearray()
    reading = threading.Thread(target=lambda: received.extend(everything(pipe[0])))
    reading.start()
    sink.flush(30)
    os.close(pipe[1])
    reading.join(30)
    lines = bytes(received).splitlines(keepends=True)
    assert set(lines) == {LINE}
    assert len(lines) + sink.dropped == 5000


def everything(file: int) -> bytes:
    received = b""
    while piece := os.read(file, 65536):
        received += piece
    return received


def test_a_pipe_that_does_not_block_is_written_when_it_has_room(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    sink = Sink(pipe[1], rendered)
    for _ in range(300):
        sink.write(LINE)
    sink.flush(0.1)
    received: list[bytes] = []
    reading = threading.Thread(target=lambda: received.append(everything(pipe[0])))
    reading.start()

    sink.flush(30)
    os.close(pipe[1])
    reading.join(30)

    assert received == [LINE * 300]


def test_lines_whose_reader_is_gone_are_dropped_and_counted(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1], rendered)
    os.close(pipe[0])

    for _ in range(5):
        sink.write(b"x\n")
        sink.flush(10)

    assert sink.dropped == 5


def test_a_line_that_was_written_in_part_ends_before_the_next(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    left = [3]

    def full(file: int, data: memoryview) -> int:
        if not left:
            raise OSError(28, "No space left on device")
        return write(file, data[: left.pop()])

    sink = Sink(pipe[1], rendered)
    monkeypatch.setattr("os.write", full)
    sink.write(b"abcdef\n")
    sink.flush(10)
    monkeypatch.setattr("os.write", write)
    sink.write(b"next\n")
    sink.flush(10)

    assert os.read(pipe[0], 100) == b"abc\nnext\n"
    assert sink.dropped == 1


def test_what_cannot_be_rendered_is_counted(pipe: tuple[int, int]) -> None:
    def fail(_line: object) -> bytes:
        raise TypeError

    sink = Sink(pipe[1], fail)
    sink.write(1)
    sink.write(b"x\n")
    sink.flush(10)

    assert os.read(pipe[0], 100) == b"x\n"
    assert sink.dropped == 1


def test_a_forked_process_has_a_thread_of_its_own(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1], rendered)
    sink.write(b"parent\n")
    sink.flush(10)

    sink._begin_anew()  # what a fork calls; to fork here would leave other threads behind
    sink.write(b"child\n")
    sink.flush(10)

    assert os.read(pipe[0], 100) == b"parent\nchild\n"

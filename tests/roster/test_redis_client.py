"""The client of Redis: the addresses that it takes, and the master that Sentinels name."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from roster.redis_client import check_url, client_of, failure, reason_of
from tests.live import PATIENCE_SECONDS, free_port

PASSWORD = "correct:horse/battery"


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/1",
        "rediss://user:secret@redis.example",
        "redis://127.0.0.1:6379/",
        "redis://127.0.0.1:6379/0/",
        "rediss://redis.example/%31?socket_timeout=1",
        "redis://127.0.0.1?db=2",
        "redis+unix:///run/redis.sock",
        "redis+unix:///run/redis.sock?db=1",
        "redis+sentinel://one.example/counts",
        "redis+sentinel://user:secret@one.example:26379,[::1],10.0.0.3:1/counts",
        "redis+sentinel://one.example/counts?sentinel_username=roster&sentinel_password=secret",
    ],
)
def test_a_client_is_made_for_every_address_that_is_taken(url: str) -> None:
    assert check_url(url) == url
    client_of(url).close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:6379",
        "redis://secret.example:port",
        "redis+sentinel://secret.example",
        "redis+sentinel://secret.example/",
        "redis+sentinel:///counts",
        "redis+sentinel://secret.example,/counts",
        "redis+sentinel://secret.example:port/counts",
        "redis+sentinel://secret.example:0/counts",
        "redis+sentinel://secret.example/counts/0",
        "redis+sentinel://secret.example/counts?db=1",
    ],
)
def test_no_other_address_is_taken(url: str) -> None:
    with pytest.raises(ValueError, match="must be a Redis URL") as told:
        check_url(url)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@127.0.0.1:6379/secret",
        "redis://:secret@127.0.0.1:6379/0/1",
        "redis://:secret@127.0.0.1:6379/-1",
        "redis://:secret@127.0.0.1:6379/1_0",
        "redis://:secret@127.0.0.1:6379/%D9%A1",
        "redis://:secret@127.0.0.1:6379/" + "1" * 5000,
        "rediss://:secret@redis.example/secret",
        "redis://:secret@127.0.0.1?db=secret",
        "redis://:secret@127.0.0.1/0?db=-1",
        "redis+unix://:secret@/run/redis.sock?db=secret",
    ],
)
def test_a_database_that_is_no_number_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must name its database by a number") as told:
        check_url(url)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis:6379",
        "redis+unix:/run/secret.sock",
        "redis://127.0.0.1?socket_timeout=secret",
        "redis://127.0.0.1?secret=1",
        "rediss://127.0.0.1?ssl_cert_reqs=secret",
    ],
)
def test_what_redis_py_cannot_use_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must (be a Redis URL|name its database)") as told:
        check_url(url)
    assert "secret" not in str(told.value)


def test_a_client_that_is_closed_leaves_no_connection(redis_url: str) -> None:
    watching, client = client_of(redis_url), client_of(redis_url)
    watching.ping()
    client.ping()
    assert len(watching.client_list()) == 2

    client.close()

    # Redis learns of it when it reads from that connection.
    wait_for(lambda: len(watching.client_list()) == 1)
    watching.close()


@pytest.mark.parametrize("text", ["redis", "redis+sentinel"])
def test_a_failure_is_told_without_the_connection(text: str) -> None:
    port = free_port()
    client = client_of(f"{text}://user:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0")
    with pytest.raises(failure()) as told:
        client.ping()

    reason = reason_of(told.value)

    assert reason
    assert not {
        each for each in ("password", PASSWORD, "object at", "Connection(") if each in reason
    }


@contextmanager
def redis(
    folder: Path, port: int, *lines: str, options: Sequence[str] = ()
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a Redis by the lines of its configuration."""
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("No redis-server is installed here.")
    folder.mkdir()
    file = folder / "redis.conf"
    file.write_text("\n".join(["bind 127.0.0.1", f"port {port}", f"dir {folder}", *lines]))
    with subprocess.Popen([command, file, *options], stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.live
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_the_master_is_followed_that_the_sentinels_name(
    tmp_path: Path, fault: signal.Signals
) -> None:
    ports = [free_port() for _ in range(3)]
    known = (
        f"requirepass {PASSWORD}",
        f"masterauth {PASSWORD}",
        'save ""',
        "repl-diskless-sync-delay 0",
    )
    follower = (f"replicaof 127.0.0.1 {ports[0]}",)
    watching = (
        f"sentinel monitor counts 127.0.0.1 {ports[0]} 1",
        f"sentinel auth-pass counts {PASSWORD}",
        "sentinel down-after-milliseconds counts 500",
    )
    user = quote(PASSWORD, safe="")
    with (
        redis(tmp_path / "first", ports[0], *known) as master,
        redis(tmp_path / "second", ports[1], *known, *follower),
    ):
        direct = client_of(f"redis://:{user}@127.0.0.1:{ports[0]}")
        wait_for(lambda: direct.info("replication").get("slave0", {}).get("state") == "online")
        # It asks for the followers when it starts, and then every ten seconds.
        with redis(tmp_path / "watching", ports[2], *watching, options=("--sentinel",)):
            hosts = f"127.0.0.1:1,127.0.0.1:{ports[2]}"
            client = client_of(f"redis+sentinel://:{user}@{hosts}/counts")
            wait_for(lambda: client.set("count", 1))
            assert client.info("server")["tcp_port"] == ports[0]
            master.send_signal(fault)
            wait_for(lambda: client.info("server")["tcp_port"] == ports[1])
            assert client.set("count", 2)


def wait_for(holds: Callable[[], object]) -> None:
    """Wait until a Redis answers as it should; while it does not answer it is asked again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(failure()):
            if holds():
                return
        time.sleep(0.1)
    raise AssertionError("This Redis does not do it.")

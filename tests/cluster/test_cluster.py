"""A cluster under load, of which one part after the other dies, freezes or is cut off."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from threading import Event
from typing import Any

import click
import httpx2
import pytest

from tests.cluster.machines import ADDRESSES, DATABASES, SERVERS, Cluster, running, wait_for
from tests.cluster.network import Host
from tests.field.daemons import private_folder
from tests.field.pair import NOBODY
from tests.field.traffic import Somebody, lost, people

pytestmark = pytest.mark.cluster

CROWD = 6
# By ops/cluster: Patroni promises another primary after ttl, two loop_wait and two retry_timeout at
# most, and HAProxy sees it after two looks. A host of Roster is out after the looks alone, and a
# Redis after the Sentinels' two seconds and their vote. Here six hosts share two cores, which may
# take twice as long.
PATRONI_SECONDS = 2 * (20 + 2 * 4 + 2 * 8 + 5)
LOOKS_SECONDS = 2 * 6
SENTINEL_SECONDS = 2 * 10
# How long the load goes on after everything is there again.
AFTER_SECONDS = 5


class Customer(Somebody):
    """A user who notes the times of successes, and the tokens that are revoked."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.written: list[float] = []
        self.has_read: list[float] = []
        self.logged_in: list[float] = []
        self.revoked: list[str] = []

    def login(self) -> int:
        """Revoke the present token, and log in."""
        if self._token:
            form = f"token={self._token}&client_id={self.client}"
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            status, _, _ = self._send("POST", "/auth/oauth2/revoke", form, kind)
            self.expect("revoke", status, 200)
            if status == 200:
                self.revoked.append(self._token)
            self._token = ""
        return super().login()

    def ask(self, *arguments: Any, **options: Any) -> tuple[int, Any, Any]:
        """Make a request, with a token that may still be used."""
        if self._token or self.login() == 200:
            return super().ask(*arguments, **options)
        time.sleep(0.1)
        return 0, {}, {}

    def expect(self, what: str, found: object, *right: object) -> None:
        """Note also when a request was answered."""
        super().expect(what, found, *right)
        if found in (200, 201, 204):
            kind = {"me": self.has_read, "team": self.has_read, "login": self.logged_in}
            kind.get(what, self.written).append(time.monotonic())


@dataclass
class Story:
    """When something failed, and when it was over."""

    crowd: list[Customer]
    began: float = 0
    ended: float = 0

    def longest_without(self, kind: str) -> float:
        """Return for how many seconds nobody's `written`, `has_read` or `logged_in` grew."""
        times: list[float] = sorted(
            each
            for somebody in self.crowd
            for each in getattr(somebody, kind)
            if self.began <= each <= self.ended
        )
        ends = [self.began, *times, self.ended]
        return max(after - before for before, after in pairwise(ends))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Not in pytest's folder, into which PostgreSQL's user cannot look.
    with private_folder(NOBODY) as folder, running(folder) as made:
        yield made


@pytest.fixture(scope="module")
def crowd(cluster: Cluster) -> Iterator[list[Customer]]:
    found = people(Customer, cluster.url, cluster.database_url(), CROWD)
    for each in found:
        each.client = cluster.client
    yield found
    for each in found:
        each.close()


@contextmanager
def under_load(crowd: list[Customer]) -> Iterator[Story]:
    """Have everybody make requests until the end of the block; yield what they see of it."""
    for each in crowd:
        each.wrong.clear()
    story, is_over = Story(crowd), Event()

    def go(somebody: Customer) -> None:
        for _ in somebody.steps():
            if is_over.is_set():
                return

    with ThreadPoolExecutor(len(crowd)) as pool:
        runs = [pool.submit(go, each) for each in crowd]
        time.sleep(3)
        story.began = time.monotonic()
        try:
            yield story
            story.ended = time.monotonic()
        finally:
            is_over.set()
    for run in runs:
        run.result()


def nothing_is_lost(cluster: Cluster, crowd: list[Customer]) -> None:
    """Look for all that was acknowledged, and try every revoked token at each host."""
    assert [each.wrong for each in crowd if each.wrong] == []
    assert lost(crowd, cluster.database_url()) == {}
    revoked = [token for each in crowd for token in each.revoked]
    assert revoked
    for server in SERVERS:
        with httpx2.Client(base_url=f"http://{ADDRESSES[server]}:5000", trust_env=False) as client:
            for token in revoked:
                header = {"Authorization": f"Bearer {token}"}
                assert client.get("/api/v1/users/me", headers=header).status_code == 401


def next_write(crowd: list[Customer]) -> None:
    """Wait until something is written that was not asked for before."""
    now = time.monotonic()
    wait_for(lambda: sum(each > now for somebody in crowd for each in somebody.written) > CROWD)


def told(what: str, story: Story, *kinds: str) -> None:
    """Say for how long there was no success of each kind; `make test-cluster` prints it."""
    longest = (f"{kind} {story.longest_without(kind):.1f} s" for kind in kinds)
    click.echo(f"{what}; at most without: {', '.join(longest)}")


FAULTS = {
    "is killed": Host.kill,
    "is frozen": Host.freeze,
    "is cut off": Host.cut_off,
}


def mend(cluster: Cluster, host: Host, fault: str) -> None:
    """Undo a fault."""
    if fault == "is killed":
        cluster.run(host.name)
    elif fault == "is frozen":
        host.thaw()
    else:
        host.join()


def test_nobody_changes_the_cluster_without_the_password(cluster: Cluster) -> None:
    for name in DATABASES:
        interface = f"http://{ADDRESSES[name]}:8008"
        refused = httpx2.patch(f"{interface}/config", json={"ttl": 30}, trust_env=False)
        assert refused.status_code == 401


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ("primary", "is killed"),
        ("primary", "is frozen"),
        ("primary", "is cut off"),
        ("standby", "is killed"),
        ("standby", "is cut off"),
        ("server", "is killed"),
        ("server", "is frozen"),
        ("server", "is cut off"),
    ],
)
def test_a_host_is_lost(cluster: Cluster, crowd: list[Customer], part: str, fault: str) -> None:
    """One host fails, and nothing that was acknowledged does."""
    cluster.wait_until_whole()
    name = {"primary": cluster.primary(), "standby": cluster.standby(), "server": SERVERS[0]}[part]
    assert name
    host = cluster.hosts[name]
    with under_load(crowd) as story:
        FAULTS[fault](host)
        if part == "primary":
            wait_for(lambda: cluster.primary() not in (None, name))
        next_write(crowd)
        mend(cluster, host, fault)
        time.sleep(AFTER_SECONDS)
    written, has_read = map(story.longest_without, ("written", "has_read"))
    told(f"A {part} {fault}", story, "written", "has_read")
    assert written <= (LOOKS_SECONDS if part == "server" else PATRONI_SECONDS)
    assert has_read <= (PATRONI_SECONDS if part == "primary" else LOOKS_SECONDS)
    cluster.wait_until_whole()
    nothing_is_lost(cluster, crowd)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_redis_is_lost(cluster: Cluster, crowd: list[Customer], number: signal.Signals) -> None:
    """The master and its Sentinel fail: logins wait for the next one, and all else goes on."""
    cluster.wait_until_whole()
    name = cluster.redis_master()
    assert name
    host = cluster.hosts[name]
    with under_load(crowd) as story:
        host.send(number, "redis-server")
        wait_for(lambda: cluster.redis_master() != name)
        next_write(crowd)
        if number == signal.SIGKILL:
            cluster.run_redis(host)
        else:
            host.thaw()
        time.sleep(AFTER_SECONDS)
    kinds = ("logged_in", "written", "has_read")
    logged_in, written, has_read = map(story.longest_without, kinds)
    told(f"The Redis got {number.name}", story, *kinds)
    assert logged_in <= SENTINEL_SECONDS
    assert max(written, has_read) <= LOOKS_SECONDS
    cluster.wait_until_whole()
    nothing_is_lost(cluster, crowd)

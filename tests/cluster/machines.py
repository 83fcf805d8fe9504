"""The programs on the hosts of a cluster, configured by the files of ops/cluster."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import psycopg
import pytest

from roster.redis_client import client_of, failure
from tests.cluster.network import Host, network
from tests.field.daemons import find_command
from tests.field.pair import FOLDERS, NOBODY
from tests.live import PATIENCE_SECONDS, PRODUCTION, ROOT, ROSTER
from tests.serving import PASSWORD

OPS = ROOT / "ops" / "cluster"
DATABASES = ("db1", "db2", "db3")
SERVERS = ("roster1", "roster2")
ADDRESSES = {
    "front": "10.77.0.10",
    "db1": "10.77.0.11",
    "db2": "10.77.0.12",
    "db3": "10.77.0.13",
    "roster1": "10.77.0.21",
    "roster2": "10.77.0.22",
}
_SECRET = "a password of the cluster"
_COMMANDS = ("etcd", "haproxy", "redis-server", "nsenter", "unshare")
_PATRONI = Path(sys.prefix) / "patroni"  # made by `make test-cluster`


@dataclass(frozen=True)
class Cluster:
    """Three hosts with a database and a Redis, two with Roster, and the proxy in front of both."""

    hosts: dict[str, Host]
    folder: Path
    client: str

    url = f"http://{ADDRESSES['front']}"
    redis_url = f"redis+sentinel://{','.join(ADDRESSES[name] for name in DATABASES)}/roster"

    def database_url(self, host: str = "front") -> str:
        """Return the URL of the database: of the primary, or of a host's."""
        return f"postgresql://roster:{quote(_SECRET)}@{ADDRESSES[host]}/roster"

    def primary(self) -> str | None:
        """Return the name of the host that Patroni calls the primary."""
        return next((name for name in DATABASES if _status(name, "primary") == 200), None)

    def standby(self) -> str | None:
        """Return the name of the host that has every commit before it is acknowledged."""
        return next((name for name in DATABASES if _status(name, "sync") == 200), None)

    def redis_master(self) -> str | None:
        """Return the name of the host whose Redis the Sentinels call the master."""
        with suppress(failure()):
            address, _ = client_of(self.redis_url).connection_pool.get_master_address()
            return next(name for name in DATABASES if ADDRESSES[name] == address)
        return None

    def run(self, name: str) -> None:
        """Start what belongs on a host."""
        if name in DATABASES:
            self._run_database(self.hosts[name])
        elif name in SERVERS:
            self._run_server(self.hosts[name])
        else:
            self._run_proxy(self.hosts[name])

    def wait_until_whole(self) -> None:
        """Wait until every part works, and has everything that the others have."""
        wait_for(lambda: all(_status(name, "health") == 200 for name in DATABASES))
        wait_for(lambda: self.standby() is not None)
        wait_for(lambda: sum(_status(name, "replica?lag=0") == 200 for name in DATABASES) == 2)
        wait_for(lambda: self.redis_replicas() == 2)
        wait_for(lambda: all(self.is_ready(name) for name in SERVERS))

    def is_ready(self, server: str) -> bool:
        """Tell whether a host of Roster answers requests."""
        with suppress(httpx2.TransportError):
            url = f"http://{ADDRESSES[server]}:5000/readyz"
            return httpx2.get(url, trust_env=False, timeout=5).status_code == 200
        return False

    def redis_replicas(self) -> int:
        """Return how many Redis follow the master."""
        with suppress(failure()):
            found: dict[str, Any] = client_of(self.redis_url).info("replication")
            return int(found["connected_slaves"])
        return 0

    def _run_database(self, host: Host) -> None:
        place = self.folder / host.name
        members = ",".join(f"{name}=http://{ADDRESSES[name]}:2380" for name in DATABASES)
        host.run(
            *("etcd", "--name", host.name, "--data-dir", place / "etcd"),
            *("--listen-client-urls", f"http://{host.address}:2379"),
            *("--advertise-client-urls", f"http://{host.address}:2379"),
            *("--listen-peer-urls", f"http://{host.address}:2380"),
            *("--initial-advertise-peer-urls", f"http://{host.address}:2380"),
            *("--initial-cluster", members, "--log-level", "error"),
            # Here all hosts share two cores.
            *("--heartbeat-interval", "300", "--election-timeout", "3000"),
            owner=NOBODY,
        )
        host.run(
            *("/usr/bin/python3", "-m", "patroni", self.folder / "patroni.yaml"),
            owner=NOBODY,
            environment={
                "PYTHONPATH": str(self.folder / "patroni"),
                "PATRONI_NAME": host.name,
                "PATRONI_ETCD3_HOSTS": ",".join(f"{ADDRESSES[name]}:2379" for name in DATABASES),
                "PATRONI_RESTAPI_CONNECT_ADDRESS": f"{host.address}:8008",
                "PATRONI_RESTAPI_USERNAME": "patroni",
                "PATRONI_RESTAPI_PASSWORD": _SECRET,
                "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"{host.address}:5432",
                "PATRONI_POSTGRESQL_DATA_DIR": str(place / "postgresql"),
                "PATRONI_POSTGRESQL_BIN_DIR": FOLDERS[-1],
                "PATRONI_POSTGRESQL_PGPASS": str(place / "pgpass"),
                "PATRONI_SUPERUSER_PASSWORD": _SECRET,
                "PATRONI_REPLICATION_PASSWORD": _SECRET,
            },
        )
        self.run_redis(host)

    def run_redis(self, host: Host) -> None:
        """Start the Redis of a host, and the Sentinel beside it."""
        place = self.folder / host.name
        redis = place / "redis.conf"
        if not redis.exists():
            first = ADDRESSES[DATABASES[0]]
            follows = "" if host.address == first else f"replicaof {first} 6379\n"
            here = f"bind {host.address}\nprotected-mode no\ndir {place}\n"
            redis.write_text(f'{here}save ""\n{follows}')
            watch = (OPS / "sentinel.conf").read_text().replace("MASTER", first)
            (place / "sentinel.conf").write_text(here + watch)
            for each in (redis, place / "sentinel.conf"):
                os.chown(each, NOBODY, NOBODY)
        host.run("redis-server", redis, owner=NOBODY)
        host.run("redis-server", place / "sentinel.conf", "--sentinel", owner=NOBODY)

    def _run_server(self, host: Host) -> None:
        host.run(ROSTER, "serve", environment={**self.environment, "HOST": host.address})

    @property
    def environment(self) -> dict[str, str]:
        """The settings that all hosts of Roster have."""
        return {
            **PRODUCTION,
            "ROSTER_ISSUER": "https://roster.example",
            "ROSTER_TRUSTED_PROXIES": "1",
            "ROSTER_LIMITS_URL": self.redis_url,
            "DATABASE_URL": self.database_url(),
            "WORKERS": "2",
            "ROSTER_DATABASE_STATEMENT_SECONDS": "5",
            "ROSTER_LIMIT_MEMBERS_ADDED": "1000000",
        }

    def _run_proxy(self, host: Host) -> None:
        environment = {"HTTP": f"{host.address}:80", "DATABASE": f"{host.address}:5432"}
        for number, name in enumerate(SERVERS, 1):
            environment[f"ROSTER_{number}"] = ADDRESSES[name]
        for number, name in enumerate(DATABASES, 1):
            environment[f"DATABASE_{number}"] = ADDRESSES[name]
        command = (find_command("haproxy"), "-db", "-f", OPS / "haproxy.cfg")
        host.run(*command, environment=environment)


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Run a cluster until the end of the block, with a user and a client of the password grant."""
    for each in _COMMANDS:
        find_command(each)
    if not _PATRONI.exists():
        pytest.skip("No Patroni is installed here: make test-cluster does.")
    if not FOLDERS:
        pytest.skip("No PostgreSQL of the system is installed here.")
    with network(folder, ADDRESSES) as hosts:
        # Who is not root may not look into the project's own folder.
        shutil.copytree(_PATRONI, folder / "patroni")
        (folder / "patroni.yaml").write_text((OPS / "patroni.yaml").read_text())
        for name in DATABASES:
            (folder / name).mkdir()
            os.chown(folder / name, NOBODY, NOBODY)
        cluster = Cluster(hosts, folder, "")
        cluster.run("front")
        for name in DATABASES:
            cluster.run(name)
        wait_for(lambda: cluster.primary() is not None)
        _create_database(cluster)
        _roster(cluster, "db", "upgrade")
        _roster(cluster, "users", "create", "owner", "--email", "owner@example.com", "--admin")
        told = _roster(
            cluster,
            *("clients", "create", "--owner", "owner", "--name", "App", "--public"),
            *("--grant", "password", "--scope", "users:read"),
            *("--scope", "teams:read", "--scope", "teams:write"),
        )
        for name in SERVERS:
            cluster.run(name)
        cluster.wait_until_whole()
        yield Cluster(hosts, folder, json.loads(told)["client_id"])


def _create_database(cluster: Cluster) -> None:
    address, password = ADDRESSES[cluster.primary() or ""], _SECRET
    options: Any = {"host": address, "user": "postgres", "password": password, "autocommit": True}
    with psycopg.connect(dbname="postgres", **options) as connection:
        connection.execute(f"CREATE ROLE roster LOGIN PASSWORD '{password}'")
        connection.execute("CREATE DATABASE roster OWNER roster")


def _roster(cluster: Cluster, *arguments: str) -> str:
    done = subprocess.run(
        [ROSTER, *arguments],
        env={**os.environ, **cluster.environment},
        input=f"{PASSWORD}\n",
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _status(host: str, path: str) -> int:
    with suppress(httpx2.TransportError):
        url = f"http://{ADDRESSES[host]}:8008/{path}"
        return httpx2.get(url, trust_env=False, timeout=2).status_code
    return 0


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for two minutes at most."""
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)

"""How long requests wait while `roster tokens purge` removes what has ended."""

import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.benchmarks.scale_data import DOCUMENTATION, Size, access_token
from tests.live import ROSTER, LiveServer, serving

# A client thinks that long before its next request, so that it is the purge that is measured.
_PAUSE_SECONDS = 0.01


@dataclass
class Waits:
    """How long requests took, in milliseconds: those that read, and those that write."""

    reads: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, dict[str, float]]:
        """Return the figures that tell of it."""
        return {"reads": self._figures(self.reads), "writes": self._figures(self.writes)}

    @staticmethod
    def _figures(waits: list[float]) -> dict[str, float]:
        ordered = sorted(waits)
        return {
            "requests": len(ordered),
            "median_ms": round(ordered[len(ordered) // 2], 1),
            "p99_ms": round(ordered[len(ordered) * 99 // 100], 1),
            "longest_ms": round(ordered[-1], 1),
            "over_100_ms": sum(wait > 100 for wait in ordered),
        }


def measure(database_url: str, size: Size, folder: Path, quiet_seconds: float) -> dict[str, Any]:
    """Purge a filled database, with a server and its clients at work.

    Return how long their requests took before and meanwhile, and what the purge did.
    """
    with serving(folder, DATABASE_URL=database_url) as server:
        with _clients(server, size) as quiet:
            time.sleep(quiet_seconds)
        began = time.perf_counter()
        with _clients(server, size) as purging:
            removed = subprocess.run(
                [ROSTER, "tokens", "purge"],
                env={**os.environ, "DATABASE_URL": database_url},
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        return {
            "removed": int(removed.split()[0]),
            "seconds": round(time.perf_counter() - began, 1),
            "quiet": quiet.as_json(),
            "meanwhile": purging.as_json(),
        }


@contextmanager
def _clients(server: LiveServer, size: Size) -> Iterator[Waits]:
    """Have four clients make requests meanwhile: two read, one refreshes, one creates teams."""
    waits, is_over = Waits(), threading.Event()
    clients = [_Client(server, size, number, waits, is_over) for number in range(4)]
    for client in clients:
        client.start()
    try:
        yield waits
    finally:
        is_over.set()
        for client in clients:
            client.join()
    failures = [failure for client in clients for failure in client.failures]
    if failures:
        raise RuntimeError(f"{len(failures)} requests failed, the first by: {failures[0]}")


class _Client(threading.Thread):
    """Makes one request after the other."""

    def __init__(
        self, server: LiveServer, size: Size, number: int, waits: Waits, is_over: threading.Event
    ) -> None:
        super().__init__()
        self._http = httpx2.Client(base_url=server.url, trust_env=False, timeout=60)
        self._random = random.Random(number)
        self._size = size
        self._waits = waits.reads if number < 2 else waits.writes
        self._is_over = is_over
        self._tokens = server.login("root", "q")
        self._request = (self._read_me, self._list_teams, self._refresh, self._create_team)[number]
        self.failures: list[str] = []

    def run(self) -> None:
        with self._http:
            while not self._is_over.wait(_PAUSE_SECONDS):
                began = time.perf_counter()
                answer = self._request()
                self._waits.append((time.perf_counter() - began) * 1000)
                if not answer.is_success:
                    self.failures.append(f"{answer.status_code}: {answer.text}")

    def _read_me(self) -> httpx2.Response:
        return self._http.get("/api/v1/users/me", headers=self._somebody())

    def _list_teams(self) -> httpx2.Response:
        return self._http.get("/api/v1/teams?cursor=", headers=self._somebody())

    def _create_team(self) -> httpx2.Response:
        team = {"title": "Poetry"}
        return self._http.post("/api/v1/teams", json=team, headers=self._somebody())

    def _refresh(self) -> httpx2.Response:
        form = {
            "grant_type": "refresh_token",
            "client_id": "documentation",
            "refresh_token": self._tokens["refresh_token"],
        }
        answer = self._http.post("/auth/oauth2/token", data=form)
        self._tokens = answer.json()
        return answer

    def _somebody(self) -> dict[str, str]:
        while True:
            grant = self._random.randrange(self._size.grants)
            if not self._size.is_dead(grant) and self._size.client_of(grant) == DOCUMENTATION:
                return {"Authorization": f"Bearer {access_token(grant)}"}

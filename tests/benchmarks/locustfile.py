"""What locust does: the requests of a plan that `load.py` writes, as long as that says."""

import json
import os
import re
import time
from collections import deque
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
from locust import FastHttpUser, constant, events, task

plan = json.loads(Path(os.environ["PLAN"]).read_text(encoding="utf-8"))
requests = cycle(plan["requests"])
tokens = deque(plan["tokens"])
times: list[float] = []
moments: list[float] = []
refused = broken = wrong = 0


class Visitor(FastHttpUser):  # type: ignore[misc]
    """One connection, which makes the next request as soon as it is answered."""

    host = plan["url"]
    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]
    def visit(self) -> None:
        """Make one request, and the one to which it leads."""
        each = next(requests)
        secret = take() if plan["takes"] else ""
        answer = self.ask(
            each["method"],
            filled(each["path"], secret),
            {name: filled(value, secret) for name, value in each["headers"].items()},
            filled(each["body"], secret),
        )
        if plan["follows"] and "location" in answer.headers:
            place = urlsplit(answer.headers["location"])
            cookie = f"_interaction={place.path.rpartition('/')[2]}"
            answer = self.ask("GET", f"{place.path}?{place.query}", {"Cookie": cookie}, "")
        if plan["use"] == "rotate" and answer.status_code == 200:
            tokens.append(answer.json()["refresh_token"])
        judge(answer)

    def ask(self, method: str, path: str, headers: dict[str, str], body: str) -> Any:
        """Make one request, and measure it."""
        began = time.perf_counter()
        answer = self.client.request(
            method, path, headers=headers, data=body or None, allow_redirects=False
        )
        ended = time.perf_counter()
        times.append(ended - began)
        moments.append(ended)
        return answer


def take() -> str:
    """Take the next secret; it comes back where it may be used again."""
    secret: str = tokens.popleft()
    if plan["use"] == "repeat":
        tokens.append(secret)
    return secret


def filled(text: str, secret: str) -> str:
    """Put a secret into its place."""
    return text.replace("{token}", secret)


def judge(answer: Any) -> None:
    """Count an answer that is none, or not the expected one."""
    global refused, broken, wrong  # noqa: PLW0603 (there is one file, one plan and one count)
    refused += answer.status_code >= 400
    broken += answer.status_code == 0
    if 0 < answer.status_code < 400:
        place = answer.headers.get("location", "")
        found = re.search(plan["expects"], place) or re.search(plan["expects"], answer.text or "")
        wrong += found is None


@events.init.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Any, **_: Any) -> None:
    """End in time, once all visitors are there; what they did before does not count."""

    @environment.events.spawning_complete.add_listener  # type: ignore[untyped-decorator]
    def begin_to_count(**_: Any) -> None:
        times.clear()
        moments.clear()
        gevent.spawn_later(plan["seconds"], environment.runner.quit)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def report(**_: Any) -> None:
    """Print the figures as the last line."""
    ordered = sorted(times) or [0.0]
    figures = {
        "requests": len(times),
        "microseconds": (moments[-1] - moments[0] + times[0]) * 1e6 if times else 0,
        "p50": ordered[len(ordered) // 2] * 1e6,
        "p99": ordered[len(ordered) * 99 // 100] * 1e6,
        "refused": refused,
        "broken": broken,
        "wrong": wrong,
    }
    os.write(1, f"\n{json.dumps(figures)}\n".encode())

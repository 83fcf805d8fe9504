"""What locust does: the requests of a plan that `load.py` writes, as long as that says."""

import json
import os
import time
from collections import deque
from itertools import cycle
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant, events, task

plan = json.loads(Path(os.environ["PLAN"]).read_text(encoding="utf-8"))
requests = cycle(plan["requests"])
tokens = deque(plan["tokens"])
times: list[float] = []
moments: list[float] = []
refused = broken = 0


class Visitor(FastHttpUser):  # type: ignore[misc]
    """One connection, which makes the next request as soon as it is answered."""

    host = plan["url"]
    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]
    def visit(self) -> None:
        """Make one request."""
        global refused, broken  # noqa: PLW0603 (there is one file, one plan and one count)
        each = next(requests)
        body = each["body"]
        if plan["rotates"]:
            body = body.replace("{token}", tokens.popleft())
        began = time.perf_counter()
        answer = self.client.request(
            each["method"], each["path"], headers=each["headers"], data=body or None
        )
        ended = time.perf_counter()
        times.append(ended - began)
        moments.append(ended)
        if plan["rotates"] and answer.status_code == 200:
            tokens.append(answer.json()["refresh_token"])
        refused += answer.status_code >= 400
        broken += answer.status_code == 0


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
    }
    os.write(1, f"\n{json.dumps(figures)}\n".encode())

"""The machine: which cores serve and which make load, how busy they are, what a process needs."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    *("roster", "connexion", "Flask", "SQLAlchemy", "marshmallow", "orjson", "psycopg"),
    *("fastapi", "pydantic", "starlette", "gunicorn", "uvicorn", "uvloop", "httptools"),
    *("Django", "django-oauth-toolkit", "Authlib"),
)


@dataclass(frozen=True)
class Cores:
    """Where servers run, and where all else does; both are empty where nothing can be pinned.

    What makes the load shares its cores with PostgreSQL: the core of the server has nothing to do
    but to serve, so that it is the server that is measured. Only for the limit on PostgreSQL,
    which asks more of the database than of itself, the load's core is the one that is busy.
    """

    server: frozenset[int]
    load: frozenset[int]


def cores() -> Cores:
    """Share the cores out: the first for the server, the others for the load."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(frozenset(), frozenset())
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        return Cores(frozenset(), frozenset())
    return Cores(frozenset(usable[:1]), frozenset(usable[1:]))


@contextmanager
def pinned(to: frozenset[int]) -> Iterator[None]:
    """Keep this thread, and the processes and threads that it starts here, on some cores."""
    if not to:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe() -> dict[str, object]:
    """Tell what this machine is."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Tell the versions of what is measured."""
    return {name: metadata.version(name) for name in _PACKAGES}


def busy_seconds(which: frozenset[int]) -> float | None:
    """Return for how long some cores have been busy since the machine started (Linux alone)."""
    stat = Path("/proc/stat")
    if not which or not stat.exists():
        return None
    ticks = 0
    for line in stat.read_text().splitlines():
        name, *fields = line.split()
        if name in {f"cpu{number}" for number in which}:
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def process_seconds(processes: list[int]) -> float | None:
    """Return how much time of a core some processes have had (Linux alone)."""
    ticks = 0
    for process in processes:
        stat = Path(f"/proc/{process}/stat")
        if not stat.exists():
            return None
        fields = stat.read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def with_children(process: int) -> list[int]:
    """Return a process and those that it started, the last one at the end (Linux alone)."""
    children = Path(f"/proc/{process}/task/{process}/children")
    below = children.read_text().split() if children.exists() else []
    return [process, *map(int, below)]


def memory(process: int) -> dict[str, float]:
    """Return a process's memory in MiB (Linux alone).

    `pss` counts what it shares with others in parts, `rss` in full.
    """
    rollup = Path(f"/proc/{process}/smaps_rollup")
    if not rollup.exists():
        return {}
    found = {}
    for line in rollup.read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in {"Rss", "Pss"}:
            found[name.lower()] = int(rest.split()[0]) / 1024
    return found

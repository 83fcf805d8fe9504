"""The load: many connections that make requests as fast as they are answered."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.benchmarks.operations import Operation


class LoadError(Exception):
    """Not every request was answered with success; the text says how many were not."""


@dataclass(frozen=True)
class Figures:
    """What a load measured; times are in milliseconds."""

    rate: float
    p50: float
    p99: float
    requests: int
    failed: int


class Generator(Protocol):
    """A program that makes load."""

    name: str

    def run(
        self,
        url: str,
        operation: Operation,
        *,
        connections: int,
        seconds: float,
        tokens: Sequence[str] = (),
    ) -> Figures:
        """Make the requests of an operation for some time."""


_SCRIPT = """\
local requests = {}
local tokens = {}
local n = 0

function init(args)
  for _, each in ipairs(given) do
    requests[#requests + 1] = wrk.format(each[1], each[2], each[3], each[4])
  end
end
"""

_BY_TURNS = """
function request()
  n = n % #requests + 1
  return requests[n]
end
"""

# Connections are not told apart here, so they take the oldest token and bring the next one.
_ROTATING = """
local first, last = 1, #tokens
function request()
  local token = tokens[first] or ""
  tokens[first] = nil
  first = first + 1
  local each = given[1]
  return wrk.format(each[1], each[2], each[3], (each[4]:gsub("{token}", token)))
end
function response(status, headers, body)
  last = last + 1
  tokens[last] = body:match('"refresh_token" *: *"([^"]+)"')
end
"""

_DONE = """
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "microseconds": %d, "p50": %f, "p99": %f, "refused": %d, "broken": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class Wrk:
    """wrk, the load generator in C, steered by a script in Lua."""

    def __init__(self, path: str) -> None:
        self._path = path
        said = subprocess.run([path, "-v"], capture_output=True, text=True, check=False).stdout
        self.name = " ".join(said.split()[:2])

    def run(
        self,
        url: str,
        operation: Operation,
        *,
        connections: int,
        seconds: float,
        tokens: Sequence[str] = (),
    ) -> Figures:
        """Make the requests of an operation for some time, a whole number of seconds at least."""
        with tempfile.TemporaryDirectory(prefix="roster-wrk-") as folder:
            script = Path(folder) / "script.lua"
            script.write_text(_script(operation, tokens))
            command = [
                *(self._path, "--threads", "1", "--connections", str(connections)),
                *("--duration", f"{max(1, round(seconds))}s", "--timeout", "30s"),
                *("--script", str(script), url + operation.requests[0].path),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LoadError(f"wrk failed: {done.stderr or done.stdout}")
        found = json.loads(done.stdout.splitlines()[-1])
        return Figures(
            rate=found["requests"] / (found["microseconds"] / 1e6),
            p50=found["p50"] / 1000,
            p99=found["p99"] / 1000,
            requests=found["requests"],
            failed=found["refused"] + found["broken"],
        )


def _script(operation: Operation, tokens: Sequence[str]) -> str:
    parts = [
        _table(
            "given",
            [_row(each.method, each.path, each.headers, each.body) for each in operation.requests],
        )
    ]
    if operation.rotates:
        parts += ["local tokens = {" + ", ".join(map(_text, tokens)) + "}", _ROTATING]
    elif len(operation.requests) == 1:
        # A request that never changes wrk makes once.
        only = operation.requests[0]
        parts = [
            f"wrk.method = {_text(only.method)}",
            f"wrk.body = {_text(only.body)}" if only.body else "",
            *(
                f"wrk.headers[{_text(name)}] = {_text(value)}"
                for name, value in only.headers.items()
            ),
        ]
    else:
        parts += [_SCRIPT, _BY_TURNS]
    return "\n".join([*parts, _DONE])


def _row(method: str, path: str, headers: dict[str, str], body: str) -> str:
    pairs = ", ".join(f"[{_text(name)}] = {_text(value)}" for name, value in headers.items())
    return f"{{{_text(method)}, {_text(path)}, {{{pairs}}}, {_text(body) if body else 'nil'}}}"


def _table(name: str, rows: Sequence[str]) -> str:
    return f"local {name} = {{{', '.join(rows)}}}"


def _text(value: str) -> str:
    """Write a text as Lua reads it; JSON's escapes of plain ASCII are Lua's too."""
    return json.dumps(value)


def find() -> Generator:
    """Return the best generator that there is."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadError("There is no wrk on this machine.")
    return Wrk(wrk)

"""The load: many connections that make requests as fast as they are answered."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Protocol

from tests.benchmarks.operations import Operation, Request

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")


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


# `given` are the requests, `secrets` what stands for {token} in the only one.
_BASIS = """
local threads = {}
wrong = 0
function setup(thread)
  threads[#threads + 1] = thread
end
local function format(each, secret)
  local function fill(text)
    return secret and text and (text:gsub("{token}", function() return secret end)) or text
  end
  local headers = {}
  for name, value in pairs(each[3]) do
    headers[name] = fill(value)
  end
  return wrk.format(each[1], fill(each[2]), headers, fill(each[4]))
end
local function place(headers)
  return headers["Location"] or headers["location"]
end
local function check(status, headers, body)
  local found = (place(headers) or ""):find(expected) or body:find(expected)
  if status < 400 and not found then
    wrong = wrong + 1
  end
end
"""

_BY_TURNS = """
local requests = {}
local n = 0
function init(args)
  for _, each in ipairs(given) do
    if #secrets == 0 then
      requests[#requests + 1] = format(each)
    end
    for _, secret in ipairs(secrets) do
      requests[#requests + 1] = format(each, secret)
    end
  end
end
function request()
  n = n % #requests + 1
  return requests[n]
end
"""

# Connections are not told apart here, so they take the oldest secret, and bring the next one.
_TAKING = """
local first, last = 1, #secrets
function request()
  local secret = secrets[first] or ""
  secrets[first] = nil
  first = first + 1
  return format(given[1], secret)
end
"""

_ROTATING = """
function response(status, headers, body)
  last = last + 1
  secrets[last] = body:match('"refresh_token" *: *"([^"]+)"')
  check(status, headers, body)
end
"""

# The cookie is that by which oidc-provider finds the request again; it is sent to all alike.
_FOLLOWING = """
local places = {}
local first, last = 1, 0
local beginning
function init(args)
  beginning = format(given[1])
end
function request()
  local path = places[first]
  if not path then
    return beginning
  end
  places[first] = nil
  first = first + 1
  local name = path:gsub("%?.*", ""):match("[^/]*$")
  return wrk.format("GET", path, {["Cookie"] = "_interaction=" .. name})
end
function response(status, headers, body)
  local found = place(headers)
  if found then
    last = last + 1
    places[last] = found:gsub("^https?://[^/]+", "")
  else
    check(status, headers, body)
  end
end
"""

_CHECKING = """
function response(status, headers, body)
  check(status, headers, body)
end
"""

_DONE = """
function done(summary, latency, requests)
  local errors = summary.errors
  local wrong = 0
  for _, thread in ipairs(threads or {}) do
    wrong = wrong + thread:get("wrong")
  end
  io.write(string.format(
    '\\n{"requests": %d, "microseconds": %d, "p50": %f, "p99": %f,'
    .. ' "refused": %d, "broken": %d, "wrong": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout, wrong))
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
        """Make the requests of an operation for some time."""
        with tempfile.TemporaryDirectory(prefix="roster-wrk-") as folder:
            script = Path(folder) / "script.lua"
            secrets = Path(folder) / "secrets"
            secrets.write_text("".join(f"{token}\n" for token in tokens))
            script.write_text(_script(operation, secrets))
            command = [
                *(self._path, "--threads", "1", "--connections", str(connections)),
                # Interrupted before, unless nobody is left to do that.
                *("--duration", f"{math.ceil(seconds) + 60}s", "--timeout", "30s"),
                *("--script", str(script)),
                url + operation.requests[0].path,
            ]
            return _measure(self.name, command, operation.steps, interrupt_after=seconds)


class Locust:
    """locust, the load generator in Python, steered by a file in JSON."""

    def __init__(self) -> None:
        self.name = f"locust {metadata.version('locust')}"

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
        plan = {**asdict(operation), "url": url, "tokens": tokens, "seconds": seconds}
        command = [
            *(sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--headless"),
            *("--users", str(connections), "--spawn-rate", str(connections)),
            *("--skip-log-setup", "--only-summary"),
        ]
        with tempfile.NamedTemporaryFile("w", prefix="roster-locust-", suffix=".json") as file:
            json.dump(plan, file)
            file.flush()
            return _measure(self.name, command, operation.steps, PLAN=file.name)


def _measure(
    name: str,
    command: Sequence[str],
    steps: int,
    interrupt_after: float | None = None,
    **environment: str,
) -> Figures:
    """Run a generator, until it ends or is interrupted, and read the line with its figures."""
    with subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            process.wait(interrupt_after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        except BaseException:
            process.kill()
            raise
        output, errors = process.communicate()
    if process.returncode == -signal.SIGINT:  # the machine had no time even for its beginning
        return Figures(0, 0, 0, 0, 0)
    try:
        found = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    except (StopIteration, ValueError):
        raise LoadError(f"{name} failed: {errors or output}") from None
    return Figures(
        rate=found["requests"] / steps / (found["microseconds"] / 1e6 or 1),
        p50=found["p50"] / 1000,
        p99=found["p99"] / 1000,
        requests=found["requests"],
        failed=found["refused"] + found["broken"] + found["wrong"],
    )


def _script(operation: Operation, secrets: Path) -> str:
    only = operation.requests[0]
    if not (operation.takes or operation.follows or operation.expects or operation.requests[1:]):
        # A request that never changes, which wrk makes once, and whose answer it does not show.
        headers = only.headers.items()
        return "\n".join(
            [
                f"wrk.method = {_text(only.method)}",
                *(f"wrk.headers[{_text(name)}] = {_text(value)}" for name, value in headers),
                f"wrk.body = {_text(only.body) if only.body else 'nil'}",
                _DONE,
            ]
        )
    parts = [
        _given(operation.requests),
        "local secrets = {}",
        f"for line in io.lines({_text(str(secrets))}) do secrets[#secrets + 1] = line end",
        f"local expected = {_text(operation.expects)}",
        _BASIS,
    ]
    if operation.follows:
        parts.append(_FOLLOWING)
    elif operation.use == "repeat":
        parts += [_BY_TURNS, *([_CHECKING] if operation.expects else [])]
    else:
        checking = _CHECKING if operation.expects else ""
        parts += [_TAKING, _ROTATING if operation.use == "rotate" else checking]
    return "\n".join([*parts, _DONE])


def _given(requests: Sequence[Request]) -> str:
    return f"local given = {{{', '.join(map(_row, requests))}}}"


def _row(request: Request) -> str:
    headers = request.headers.items()
    pairs = ", ".join(f"[{_text(name)}] = {_text(value)}" for name, value in headers)
    body = _text(request.body) if request.body else "nil"
    return f"{{{_text(request.method)}, {_text(request.path)}, {{{pairs}}}, {body}}}"


def _text(value: str) -> str:
    """Write a text as Lua reads it; JSON's escapes of plain ASCII are Lua's too."""
    return json.dumps(value)


def find() -> Generator:
    """Return the best generator that there is: wrk where it is installed, else locust.

    :raises LoadError: where there is neither.
    """
    wrk = shutil.which("wrk")
    if wrk is not None:
        return Wrk(wrk)
    if util.find_spec("locust") is None:
        raise LoadError("There is neither wrk nor locust here; install one of them.")
    return Locust()

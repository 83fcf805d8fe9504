"""At the end of a run each answer of the server is held against the definition, and counted."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from roster.contract import loader
from roster.contract.extensions import ENVIRONMENTS
from roster.contract.operation import Operation
from tests.proof.recording import VARIABLE, identity, record_answers

ROOT = Path(__file__).parents[2]
# Where `make test` installs the second validator.
PYTHON = Path(sys.prefix) / "openapi-core" / "bin" / "python"
MAX_FAULTS_SHOWN = 40

# So many answers are judged in less time than a further process takes to start.
_FEW = 200

_folder = pytest.StashKey[Path]()
_outcome = pytest.StashKey["Outcome"]()


@dataclass
class Outcome:
    """What came of all answers of a run."""

    answers: int = 0
    shapes: int = 0
    # Place, status, sentence, test and number of answers each.
    faults: list[tuple[str, int, str, str, int]] = field(default_factory=list)
    beside: Counter[str] = field(default_factory=Counter)
    # By definition, operation and status.
    seen: Counter[str] = field(default_factory=Counter)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of a run that has to show every declared status."""
    sentence = "fail where a declared status is not seen, or nothing can hold answers against it"
    parser.addoption("--prove", action="store_true", help=sentence)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to record, where there is the validator for it."""
    if VARIABLE in os.environ:  # a worker, or a run that a test started
        record_answers(Path(os.environ[VARIABLE]))
        return
    if not PYTHON.exists():
        if config.getoption("prove"):
            raise pytest.UsageError(f"There is no {PYTHON}: `make test` installs it.")
        return
    made = tempfile.TemporaryDirectory(prefix="roster-answers-")
    config.add_cleanup(made.cleanup)
    config.stash[_folder] = folder = Path(made.name)
    # The servers that tests start read it.
    os.environ[VARIABLE] = str(folder)
    config.add_cleanup(lambda: os.environ.__delitem__(VARIABLE))
    record_answers(folder)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Judge the answers of all processes, and fail the run where one is wrong."""
    folder = session.config.stash.get(_folder, None)
    if folder is None:
        return
    outcome = session.config.stash[_outcome] = judge(folder)
    is_wrong = bool(outcome.faults)
    if session.config.getoption("prove"):
        is_wrong = is_wrong or bool(unseen(outcome.seen))
    if is_wrong and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the counts and the faults."""
    outcome = terminalreporter.config.stash.get(_outcome, None)
    if outcome is None or not outcome.answers:
        return
    write = terminalreporter.write_line
    for place, status, sentence, test, times in outcome.faults[:MAX_FAULTS_SHOWN]:
        write(f"UNDECLARED {place} {status} ({times} times, {test or 'a server'}): {sentence}")
    if len(outcome.faults) > MAX_FAULTS_SHOWN:
        write(f"... and {len(outcome.faults) - MAX_FAULTS_SHOWN} more")
    for reason, times in sorted(outcome.beside.items()):
        write(f"Beside the definition: {times} answers ({reason})")
    own = {line.partition(" ")[2] for line in seen_in_own(outcome.seen)}
    operations = {line.partition(" ")[0] for line in own}
    missing = unseen(outcome.seen)
    write(
        f"Answers: {outcome.answers}, held against the definition by openapi-core as"
        f" {outcome.shapes} kinds; wrong: {len(outcome.faults)};"
        f" operations seen: {len(operations)}; statuses seen: {len(own)};"
        f" declared and not seen: {len(missing)};"
        f" not seen, with the reason: {len(excused(outcome.seen))}"
    )
    if terminalreporter.config.getoption("prove"):
        for name, code in missing:
            write(f"UNSEEN {name} {code}")


def judge(folder: Path) -> Outcome:
    """Judge the records of a folder, in as many processes as there are cores."""
    outcome = Outcome()
    first: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        here = []
        for line in path.read_text("utf-8").splitlines():
            outcome.answers += 1
            if line.startswith("{"):
                record = json.loads(line)
                here.append(first.setdefault(record["key"], {**record, "times": 0}))
                here[-1]["times"] += 1
            else:
                here[int(line)]["times"] += 1
    outcome.shapes = len(first)
    merged = folder / "merged.jsonl"
    merged.write_text("".join(json.dumps(each) + "\n" for each in first.values()))
    parts = min(os.cpu_count() or 1, 1 + len(first) // _FEW)
    with ThreadPoolExecutor(parts) as pool:
        for found in pool.map(lambda part: _judged(folder, part, parts), range(parts)):
            outcome.faults += map(tuple, found["faults"])
            outcome.beside.update(found["beside"])
            outcome.seen.update(found["seen"])
    merged.unlink()
    outcome.faults.sort()
    return outcome


def _judged(folder: Path, part: int, parts: int) -> Any:
    command = [str(PYTHON), "-m", "tests.proof.check", str(folder), str(part), str(parts)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def seen_in_own(seen: Counter[str]) -> set[str]:
    """Return the lines of what was seen of the definitions in the repository."""
    own = {identity(loader.load(each)) for each in ENVIRONMENTS}
    return {line for line in seen if line.partition(" ")[0] in own}


def _not_seen(seen: Counter[str]) -> dict[tuple[str, str], str]:
    """Return the declared statuses that were not seen, with the reason that the definition has."""
    own = {line.partition(" ")[2] for line in seen_in_own(seen)}
    found = {}
    for environment in ENVIRONMENTS:
        for operation in loader.load(environment).operations:
            for status in operation.spec["responses"]:
                if f"{operation.id} {status}" not in own:
                    found[operation.id, status] = _reason(operation, status)
    return found


def _reason(operation: Operation, status: str) -> str:
    return str(operation.spec["responses"][status].get("x-unseen", ""))


def unseen(seen: Counter[str]) -> list[tuple[str, str]]:
    """Return the operations with the statuses that were not seen, and have no reason for that."""
    return [place for place, reason in _not_seen(seen).items() if not reason]


def excused(seen: Counter[str]) -> list[tuple[str, str]]:
    """Return the operations with the statuses that were not seen for a reason."""
    return [place for place, reason in _not_seen(seen).items() if reason]

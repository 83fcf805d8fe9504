"""Lint the published definition of each environment: `python -m tests.lint_definition`.

The linters for Node run where `npm ci` has installed them.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from roster.contract import loader
from roster.contract.extensions import ENVIRONMENTS

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
NODE = ROOT / "tests" / "node"
PROGRAMS = NODE / "node_modules" / ".bin"
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


def commands(path: Path) -> tuple[list[list[str]], list[str]]:
    """Return the commands that lint a file, and the names of the linters that are not there."""
    validator = Path(sysconfig.get_path("scripts")) / "openapi-spec-validator"
    of_node = {
        "redocly": ["lint", "--config", str(NODE / "redocly.yaml"), str(path)],
        "spectral": [
            *("lint", "--ruleset", str(NODE / ".spectral.yaml"), "--fail-severity", "hint"),
            str(path),
        ],
    }
    found = [[str(validator), str(path)]]
    found += [
        [str(PROGRAMS / name), *arguments]
        for name, arguments in of_node.items()
        if (PROGRAMS / name).exists()
    ]
    return found, [name for name in of_node if not (PROGRAMS / name).exists()]


def main() -> int:
    """Run all linters; return how many found something."""
    BUILD.mkdir(exist_ok=True)
    failed = 0
    missing: list[str] = []
    for environment in ENVIRONMENTS:
        path = BUILD / f"openapi-{environment}.yaml"
        path.write_bytes(loader.load(environment).as_yaml)
        chosen, missing = commands(path)
        for command in chosen:
            done = subprocess.run(command, env={**os.environ, **QUIET}, check=False)
            failed += bool(done.returncode)
    if missing:
        print(f"Not run, for there is no Node with npm here: {', '.join(missing)}.")  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)

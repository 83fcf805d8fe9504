"""The audit of the pinned packages: `python -m tests.audit_dependencies`, a part of `make lint`."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
UNREACHABLE = (
    "The packages are not audited: pip-audit cannot reach its database of vulnerabilities."
)


def pinned(text: str) -> list[str]:
    """Return the lines of constraints that pin a package."""
    return [line for line in text.splitlines() if "==" in line and line[0] not in "# "]


def audit(lines: list[str]) -> list[dict[str, Any]] | None:
    """Return what pip-audit finds of some packages; None where its database does not answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        options = ["--no-deps", "--disable-pip", "--progress-spinner=off", "--timeout=10"]
        command = [sys.executable, "-m", "pip_audit", f"--requirement={path}", *options]
        done = subprocess.run(
            [*command, "--format=json"], capture_output=True, text=True, check=False
        )
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return found if any("vulns" in each for each in found) else None


def report(found: list[dict[str, Any]]) -> list[str]:
    """Return a line for each vulnerability, and for each package that is not known there."""
    lines = []
    for each in found:
        name = f"{each['name']} {each.get('version', '')}".strip()
        if "skip_reason" in each:
            lines.append(f"{name}: not audited")
        for vulnerability in each.get("vulns", ()):
            repaired = ", ".join(vulnerability["fix_versions"]) or "no version yet"
            lines.append(f"{name}: {vulnerability['id']}, repaired in {repaired}")
    return lines


def main() -> int:
    """Audit all packages; without the database say so, and fail for nothing."""
    packages = pinned(CONSTRAINTS.read_text(encoding="utf-8"))
    # Asked about one first: without an answer no others need to be asked about.
    found = audit(packages[:1]) and audit(packages)
    if not found:
        print(UNREACHABLE)  # noqa: T201 (this is a command)
        return 0
    print("\n".join(report(found)) or "No package has a known vulnerability.")  # noqa: T201
    return int(any(each.get("vulns") for each in found))


if __name__ == "__main__":
    sys.exit(main())

"""Compiles the story of each language with its client, at its strictest."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.clients.generate import HERE, NODE_MODULES, AbsentError, generate, jar, program, run

Story = list[str]  # the command that tells it

# Where Debian keeps what the clients are built upon.
_GO_LIBRARIES = Path("/usr/share/gocode")
_JAVA_LIBRARIES = Path("/usr/share/java")
_GO_MODULE = "example.org/roster/roster-go"


def _python(definition: Path, folder: Path) -> Story:
    generate("python", definition, folder)
    story = shutil.copy(HERE / "python" / "story.py", folder)
    run([program("mypy"), "--strict", "--config-file=", "roster_client", story], folder)
    return [sys.executable, str(story)]


def _typescript(definition: Path, folder: Path) -> Story:
    generate("typescript", definition, folder)
    node = program("node")
    for name in ("story.ts", "tsconfig.json"):
        shutil.copy(HERE / "typescript" / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(NODE_MODULES)
    run([node, program("tsc", NODE_MODULES / ".bin"), "--project", "tsconfig.json"], folder)
    return [node, str(folder / "compiled" / "story.js")]


def _go(definition: Path, folder: Path) -> Story:
    go = program("go")
    sources = folder / "src"
    generate("go", definition, sources / _GO_MODULE)
    for library in ("golang.org/x/oauth2", "gopkg.in/validator.v2"):
        if not (_GO_LIBRARIES / "src" / library).is_dir():
            raise AbsentError(f"Go's {library} is absent")
    (sources / "story").mkdir()
    shutil.copy(HERE / "go" / "story.go", sources / "story")
    # Without modules, which would be loaded from the net.
    search = {"GO111MODULE": "off", "GOPATH": os.pathsep.join([str(folder), str(_GO_LIBRARIES)])}
    run([go, "vet", _GO_MODULE, "story"], folder, **search)
    run([go, "build", "-o", folder / "story", "story"], folder, **search)
    return [str(folder / "story")]


def _java(definition: Path, folder: Path) -> Story:
    javac = program("javac")
    generate("java", definition, folder)
    libraries = [jar()]  # it holds Jackson and Apache's HTTP client, for itself
    for name in ("geronimo-annotation-1.3-spec.jar", "httpmime.jar"):
        if not (_JAVA_LIBRARIES / name).is_file():
            raise AbsentError(f"{_JAVA_LIBRARIES / name} is absent")
        libraries.append(_JAVA_LIBRARIES / name)
    compiled = folder / "compiled"
    path = os.pathsep.join(map(str, [compiled, *libraries]))
    options: list[str | Path] = [
        "-proc:none",
        "-encoding",
        "UTF-8",
        "-cp",
        path,
        "-d",
        compiled,
        "-Werror",
    ]
    # The generator writes classes without a serialVersionUID, for a Jackson older than its own.
    # Debian's libraries name others that are not needed: -path.
    client = sorted((folder / "src" / "main" / "java").rglob("*.java"))
    run([javac, *options, "-Xlint:all,-serial,-deprecation,-path", *client], folder)
    run([javac, *options, "-Xlint:all,-path", HERE / "java" / "Story.java"], folder)
    return [program("java"), "-cp", path, "Story"]


BUILDERS: dict[str, Callable[[Path, Path], Story]] = {
    "python": _python,
    "typescript": _typescript,
    "go": _go,
    "java": _java,
}

"""Generates a client in each language from the definition: `make clients`."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
NODE_MODULES = HERE.parent / "node" / "node_modules"
# Programs of this environment come first; openapi-python-client looks for ruff by itself.
PATH = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])


Command = Sequence[str | Path]


class AbsentError(Exception):
    """A part of a toolchain is not on this machine; the message names it."""


class FailedError(Exception):
    """A generator, a compiler or a program failed; the message is what it printed."""


def program(name: str, folder: Path | None = None) -> str:
    """Return the path of a program.

    :raises AbsentError: where it is not installed.
    """
    found = shutil.which(name, path=str(folder) if folder else PATH)
    if found is None:
        raise AbsentError(f"{name} is absent")
    return found


def run(command: Command, folder: Path, **environment: str) -> str:
    """Run a command in a folder; return what it prints.

    :raises FailedError: where it fails.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": PATH, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise FailedError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def jar() -> Path:
    """Return the path of openapi-generator.

    :raises AbsentError: where it is not installed.
    """
    found = find_spec("openapi_generator_cli")
    if found is None or found.origin is None:
        raise AbsentError("openapi-generator-cli is absent")
    return Path(found.origin).with_name("openapi-generator.jar")


# The generator knows no media type of YAML, and leaves this answer out; the JSON is the same.
_KNOWN_WARNING = "WARNING parsing GET /api/v1/openapi.yaml"


def _python(definition: Path, folder: Path) -> None:
    generator = program("openapi-python-client")
    config = HERE / "python" / "config.yaml"
    options: Command = ["--config", config, "--meta", "uv", "--output-path", folder]
    printed = run([generator, "generate", "--path", definition, *options], folder.parent)
    if printed.count("WARNING") > printed.count(_KNOWN_WARNING):
        raise FailedError(printed)


def _typescript(definition: Path, folder: Path) -> None:
    generator = program("openapi-typescript", NODE_MODULES / ".bin")
    folder.mkdir()
    # A `default` is what the server takes where a request has nothing: nothing that it needs.
    options: Command = ["--default-non-nullable", "false", "--output", folder / "roster.d.ts"]
    run([program("node"), generator, definition, *options], folder)


def _by_openapi_generator(language: str) -> Callable[[Path, Path], None]:
    def generate(definition: Path, folder: Path) -> None:
        config = HERE / language / "config.yaml"
        options: Command = ["--config", config, "--input-spec", definition, "--output", folder]
        printed = run([program("java"), "-jar", jar(), "generate", *options], folder.parent)
        if " ERROR " in printed:
            raise FailedError(printed)

    return generate


GENERATORS = {
    "python": _python,
    "typescript": _typescript,
    "go": _by_openapi_generator("go"),
    "java": _by_openapi_generator("java"),
}


def generate(language: str, definition: Path, folder: Path) -> None:
    """Write the client of a language into a folder, in place of what is there.

    :raises AbsentError: where a part of its toolchain is not on this machine.
    :raises FailedError: where the generator finds something wrong.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    GENERATORS[language](definition.resolve(), folder.resolve())


def main(definition: str, folder: str) -> int:
    """Write all clients; say which of them could not be written, and why."""

    def write(language: str) -> str | None:
        try:
            generate(language, Path(definition), Path(folder) / language)
        except AbsentError as error:
            sys.stdout.write(f"No client for {language}: {error}.\n")
        except FailedError as error:
            return f"{error}\n"
        else:
            sys.stdout.write(f"{Path(folder) / language}\n")
        return None

    with ThreadPoolExecutor() as pool:
        failures = [failure for failure in pool.map(write, GENERATORS) if failure]
    sys.stderr.write("".join(failures))
    return len(failures)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

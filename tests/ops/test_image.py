"""The commands of the Dockerfile, carried out in a root of their own; what they leave serves.

There is no container engine here: an overlay over this machine's files stands in for the base
image, and this Python for the image's.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.live import PATIENCE_SECONDS, PRODUCTION, ROOT, free_port

pytestmark = pytest.mark.slow

_BASE = "import venv; venv.create('/opt/base', with_pip=True, symlinks=True)"
# What changes nothing in the files of an image.
WORDS = {"LABEL", "EXPOSE", "VOLUME", "STOPSIGNAL"}


@dataclass
class Stage:
    """One stage of a Dockerfile: its instructions, and what it says of the process."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def stages(text: str) -> list[Stage]:
    """Read a Dockerfile; an instruction that this does not know is an error."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in filter(None, re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append(Stage(rest.partition(" AS ")[2]))
        elif word in {"RUN", "COPY"} or word == "ENV":
            found[-1].steps.append((word, rest))
        elif word == "WORKDIR":
            found[-1].steps.append((word, rest))
            found[-1].folder = rest
        elif word == "USER":
            found[-1].user = rest
        elif word == "CMD":
            found[-1].command = json.loads(rest)
        elif word == "HEALTHCHECK":
            found[-1].health = json.loads(rest.partition("CMD ")[2])
        else:
            assert word in WORDS, line
    return found


class Root:
    """A root for the commands of one stage: what they write goes to a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Make the root, with a Python under the name that the image's has."""
        self.upper, self._work, self._merged = (folder / name for name in ("upper", "work", "root"))
        for each in (self.upper, self._work, self._merged):
            each.mkdir(parents=True)
        self.environment = {"PATH": f"/opt/base/bin:{os.environ['PATH']}"}
        # Others than root must reach this machine's Python.
        home = Path(sys.base_prefix).resolve()
        closed = [each for each in home.parents if not each.stat().st_mode & 0o001]
        self.run(
            " && ".join(
                [
                    *(f"chmod o+x {shlex.quote(str(each))}" for each in closed),
                    shlex.join([sys.executable, "-c", _BASE]),
                ]
            )
        )

    def command(
        self, command: str, folder: str = "/", user: str = "0:0", *, data: Path | None = None
    ) -> list[str]:
        """Return the command that runs a command in this root.

        With `data` nothing can be written but that folder, as /data, and /tmp.
        """
        merged = self._merged
        options = f"lowerdir=/,upperdir={self.upper},workdir={self._work}"
        script = [
            f"mount -t overlay overlay -o {options} {merged}",
            f"mount --rbind /proc {merged}/proc",
            f"mount --rbind /dev {merged}/dev",
        ]
        if data is not None:
            script += [
                f"mount --bind {data} {merged}/data",
                f"mount -t tmpfs tmpfs {merged}/tmp",
                f"mount -o remount,ro {merged}",
            ]
        uid, gid = user.split(":")
        inner = f"cd {folder} && exec setpriv --reuid={uid} --regid={gid} --clear-groups {command}"
        script.append(f"exec chroot {merged} /bin/sh -c {shlex.quote(inner)}")
        return ["unshare", "--mount", "/bin/sh", "-ec", "\n".join(script)]

    def run(self, command: str, folder: str = "/") -> str:
        """Run a shell's command as root; return what it prints."""
        done = subprocess.run(
            self.command(f"/bin/sh -c {shlex.quote(command)}", folder),
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout


def copied() -> list[str]:
    """Return what the image is built from, as .dockerignore lets it through."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    return [name for name in kept if f"{name}/*" not in lines]


def copy(step: str, root: Root, folder: str, built: dict[str, Root]) -> None:
    """Carry out a COPY."""
    *sources, target = [part for part in step.split() if not part.startswith("--")]
    from_stage = re.search(r"--from=(\S+)", step)
    into = root.upper / (target if target.startswith("/") else f"{folder}/{target}").lstrip("/")
    for source in copied() if sources == ["."] else sources:
        origin = (built[from_stage[1]].upper if from_stage else ROOT) / source.lstrip("/")
        if origin.is_dir():
            to = into if from_stage else into / source
            ignored = shutil.ignore_patterns("__pycache__", "*.db", "*.db-*")
            shutil.copytree(
                origin,
                to,
                symlinks=True,
                dirs_exist_ok=True,
                ignore=None if from_stage else ignored,
            )
        else:
            to = into / source if sources == ["."] else into / origin.name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, to)


@dataclass(frozen=True)
class Image:
    """The last stage with its root."""

    stage: Stage
    root: Root


def can_mount(folder: Path) -> bool:
    """Tell whether this machine lets somebody lay a folder over its files."""
    places = [folder / name for name in ("upper", "work", "root")]
    for each in places:
        each.mkdir()
    options = "lowerdir=/,upperdir={},workdir={}".format(*places)
    mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(places[2])]
    try:
        done = subprocess.run(["unshare", "--mount", *mount], check=False, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Carry out every instruction of the Dockerfile."""
    if not can_mount(tmp_path_factory.mktemp("mount")):
        pytest.skip("No folder can be laid over this machine's files here.")
    built: dict[str, Root] = {}
    every = stages((ROOT / "Dockerfile").read_text("utf-8"))
    for stage in every:
        root = built[stage.name] = Root(tmp_path_factory.mktemp("root"))
        folder = "/"
        for word, step in stage.steps:
            if word == "WORKDIR":
                folder = step
                root.run(f"mkdir -p {folder}")
            elif word == "ENV":
                for name, value in (part.split("=", 1) for part in shlex.split(step)):
                    root.environment[name] = value.replace("$PATH", root.environment["PATH"])
            elif word == "RUN":
                root.run(step, folder)
            else:
                copy(step, root, folder, built)
    return Image(every[-1], built[every[-1].name])


@contextmanager
def served(image: Image, folder: Path, *, workers: int = 1) -> Iterator[tuple[str, dict[str, str]]]:
    """Start the image's command as its user, with nothing to write but /data and /tmp."""
    data, log = folder / "data", folder / "log"
    data.mkdir()
    uid, gid = map(int, image.stage.user.split(":"))
    os.chown(data, uid, gid)
    port = free_port()
    environment = {
        **os.environ,
        **image.root.environment,
        **PRODUCTION,
        "ROSTER_ISSUER": "https://roster.example.org",
        "ROSTER_TRUSTED_PROXIES": "1",
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    command = image.root.command(
        shlex.join(image.stage.command), image.stage.folder, image.stage.user, data=data
    )
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while b"startup complete" not in log.read_bytes():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}", environment
        finally:
            process.terminate()
    # uvicorn ends in good order, and then by the signal that it was sent.
    assert "Finished server process" in log.read_text()


def test_the_image_serves_as_its_user_with_nothing_to_write_but_its_data(
    image: Image, tmp_path: Path
) -> None:
    with served(image, tmp_path) as (url, environment):
        ready = httpx2.get(f"{url}/readyz", trust_env=False)
        definition = httpx2.get(f"{url}/api/v1/openapi.json", trust_env=False)
        health = image.root.command(
            shlex.join(image.stage.health), "/", image.stage.user, data=tmp_path / "data"
        )
        checked = subprocess.run(health, env=environment, capture_output=True, check=False)

    assert ready.status_code == 200
    assert definition.json()["info"]["title"] == "Roster"
    assert checked.returncode == 0, checked.stderr
    assert {each.name for each in (tmp_path / "data").iterdir()} == {"roster.db"}


@pytest.mark.parametrize("place", ["/opt/roster/x", "/x", "/data/x", "/tmp/x"])
def test_what_can_be_written(image: Image, tmp_path: Path, place: str) -> None:
    uid, gid = map(int, image.stage.user.split(":"))
    os.chown(tmp_path, uid, gid)
    command = image.root.command(f"touch {place}", "/", image.stage.user, data=tmp_path)

    done = subprocess.run(command, capture_output=True, check=False)

    assert (done.returncode == 0) == place.startswith(("/data/", "/tmp/"))


def test_neither_pip_nor_anything_to_build_with_is_left(image: Image) -> None:
    def packages(folder: str) -> set[str]:
        found = image.root.run(f"find {folder} -name '*.dist-info'").splitlines()
        return {line.rpartition("/")[2].partition("-")[0].lower() for line in found}

    ours = packages("/opt/roster")
    assert {"connexion", "flask", "roster"} <= ours
    assert not ours & {"pip", "hatchling", "setuptools", "pytest"}
    assert "pip" not in packages("/opt/base")


def test_every_module_is_compiled(image: Image) -> None:
    sources = image.root.upper.glob("opt/roster/lib/python*/site-packages/roster/**/*.py")

    for source in sources:
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")), source

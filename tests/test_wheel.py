"""The wheel: what it holds, and that a server starts from it, far from the repository."""

import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.live import serving

pytestmark = pytest.mark.live

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the backend that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_all_that_is_served_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())

    needed = {
        path.relative_to(ROOT).as_posix()
        for pattern in (
            "openapi/**/*.yaml",
            "{}/**/*.py",
            "models/database/migrations/**/*",
            "roster/pages/*",
        )
        for room in ("roster", "handlers", "models")
        for path in ROOT.glob(pattern.format(room))
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert len(needed) > 100
    assert held >= needed
    assert {name.split("/")[0] for name in held} == {
        "handlers",
        "models",
        "openapi",
        "roster",
        "roster-1.0.0.dist-info",
    }
    assert not [name for name in held if "test" in name or "__pycache__" in name]


def test_a_server_starts_from_the_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    scripts = install(wheel, installed)
    empty = tmp_path / "empty"
    empty.mkdir()

    with serving(empty, (str(scripts / "roster"), "serve")) as server:
        assert server.client.get("/readyz").json() == {"status": "ready"}
        assert server.login("root", "q")["token_type"] == "Bearer"
        page = server.client.get("/api/v1/")
        assert page.headers["Content-Type"].startswith("text/html")
        static = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
        assert len(static) > 4
        for path in static:
            assert server.client.get(path).status_code == 200, path


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel in an environment of its own; return where its commands are.

    That environment sees the packages of the present one, but not what is installed there in
    editable form: a folder in a .pth file is searched, the .pth files in that folder are not read.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    paths = sysconfig.get_paths("venv", {"base": str(folder), "platbase": str(folder)})
    python = Path(paths["scripts"]) / Path(sys.executable).name
    options = ["--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = ["-m", "pip", "--python", str(python), "install", *options, str(wheel)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    present = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(paths["purelib"]) / "present.pth").write_text("\n".join(present), encoding="utf-8")
    probe = "import handlers, models, roster; print(handlers.__file__, models.__file__)"
    where = subprocess.run(
        [python, "-c", probe], cwd=folder, check=True, capture_output=True, text=True
    )
    assert all(part.startswith(str(folder)) for part in where.stdout.split())
    return Path(paths["scripts"])

"""The commands that keep released definitions and compare with them."""

from pathlib import Path

import pytest

from roster.contract import loader
from tests.commands import Run
from tests.definitions import copy_of_the_definition

pytestmark = pytest.mark.live


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the commands work on a copy of the definition."""
    folder = copy_of_the_definition(tmp_path)
    monkeypatch.setattr(loader, "FOLDER", folder)
    return folder


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_nothing_breaks_before_a_first_release(run: Run, folder: Path) -> None:
    for file in folder.glob("released/*"):
        file.unlink()

    told = run("changes")

    assert told.status == 0
    assert told.out.startswith("No definition is released yet")


def test_a_definition_is_kept_under_its_version(run: Run, folder: Path) -> None:
    version = loader.load("production").document["info"]["version"]
    for file in folder.glob("released/*"):
        file.unlink()

    assert run("release").out == f"openapi/released/{version}.yaml is written.\n"
    again = (folder / "released" / f"{version}.yaml").read_bytes()
    assert run("release").status == 0
    assert (folder / "released" / f"{version}.yaml").read_bytes() == again
    # It holds what production publishes, and who may call, but no handler.
    assert b"handlers." not in again
    assert b"x-permission" in again
    assert run("changes").out == f"no breaking change from {version} to {version}.\n"
    assert run("check").status == 0


def test_a_breaking_change_needs_a_major_step(run: Run, folder: Path) -> None:
    run("release")
    version = loader.load("production").document["info"]["version"]
    major = int(version.partition(".")[0])
    root = folder / "openapi.yaml"
    edit(folder / "paths" / "healthz.yaml", "operationId: read_health", "operationId: health")

    refused = run("changes")

    change = "GET /healthz: the operationId is another one: this breaks clients that are generated"
    assert refused.status == 1
    assert refused.out == f"{change}\n"
    assert f"to {major + 1}.0.0" in refused.error
    assert run("release").status == 1
    edit(root, f"version: {version}", f"version: {major + 1}.0.0")
    told = run("changes")
    assert (told.status, told.out.splitlines()[0]) == (0, change)
    assert run("release").status == 0
    assert len([*(folder / "released").iterdir()]) == 2
    assert run("changes").out.startswith("no breaking change")


def test_what_was_released_is_not_written_over(run: Run, folder: Path) -> None:
    run("release")
    edit(folder / "openapi.yaml", "title: Roster", "title: Other")

    assert "released already" in run("release").error
    assert run("changes").status == 0


def test_a_version_does_not_go_back(run: Run, folder: Path) -> None:
    run("release")
    version = loader.load("production").document["info"]["version"]
    edit(folder / "openapi.yaml", f"version: {version}", "version: 0.9.0")

    assert "info.version is 0.9.0" in run("changes").error


def test_a_version_is_numbers(run: Run, folder: Path) -> None:
    run("release")
    version = loader.load("production").document["info"]["version"]
    edit(folder / "openapi.yaml", f"version: {version}", "version: newest")

    assert run("changes").line == "Error: newest is no version such as 1.2.0"

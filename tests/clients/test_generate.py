"""`make clients`, on machines that cannot generate all of them."""

import os
from pathlib import Path

import pytest

from tests.clients import generate


@pytest.fixture(autouse=True)
def _nothing_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(generate, "PATH", str(tmp_path))
    monkeypatch.setattr(generate, "NODE_MODULES", tmp_path)


def test_a_client_without_its_toolchain_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main("openapi.yaml", str(tmp_path / "clients")) == 0

    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == [
        "No client for go: java is absent.",
        "No client for java: java is absent.",
        "No client for python: openapi-python-client is absent.",
        "No client for typescript: openapi-typescript is absent.",
    ]


def test_what_a_generator_finds_wrong_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = tmp_path / "openapi-python-client"
    failing.write_text("#!/bin/sh\necho The definition is wrong.\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(generate, "PATH", os.pathsep.join([str(tmp_path), os.defpath]))
    monkeypatch.setattr(generate, "GENERATORS", {"python": generate.GENERATORS["python"]})

    assert generate.main("openapi.yaml", str(tmp_path / "clients")) == 1

    assert "The definition is wrong." in capsys.readouterr().err

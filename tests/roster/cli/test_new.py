"""The command that writes a resource: the names it takes, what it writes, and how it undoes it."""

import ast
from pathlib import Path

import pytest

from roster.cli.new.changes import changed_files
from roster.cli.new.command import _all_or_nothing
from roster.cli.new.edits import Text
from roster.cli.new.names import NameRefusedError, Names
from roster.cli.new.parent import parent_of
from roster.cli.new.project import InTheWayError, Project
from roster.cli.new.resource import Resource
from roster.contract import loader
from tests.commands import Run
from tests.copies import ROOT
from tests.definitions import copy_of_the_definition

pytestmark = pytest.mark.one_database


@pytest.fixture(scope="module")
def project() -> Project:
    return Project.here(ROOT)


def resource_of(project: Project, plural: str, parent: str | None) -> Resource:
    names = Names.of(plural, None)
    return Resource(project, names, parent_of(project, parent) if parent else None)


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("projects", "project"),
        ("time_entries", "time_entry"),
        ("boxes", "box"),
        ("branches", "branch"),
        ("houses", "house"),
    ],
)
def test_the_singular_of_a_regular_plural_need_not_be_told(plural: str, singular: str) -> None:
    assert Names.of(plural, None).singular == singular


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("Projects", None),
        ("pro-jects", None),
        ("../projects", None),
        ("projects_", None),
        ("", None),
        ("p" * 20 + "s", None),
        ("people", None),
        ("series", None),
        ("sheep", "sheep"),
        ("classes", None),
        ("lists", None),
        ("values", None),
        ("windows", None),
    ],
)
def test_what_is_no_name_of_a_resource_is_refused(plural: str, singular: str | None) -> None:
    with pytest.raises(NameRefusedError) as refused:
        Names.of(plural, singular)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    # Names that no copy of the project has already.
    ("plural", "parent"),
    [("hedgehogs", "team"), ("hedgehogs", None), ("garden_gates", "team")],
)
def test_what_is_written_is_a_definition_and_python(
    project: Project, plural: str, parent: str | None, tmp_path: Path
) -> None:
    resource = resource_of(project, plural, parent)
    folder = copy_of_the_definition(tmp_path)
    made, changed = resource.rendered(), changed_files(resource)

    for name, text in {**made, **changed}.items():
        assert "<<" not in text.replace("<<:", "")
        if name.endswith(".py"):
            ast.parse(text)
        else:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
    for environment in ("development", "production"):
        definition = loader.load(environment, folder)
        ids = {operation.id for operation in definition.operations}
        assert len(ids) == len(loader.load(environment).operations) + 5
        assert {f"{plural}:read", f"{plural}:write"} < set(definition.scopes)


@pytest.mark.parametrize("parent", ["team", None])
def test_every_line_that_was_there_stays_in_its_order(project: Project, parent: str | None) -> None:
    for name, text in changed_files(resource_of(project, "projects", parent)).items():
        lines = iter(text.splitlines())
        before = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert all(line in lines for line in before), name
        assert len(text.splitlines()) > len(before)


@pytest.mark.parametrize("parent", ["taem", "user", "client", "member"])
def test_an_object_in_which_nothing_can_be_made_is_refused(project: Project, parent: str) -> None:
    with pytest.raises(InTheWayError, match=r"^--in: .*"):
        parent_of(project, parent)


@pytest.mark.parametrize("plural", ["teams", "users", "codes", "operations", "tokens"])
def test_a_name_that_is_taken_is_refused(project: Project, plural: str) -> None:
    names = Names.of(plural, None)

    with pytest.raises(InTheWayError, match="already"):
        project.check_free(names, f"/api/v1/{plural}")


def test_a_folder_without_a_project_is_told_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ruff")
    monkeypatch.chdir(tmp_path)

    assert "this folder is no Roster project" in run("new", "projects").line


def test_a_line_that_is_not_found_is_told_with_its_file() -> None:
    with pytest.raises(InTheWayError, match=r"^some\.yaml: "):
        Text("some.yaml", "a\nb\n").line("c")


def test_an_error_leaves_the_project_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "there.py").write_text("old")
    made = {"new/folder/made.py": "new", "beside.py": "new"}

    def write() -> None:
        with _all_or_nothing(tmp_path, made, {"there.py": ""}):
            for name in (*made, "there.py"):
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()

    assert [each.name for each in tmp_path.iterdir()] == ["there.py"]
    assert (tmp_path / "there.py").read_text() == "old"

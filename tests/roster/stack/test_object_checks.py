from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from models import Caller, Team, TeamView
from models.named_objects import Kind, NamedDefaults
from models.registry import NAMED_OBJECTS
from roster.contract import loader
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError, DefinitionErrors
from roster.contract.operation import Operation
from roster.contract.permissions import Permission
from roster.stack.object_checks import check_handler, check_objects

DEFINITION = loader.load("development")


class Project(NamedDefaults):
    @classmethod
    def load(cls, session: Any, team_id: int, project_id: int) -> Any:
        raise NotImplementedError

    def roles_of(self, caller: Caller) -> frozenset[str]:
        return frozenset()


def operation(name: str = "project", *ids: str, method: str = "GET") -> Operation:
    [found] = [each for each in DEFINITION.operations if each.id == "read_user"]
    return replace(
        found,
        method=method,
        path="/projects",
        permission=Permission(may=("member",), object=name),
        parameters=[{"name": each, "in": "path"} for each in ids],
    )


def check(asked: Operation, kind: Any, view: Any = None) -> str:
    """Return the sentence of the refusal; "" where there is none."""
    definition = cast(
        Definition, SimpleNamespace(operations=[asked], files={"/projects": "projects.yaml"})
    )
    try:
        check_objects(definition, {"project": Kind(kind, view)})
    except DefinitionError as error:
        place, _, sentence = str(error).partition(": GET /projects: ")
        return sentence if place == "projects.yaml" else place
    return ""


def test_the_definition_names_objects_that_are_registered_and_complete() -> None:
    check_objects(DEFINITION)


def test_a_class_with_the_defaults_needs_its_loader_and_its_roles_alone() -> None:
    assert check(operation("project", "team_id", "project_id"), Project) == ""


@pytest.mark.parametrize("name", ["projcet", "Project"])
def test_an_object_that_is_not_registered_is_refused_with_the_nearest_that_is(name: str) -> None:
    sentence = check(operation(name, "team_id", "project_id"), Project)
    assert f"models/registry.py has no line for the object {name}" in sentence
    assert sentence.endswith("; did you mean project?")
    assert "did you mean" not in check(operation("zebra"), Project)


@pytest.mark.parametrize(
    "lacking", ["load", "roles_of", "own_roles", "users_to_lock", "lock_named"]
)
def test_a_class_that_lacks_a_method_is_refused_with_the_place_of_its_description(
    lacking: str,
) -> None:
    complete = {name: getattr(Project, name) for name in dir(Project) if name[0] != "_"}
    kind = type("Project", (), {name: complete[name] for name in complete.keys() - {lacking}})
    sentence = check(operation("project", "team_id", "project_id"), kind)
    assert sentence.endswith(f"Project lacks {lacking}, which models/named_objects.py describes")


@pytest.mark.parametrize(
    ("in_path", "said"),
    [
        (["project_id"], "Project.load needs team_id, which the path does not have"),
        ([], "Project.load needs project_id, team_id, which the path does not have"),
        (["team_id", "project_id", "task_id"], "the path has task_id, which"),
        (["team_id", "project_id", "session"], "the path has session, which"),
    ],
)
def test_a_loader_takes_the_parameters_of_the_path_by_their_names(
    in_path: list[str], said: str
) -> None:
    assert said in check(operation("project", *in_path), Project)


def test_so_does_the_loader_of_a_read_model() -> None:
    def narrow(connection: Any, project_id: int) -> Any:
        raise NotImplementedError

    kind = type("Narrow", (Project,), {"load": staticmethod(narrow)})
    asked = operation("project", "team_id", "project_id")
    assert "the path has team_id" in check(asked, Project, kind)


@pytest.mark.parametrize("method", ["users_to_lock", "lock_named"])
def test_what_locks_takes_the_same_parameters(method: str) -> None:
    def narrow(session: Any, project_id: int) -> Any:
        raise NotImplementedError

    kind = type("Narrow", (Project,), {method: staticmethod(narrow)})
    asked = operation("project", "team_id", "project_id")
    assert f"the path has team_id, which {__name__}" in check(asked, kind)


def test_all_mistakes_are_told_at_once() -> None:
    asked = [operation("project"), operation("zebra"), operation("project", "team_id")]
    definition = cast(Definition, SimpleNamespace(operations=asked, files={}))
    with pytest.raises(DefinitionErrors) as raised:
        check_objects(definition, {"project": Kind(cast(Any, Project))})
    assert len(raised.value.all) == 3


def read(team: TeamView) -> None: ...
def change(team: Team) -> None: ...
def either(team: Any) -> None: ...
def bare(team) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("handler", "methods"),
    [
        (read, {"GET"}),
        (change, {"PATCH", "DELETE"}),
        (either, {"GET", "PATCH", "DELETE"}),
        (bare, {"GET", "PATCH", "DELETE"}),
    ],
)
def test_a_handler_names_the_class_that_it_gets(handler: Any, methods: set[str]) -> None:
    for method in methods:
        check_handler(handler, operation("team", "team_id", method=method))
    for method in {"GET", "PATCH", "DELETE"} - methods:
        given = NAMED_OBJECTS["team"].loaded_by(method).__name__
        with pytest.raises(DefinitionError, match=f"for {method} it gets a {given} "):
            check_handler(handler, operation("team", "team_id", method=method))

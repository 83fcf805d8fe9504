"""The object that a new resource hangs on, as the project's definition and registry have it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import models
from roster.cli.new.names import Names
from roster.cli.new.project import InTheWayError, Project
from roster.contract.errors import nearest
from roster.contract.operation import Operation

API = "/api/v1"
_COMPONENTS = "openapi/components"


@dataclass(frozen=True)
class Parent:
    """What the files of a resource say of the object that it hangs on."""

    names: Names
    cls: str
    module: str
    view: str
    reads: Operation
    changes: Operation
    creates: Operation
    id_schema: str

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return self.names.singular

    @property
    def word(self) -> str:
        """Its name, as a text has it."""
        return self.names.word

    @property
    def a_word(self) -> str:
        """Its name with its article."""
        return self.names.a_word

    @property
    def parameter_file(self) -> str:
        """The file of its parameter."""
        return f"{self.cls}Id.yaml"

    @property
    def collection(self) -> str:
        """The path of all of its kind, without the prefix of the API."""
        return self.creates.path.removeprefix(API)

    @property
    def body(self) -> Any:
        """The body that creates one: the definition's first example."""
        return _example(next(iter(self.creates.request_content.values())))

    @property
    def id_example(self) -> Any:
        """The definition's example of its id."""
        return _example(_parameter(self.reads))

    @property
    def tag(self) -> str:
        """The tag of its operations."""
        return str(self.reads.spec["tags"][0])


def parent_of(project: Project, name: str) -> Parent:
    """Return what a resource needs to know of the object that it hangs on.

    :raises InTheWayError: where there is no such object, or where nothing can hang on it.
    """
    kind = models.NAMED_OBJECTS.get(name)
    if kind is None:
        known = ", ".join(models.NAMED_OBJECTS)
        hint = nearest(name, models.NAMED_OBJECTS)
        raise InTheWayError(f"--in: there is no object {name}; there are {known}{hint}")
    mapped: Any = kind.mapped
    found = {(each.path, each.method): each for each in project.definition.operations}
    ending = f"/{{{name}_id}}"
    paths = [path for path, method in found if method == "GET" and path.endswith(ending)]
    path = next((each for each in paths if each.count("{") == 1), "")
    reads, changes = found.get((path, "GET")), found.get((path, "PATCH"))
    creates = found.get((path.removesuffix(ending), "POST"))
    schemas = [*(project.root / _COMPONENTS / "schemas").glob(f"*/{mapped.__name__}Id.yaml")]
    parameter = project.root / _COMPONENTS / "parameters" / f"{mapped.__name__}Id.yaml"
    if (
        reads is None
        or changes is None
        or creates is None
        or not (_is_fit(reads, name) and _is_fit(changes, name) and creates.request_content)
        or not (len(schemas) == 1 and parameter.is_file())
    ):
        raise InTheWayError(
            f"--in: nothing can be made in {name} by this command: it needs a path {API}/…{ending}"
            " with no other id, which is a number; a GET and a PATCH whose x-permission names this"
            " object and has no not_over; and a POST"
        )
    return Parent(
        names=Names(mapped.__tablename__, name),
        cls=mapped.__name__,
        module=mapped.__module__,
        view=(kind.view or kind.mapped).__name__,
        reads=reads,
        changes=changes,
        creates=creates,
        id_schema=f"{schemas[0].parent.name}/{schemas[0].name}",
    )


def _is_fit(operation: Operation, name: str) -> bool:
    permission = operation.spec["x-permission"]
    kind = _parameter(operation)["schema"].get("type")
    return permission.get("object") == name and "not_over" not in permission and kind == "integer"


def _parameter(operation: Operation) -> Mapping[str, Any]:
    return next(each for each in operation.parameters if each["in"] == "path")


def _example(holder: Mapping[str, Any]) -> Any:
    """Return the first example of a Media Type Object or of a Parameter Object."""
    for named in holder.get("examples", {}).values():
        return named["value"]
    return holder.get("example", holder.get("schema", {}).get("example"))

"""The project that a resource is written into: what is there already."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import models
from models import Base
from models.database import migrate
from roster.cli.new.names import Names
from roster.contract import loader
from roster.contract.definition import Definition

# What `roster new` edits or writes beside; the wheel has no tests.
_NEEDED = (
    "pyproject.toml",
    "openapi/openapi.yaml",
    "openapi/components/securitySchemes/oauth2.yaml",
    "models/registry.py",
    "tests/handlers/test_roles.py",
    "tests/writers.py",
)

_VERBS = ("create", "read", "change", "delete")
_SCHEMAS = ("", "Id", "Name", "Create", "Patch", "NameOperation")


class InTheWayError(Exception):
    """A resource cannot be written; the text is one line that says why."""


@dataclass(frozen=True)
class Project:
    """A copy of the project, with its definition."""

    root: Path
    definition: Definition

    @classmethod
    def here(cls, root: Path) -> "Project":
        """Return the project in a folder.

        :raises InTheWayError: where there is none, or where this program belongs to another one.
        :raises DefinitionError: where its definition is wrong.
        """
        for name in _NEEDED:
            if not (root / name).is_file():
                raise InTheWayError(f"this folder is no Roster project: it has no {name}")
        own = Path(models.__file__).resolve().parents[1]
        if own != root.resolve():
            raise InTheWayError("this `roster` is that of another project: run .venv/bin/roster")
        if found := migrate.differences():
            raise InTheWayError(f"write the migration that is missing first: models: {found[0]}")
        return cls(root, loader.load("development"))

    def check_free(self, names: Names, path: str) -> None:
        """Check that nothing has one of the names of a new resource.

        :raises InTheWayError: where something has.
        """
        for taken in self._taken(names, path):
            raise InTheWayError(f"{names.plural}: there is {taken} already")

    def _taken(self, names: Names, path: str) -> Iterator[str]:
        ids = {operation.id for operation in self.definition.operations}
        tags = {each["name"] for each in self.definition.document.get("tags", ())}
        found = {
            f"an object {names.singular}": names.singular in models.NAMED_OBJECTS,
            f"a table {names.plural}": names.plural in Base.metadata.tables,
            f"a path {path}": path in self.definition.document["paths"],
            f"a tag {names.plural}": names.plural in tags,
            f"an operation list_{names.plural}": f"list_{names.plural}" in ids,
        }
        for name in (names.cls, names.singular, names.plural):
            found[f"a name {name} in models"] = hasattr(models, name)
        for verb in _VERBS:
            found[f"an operation {verb}_{names.singular}"] = f"{verb}_{names.singular}" in ids
        for end in ("read", "write"):
            scope = f"{names.plural}:{end}"
            found[f"a scope {scope}"] = scope in self.definition.scopes
        made = {f"{names.cls}{end}.yaml" for end in _SCHEMAS}
        for file in sorted((self.root / "openapi/components").rglob("*.yaml")):
            found[f"a file {file.relative_to(self.root).as_posix()}"] = file.name in made
        yield from (what for what, is_there in found.items() if is_there)

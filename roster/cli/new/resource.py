"""The files of a new resource: rendered from the templates, and formatted."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from roster.cli.new.names import NameRefusedError, Names
from roster.cli.new.parent import API, Parent
from roster.cli.new.project import Project

# YAML and Python have braces of their own. What comes out is no HTML, so nothing is escaped.
_templates = Environment(  # nosec B701 # noqa: S701 (it writes code, and no HTML)
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    variable_start_string="<<",
    variable_end_string=">>",
    line_statement_prefix="%%",
)
_OWN: Mapping[str, Any] = {
    "list": {"may": ["user"]},
    "create": {"may": ["writer"]},
    "read": {"object": None, "sees": ["owner", "admin"]},
    "change": {"object": None, "sees": ["owner", "admin"], "and": "writer"},
}
# Complaints of Ruff that it repairs by itself: the order of imports and of `__all__`.
_ORDER = "I,RUF022"


@dataclass(frozen=True)
class Resource:
    """A resource to be written: its names, and the object that it hangs on, if any."""

    project: Project
    names: Names
    parent: Parent | None

    @property
    def path(self) -> str:
        """The path of the whole list."""
        before = self.parent.reads.path if self.parent else API
        return f"{before}/{self.names.plural}"

    @property
    def module(self) -> str:
        """The module of the class: in the package of the parent's, or in one of its own."""
        package = self.parent.module.rpartition(".")[0] if self.parent else None
        return f"{package or f'models.{self.names.plural}'}.{self.names.singular}"

    @property
    def scopes(self) -> Mapping[str, str]:
        """The scopes, with the words that users read."""
        words = self.names.words
        if self.parent is None:
            see, write = f"See your {words}", f"Create, change and delete your {words}"
        else:
            those = self.parent.names.words
            see = f"See the {words} of the {those} that you may see"
            write = f"Create, change and delete {words} in the {those} that you manage"
        return {f"{self.names.plural}:read": see, f"{self.names.plural}:write": write}

    def path_file(self, path: str) -> str:
        """Return the name of the file of a path, from the definition's folder on."""
        return f"paths/{path.strip('/').replace('/', '@')}.yaml"

    def rendered(self) -> dict[str, str]:
        """Return the new files, by their names in the project, with their text."""
        values = self._values()
        return {
            target: _templates.get_template(source).render(values)
            for target, source in self._targets().items()
        }

    def next_steps(self, migration: str) -> str:
        """Tell a developer what to edit next."""
        model = f"{self.module.replace('.', '/')}.py"
        values = {**self._values(), "model": model, "migration": migration}
        return _templates.get_template("next.txt").render(values)

    def _targets(self) -> dict[str, str]:
        names, module = self.names, self.module.split(".")
        schemas = f"openapi/components/schemas/{names.plural}/{names.cls}"
        examples = f"openapi/components/examples/{names.plural}"
        item = f"{self.path}/{{{names.singular}_id}}"
        package = (
            {} if self.parent else {f"models/{module[1]}/__init__.py": "python/package.py.jinja"}
        )
        return {
            f"openapi/{self.path_file(self.path)}": "openapi/collection.yaml",
            f"openapi/{self.path_file(item)}": "openapi/item.yaml",
            f"openapi/components/parameters/{names.cls}Id.yaml": "openapi/parameter.yaml",
            f"{schemas}.yaml": "openapi/schema.yaml",
            f"{schemas}Id.yaml": "openapi/id.yaml",
            f"{schemas}Name.yaml": "openapi/name.yaml",
            f"{schemas}Create.yaml": "openapi/create.yaml",
            f"{schemas}Patch.yaml": "openapi/patch.yaml",
            f"{schemas}NameOperation.yaml": "openapi/name_operation.yaml",
            f"{examples}/{names.cls}.yaml": "openapi/example.yaml",
            f"{examples}/Rename{names.cls}.yaml": "openapi/rename.yaml",
            f"{examples}/{names.too_many}.yaml": "openapi/too_many.yaml",
            f"handlers/{names.plural}.py": "python/handlers.py.jinja",
            f"handlers/schemas/{names.plural}.py": "python/schemas.py.jinja",
            **package,
            f"{'/'.join(module)}.py": "python/model.py.jinja",
            f"tests/handlers/test_{names.plural}.py": "checks/handlers.py.jinja",
            f"tests/{'/'.join(module[:-1])}/test_{module[-1]}.py": "checks/models.py.jinja",
        }

    def _values(self) -> dict[str, Any]:
        names, parent = self.names, self.parent
        owner = parent.name if parent else "user"
        a_word = names.a_word
        return {
            **{name: getattr(names, name) for name in ("plural", "singular", "cls", "word")},
            **{name: getattr(names, name) for name in ("words", "too_many", "most", "a_word")},
            "A_word": a_word[0].upper() + a_word[1:],
            "Words": names.words.capitalize(),
            "a_name": a_word.replace(" ", "_"),
            "module": self.module,
            "parent": parent,
            "owner_name": owner,
            "owner_id": f"{owner}_id",
            "owner_table": parent.names.plural if parent else "users",
            "owner_schema": parent.id_schema if parent else "users/UserId.yaml",
            "owner_example": parent.id_example if parent else 5,
            "permissions": {name: self._permission(name) for name in _OWN},
        }

    def _permission(self, kind: str) -> str:
        """Write the x-permission of an operation, indented below its key."""
        if self.parent is None:
            declared = dict(_OWN[kind])
        else:
            like = self.parent.reads if kind in {"list", "read"} else self.parent.changes
            declared = dict(like.spec["x-permission"])
        if "object" in declared:
            in_parent = self.parent is not None and kind in {"list", "create"}
            declared["object"] = (
                self.parent.name if self.parent and in_parent else self.names.singular
            )
        return "".join(
            f"\n    {key}: {'[' + ', '.join(value) + ']' if isinstance(value, list) else value}"
            for key, value in declared.items()
        )


def formatted(root: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Format the Python files among some as the project does.

    :raises NameRefusedError: where the linter has something against one.
    """
    return {
        name: _formatted(root, name, text) if name.endswith(".py") else text
        for name, text in files.items()
    }


def _formatted(root: Path, name: str, text: str) -> str:
    file = str(root / name)
    for options in (
        ("check", "--fix", "--quiet", "--select", _ORDER),
        ("format", "--quiet"),
        ("check", "--fix", "--quiet", "--output-format", "concise"),
    ):
        done = subprocess.run(  # nosec B603 # noqa: S603 (Ruff reads text, and no shell is asked)
            [sys.executable, "-m", "ruff", *options, "--stdin-filename", file, "-"],
            cwd=root,
            input=text,
            capture_output=True,
            check=False,
            text=True,
            encoding="utf-8",
        )
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).splitlines()[:1])
            raise NameRefusedError(f"{name} would not pass the linter; take another name: {said}")
        text = done.stdout
    return text

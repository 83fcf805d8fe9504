"""What a new resource adds to the files that are there: lines, each at its place."""

import re
from collections.abc import Callable, Mapping

from roster.cli.new.edits import Text
from roster.cli.new.parent import API
from roster.cli.new.resource import Resource

Edit = Callable[[Resource, Text], None]

# The rows of TABLE for the rows that belong to a user, and who may do what with those of others.
_OWN_ROWS = {
    "list": "!!  ++  ++  ++  ++  ++-  ++  +++  +",
    "create": "!!  +-  +-  +-  +-  ++-  ++  +++  +",
    "read": "!!  ..  ++  ..  ..  +..  ++  ..+  +",
    "change": "!!  ..  +-  ..  ..  +..  ++  ..+  +",
}


def changed_files(resource: Resource) -> dict[str, str]:
    """Return the files that a resource changes, by their names in the project, with their new text.

    :raises InTheWayError: where a file has not the line beside which something belongs.
    """
    changed = {}
    for name, edit in _edits(resource).items():
        text = Text(name, (resource.project.root / name).read_text(encoding="utf-8"))
        edit(resource, text)
        changed[name] = str(text)
    return changed


def _edits(resource: Resource) -> Mapping[str, Edit]:
    edits = {
        "openapi/openapi.yaml": _in_document,
        "openapi/components/securitySchemes/oauth2.yaml": _in_scheme,
        "models/registry.py": _in_registry,
        "models/__init__.py": _in_models,
        "tests/handlers/test_roles.py": _in_roles,
        "tests/writers.py": _in_writers,
    }
    if resource.parent:
        edits[f"openapi/{resource.path_file(resource.parent.creates.path)}"] = _in_parent
    return edits


def _in_document(resource: Resource, text: Text) -> None:
    """Add the paths, behind those of the parent or of the whole API, and the tag."""
    item = f"{resource.path}/{{{resource.names.singular}_id}}"
    before = resource.parent.reads.path if resource.parent else API
    lines = "".join(
        f"  {path}: {{$ref: '{resource.path_file(path)}'}}\n" for path in (resource.path, item)
    )
    text.put(text.end(text.last(f"  {re.escape(before)}[/:]")), lines)
    if resource.parent:
        words = f"{resource.names.words.capitalize()} of {resource.parent.names.words}."
        place = text.find(f"  - name: {re.escape(resource.parent.tag)}$")
    else:
        words, place = f"{resource.names.words.capitalize()} of users.", None
    tags = text.line("tags:")
    behind = text.end(tags if place is None else place)
    text.put(behind, f"  - name: {resource.names.plural}\n    description: {words}\n")


def _in_scheme(resource: Resource, text: Text) -> None:
    """Add the scopes, behind the others."""
    lines = "".join(f"      {scope}: {words}\n" for scope, words in resource.scopes.items())
    text.put(text.end(text.line(r"    scopes: &")), lines)


def _in_registry(resource: Resource, text: Text) -> None:
    """Add the object."""
    text.put(text.line(r"\}", text.line("NAMED_OBJECTS")), _entry(resource))
    text.put(text.line("from models"), _import(resource))


def _entry(resource: Resource) -> str:
    return f'    "{resource.names.singular}": Kind({resource.names.cls}),\n'


def _import(resource: Resource) -> str:
    return f"from {resource.module} import {resource.names.cls}\n"


def _in_models(resource: Resource, text: Text) -> None:
    """Export the class."""
    text.put(text.line("__all__") + 1, f'    "{resource.names.cls}",\n')
    text.put(text.line("from models"), _import(resource))


def _in_roles(resource: Resource, text: Text) -> None:
    """Add the rows of who may do what, and the role of an owner."""
    rows = dict(_OWN_ROWS)
    if resource.parent:
        read, change = (
            text.words(rf'    "{operation.id}": +"([^"]+)"')[0]
            for operation in (resource.parent.reads, resource.parent.changes)
        )
        rows = {"list": read, "create": change, "read": read, "change": change}
    rows["delete"] = rows["change"]
    names = resource.names
    lines = ""
    for verb, row in rows.items():
        key = f'"{verb}_{names.plural if verb == "list" else names.singular}":'
        lines += f'    {key:25} "{row}",\n'
    text.put(text.line(r"\}", text.line("TABLE = ")), lines)
    if resource.parent is None:
        line = f'    "{names.singular}_id": {{"target": {{"owner"}}}},\n'
        text.put(text.line(r"\}", text.line("ROLES = ")), line)


def _in_writers(resource: Resource, text: Text) -> None:
    """Add a write of each operation, by the owner of FIRST, the only row of a new table."""
    names = resource.names
    if resource.parent is None:
        who, path = "boss", f'"/{names.plural}"'
    elif resource.parent.name == "team":
        who, path = "lead", f'f"{{ENGINES}}/{names.plural}"'
    else:
        who, path = "boss", f'f"{resource.parent.collection}/{{FIRST}}/{names.plural}"'
    one = f'f{path.removeprefix("f").removesuffix(chr(34))}/{{FIRST}}"'
    by = f"by {'a leader' if who == 'lead' else 'an admin'}"
    lines = (
        f'    "create_{names.singular}": {{"{by}": api("{who}", "POST", {path}, name="Music")}},\n'
        f'    "change_{names.singular}": {{'
        f'"{by}": api("{who}", "PATCH", {one}, replace("/name", "Six"))}},\n'
        f'    "delete_{names.singular}": {{"{by}": api("{who}", "DELETE", {one})}},\n'
    )
    text.put(text.line(r"\}", text.line("ACTS: ")), lines)


def _in_parent(resource: Resource, text: Text) -> None:
    """Add links from a new parent to what is made in it, where its answer has links."""
    links = text.find("      links:", text.line("post:"))
    if links is None or resource.parent is None:
        return
    names, parent = resource.names, resource.parent
    lines = "".join(
        f"        {id}:\n"
        f"          operationId: {id}\n"
        f"          description: {does} the new {parent.word}.\n"
        f"          parameters:\n"
        f"            {parent.name}_id: $response.body#/id\n"
        for id, does in (
            (f"list_{names.plural}", f"List the {names.words} of"),
            (f"create_{names.singular}", f"Create {names.a_word} in"),
        )
    )
    text.put(text.end(links), lines)

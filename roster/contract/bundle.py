"""The bundle: one document made of the definition's files, in which every reference is its own."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from roster.contract.errors import DefinitionError
from roster.contract.files import MAX_DEPTH, Files
from roster.contract.kinds import KINDS, MAPPING, PATH_ITEM, part
from roster.contract.references import is_reference, split
from roster.contract.targets import Place, locate, node_at

MAX_NODES = 2_000_000


class Bundle:
    """One document made of the definition's files.

    What a reference leads to becomes a component, but for path items, security schemes and data,
    which move to where the reference is. A component is named by its file, or by the last step of
    the pointer, or as the root document names it; where two have the same name, the one found later
    gets its folder's or its file's before it. Beside a `$ref` nothing counts (OpenAPI 3.0.3,
    section 4.7.23), except in a path item.

    `mistakes` holds what is wrong; the document is as complete as it can be then. `files_of` names
    the file of each path.
    """

    def __init__(self, folder: Path) -> None:
        self.mistakes: list[DefinitionError] = []
        self.files = Files(folder)
        self.files_of: dict[str, str] = {}
        self._components: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self._names: dict[tuple[str, Place], str] = {}
        self._taken: defaultdict[str, set[str]] = defaultdict(set)
        self._sources: dict[tuple[str, str], Place] = {}
        self._moved: dict[tuple[str, ...], Place] = {}
        self._waiting: list[tuple[str, str]] = []
        self._inlining: list[Place] = []
        self._depth = self._depth_outside = self._nodes = 0
        self._path: str | None = None
        self._method: str | None = None
        self.document: dict[str, Any] = {}
        try:
            self.document = self._bundle()
        except DefinitionError as error:
            self.mistakes.append(error)

    def file_of(self, steps: Sequence[str]) -> str:
        """Return the name of the file with what a JSON Pointer's steps lead to in the document."""
        file = self.files.root
        if steps[:1] == ("paths",) and len(steps) > 1:
            return self.files_of.get(steps[1], self.files.name(file))
        if steps[:1] == ("components",) and len(steps) > 2:
            found = self._sources.get((steps[1], steps[2])) or self._moved.get(tuple(steps[1:3]))
            file = found.file if found else file
        return self.files.name(file)

    def _bundle(self) -> dict[str, Any]:
        root = self._root()
        declared = root.get("components")
        declared = declared if isinstance(declared, dict) else {}
        self._name_declared(declared)
        document: dict[str, Any] = {}
        for key, value in root.items():
            if key == "components":
                rest = {kind: each for kind, each in declared.items() if kind not in KINDS}
                self._note_moved(rest)
                document[key] = self._walk(rest, "components", self.files.root)
            else:
                document[key] = self._walk(value, part("root", key), self.files.root)
        for kind, name in [*self._sources]:
            self._make(kind, name)
        while self._waiting:
            self._make(*self._waiting.pop())
        self._check_ends()
        for kind, named in self._components.items():
            document.setdefault("components", {})[kind] = dict(sorted(named.items()))
        return document

    def _note_moved(self, rest: dict[str, Any]) -> None:
        """Remember where the components come from that move into the root document."""
        for kind, named in rest.items():
            for name, node in named.items() if isinstance(named, dict) else ():
                target = self._target(node["$ref"], self.files.root) if is_reference(node) else None
                if target:
                    self._moved[kind, name] = target

    def _root(self) -> dict[str, Any]:
        folder, file = self.files.folder, self.files.root
        if not folder.is_dir():
            raise DefinitionError("there is no such folder", file=str(folder))
        if not file.is_file():
            raise DefinitionError(f"there is no {file.name} in it", file=f"{folder.name}/")
        root = self.files.read(file)
        if not isinstance(root, dict):
            raise DefinitionError("the document must be a mapping", file=self.files.name(file))
        return root

    def _name_declared(self, declared: dict[str, Any]) -> None:
        """Reserve the names of the root's own components, for what they refer to as well."""
        places = [
            (kind, name, Place(self.files.root, ("components", kind, name)))
            for kind in declared.keys() & KINDS
            if isinstance(declared[kind], dict)
            for name in declared[kind]
        ]
        for kind, name, place in sorted(places, key=lambda each: each[:2]):
            self._name(kind, place, name)
        for kind, name, place in sorted(places, key=lambda each: each[:2]):
            node = declared[kind][name]
            target = self._target(node["$ref"], self.files.root) if is_reference(node) else None
            if target and (kind, target) not in self._names:
                self._names[kind, target] = name
                self._sources[kind, name] = target
            else:
                self._sources[kind, name] = place

    def _walk(self, node: Any, kind: str, file: Path) -> Any:
        """Copy a node with its references replaced by those of the bundle."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise DefinitionError(
                f"the definition has more than {MAX_NODES} values", file=self.files.name(file)
            )
        if isinstance(node, str):
            return self._mapped(node, file) if kind == MAPPING else node
        if node is None or isinstance(node, int | float):
            return node
        if not isinstance(node, dict | list):
            self._report(f"a value is of a kind that JSON has not ({type(node).__name__})", file)
            return None
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise DefinitionError(
                f"this is more than {MAX_DEPTH} levels deep, or an alias holds itself",
                file=self.files.name(file),
                path=self._path,
                method=self._method,
            )
        try:
            if isinstance(node, list):
                return [self._walk(each, part(kind, ""), file) for each in node]
            if is_reference(node):
                return self._refer(node, kind, file)
            return self._members(node, kind, file)
        finally:
            self._depth -= 1

    def _members(self, node: dict[str, Any], kind: str, file: Path) -> dict[str, Any]:
        made = {}
        for key, value in node.items():
            inner = part(kind, key)
            before = self._path, self._method
            if inner == PATH_ITEM and before[0] is None:
                self._path = key
                self.files_of[key] = self.files.name(file)
            elif inner == "operation" and before[1] is None:
                self._method = key
            made[key] = self._walk(value, inner, file)
            self._path, self._method = before
        return made

    def _refer(self, node: dict[str, Any], kind: str, file: Path) -> Any:
        target = self._target(node["$ref"], file)
        if target is None:
            return {}
        folders = target.file.relative_to(self.files.folder).parts
        is_component = not target.steps and len(folders) > 2 and folders[0] == "components"
        if is_component and folders[1] in KINDS and kind != PATH_ITEM:
            kind = folders[1]
        if kind in KINDS:
            return {"$ref": f"#/components/{kind}/{self._named(kind, target)}"}
        if target in self._inlining:
            self._report(f"$ref: {node['$ref']} leads back to itself", file)
            return {}
        self._inlining.append(target)
        if kind == PATH_ITEM and self._path and len(self._inlining) == 1:
            self.files_of[self._path] = self.files.name(target.file)
        made = self._walk(node_at(self.files, target), kind, target.file)
        self._inlining.pop()
        if kind == PATH_ITEM and isinstance(made, dict):
            beside = {key: value for key, value in node.items() if key != "$ref"}
            for key in beside.keys() & made.keys():
                self._report(f"{key} stands beside the $ref, and in {node['$ref']} too", file)
            made |= self._members(beside, kind, file)
        return made

    def _mapped(self, value: str, file: Path) -> str:
        """Rewrite a discriminator's value where it is a reference and no name."""
        if not re.search(r"[#/]|\.(ya?ml|json)$", value):
            return value
        target = self._target(value, file)
        return f"#/components/schemas/{self._named('schemas', target)}" if target else value

    def _target(self, reference: str, file: Path) -> Place | None:
        """Find what a reference leads to; None for nothing, which is reported."""
        try:
            return locate(self.files, reference, file)
        except DefinitionError as error:
            if error.file is None:
                error.file, error.path, error.method = self._at(file)
            self.mistakes.append(error)
            return None

    def _named(self, kind: str, place: Place) -> str:
        """Return the name of a component, and make it where that has not been done."""
        name = self._names.get((kind, place))
        if name is None:
            name = next(each for each in _candidates(place) if each not in self._taken[kind])
            self._name(kind, place, name)
            self._sources[kind, name] = place
        # A chain of references may be longer than Python's stack.
        if self._depth + self._depth_outside < MAX_DEPTH:
            self._make(kind, name)
        else:
            self._waiting.append((kind, name))
        return name

    def _name(self, kind: str, place: Place, name: str) -> None:
        self._names[kind, place] = name
        self._taken[kind].add(name)

    def _make(self, kind: str, name: str) -> None:
        if name in self._components[kind]:
            return
        self._components[kind][name] = {}
        source = self._sources[kind, name]
        before = self._path, self._method, self._inlining, self._depth
        self._depth_outside += self._depth
        self._path, self._method, self._inlining, self._depth = None, None, [], 0
        self._components[kind][name] = self._walk(node_at(self.files, source), kind, source.file)
        self._path, self._method, self._inlining, self._depth = before
        self._depth_outside -= self._depth

    def _check_ends(self) -> None:
        """Report the components that refer to one another and never to a value."""
        for kind, named in self._components.items():
            for name, node in named.items():
                seen = set()
                while is_reference(node) and node["$ref"] not in seen:
                    seen.add(node["$ref"])
                    to_kind, to_name = split(node["$ref"])[1][1:]
                    node = self._components[to_kind][to_name]  # noqa: PLW2901
                if is_reference(node):
                    self._report(
                        f"$ref: the component {name} leads back to itself",
                        self._sources[kind, name].file,
                    )

    def _at(self, file: Path) -> tuple[str, str | None, str | None]:
        return self.files.name(file), self._path, self._method

    def _report(self, sentence: str, file: Path) -> None:
        name, path, method = self._at(file)
        self.mistakes.append(DefinitionError(sentence, file=name, path=path, method=method))


def _candidates(place: Place) -> Iterator[str]:
    """Yield the names that a component may have, the best first."""
    if not place.steps:
        name, before = place.file.stem, place.file.parent.name
    else:
        is_deep = len(place.steps) > 3
        name, before = "_".join(place.steps) if is_deep else place.steps[-1], place.file.stem
    name, before = (re.sub(r"[^A-Za-z0-9._-]", "_", each) for each in (name, before))
    yield name or "_"
    yield f"{before}_{name}"
    yield from (f"{before}_{name}_{number}" for number in count(2))

"""The definition's files: reads YAML within bounds, and says where a file is wrong."""

import math
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from roster.contract.errors import DefinitionError, nearest

# A second of reading for each MiB.
MAX_BYTES = 8 * 2**20
# The folder beside the root file that keeps released definitions, each complete.
RELEASED = "released"
MAX_DEPTH = 100
# What `<<` may put into one mapping. Merges of merges double with each line.
MAX_MEMBERS = 10_000
# So deep the parser, which is written in C, goes safely.
_MAX_PARSER_DEPTH = 5_000

ROOT = "openapi.yaml"

_STRING = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
# YAML's core schema (YAML 1.2.2 section 10.3) as far as JSON has its values: `NO`, `on` and dates
# are text, as they are in JSON.
_RESOLVERS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
)


class YamlLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A YAML loader that makes what JSON has, and refuses a key that stands twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML reads it)

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._checked: dict[int, yaml.Node] = {}

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Look at a mapping's keys, then put into it what it merges.

        :raises yaml.constructor.ConstructorError: for a key that stands twice.
        """
        if id(node) not in self._checked:
            self._checked[id(node)] = node
            _check_keys(node)
        own = len(node.value)
        super().flatten_mapping(node)
        if len(node.value) - own > MAX_MEMBERS:
            raise _wrong(node, f"there are more than {MAX_MEMBERS} members after its merges")


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _wrong(key, "a key must be text")
        if key.tag == _MERGE:
            continue
        key.tag = _STRING  # a status is text in JSON, with quotes or without
        if key.value in seen:
            raise _wrong(key, f"the key {key.value!r} stands twice")
        seen.add(key.value)


def _wrong(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _number(loader: Any, node: yaml.ScalarNode, *, read: Any) -> Any:
    text = loader.construct_scalar(node)
    try:
        number = read(text)
    except ValueError:  # Python reads integers of up to 4,300 digits
        number = math.inf
    if not -math.inf < number < math.inf:
        raise _wrong(node, "this is no number that can be read")
    return number


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:] if base != 10 else text, base)


for _tag, _pattern, _first in _RESOLVERS:
    YamlLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first)
    )
YamlLoader.add_constructor("tag:yaml.org,2002:int", partial(_number, read=_integer))
YamlLoader.add_constructor("tag:yaml.org,2002:float", partial(_number, read=float))


class Files:
    """The files of one definition's folder, each read once; nothing outside is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.root = self.folder / ROOT
        self._read: dict[Path, Any] = {}
        self._found: dict[tuple[Path, str], Path] = {}
        self._bytes = 0

    def name(self, file: Path) -> str:
        """Return a file's name as a developer knows it, from the definition's folder on."""
        return file.relative_to(self.folder.parent).as_posix()

    def unread(self) -> list[Path]:
        """Return the YAML files, but for those beside the root, to which nothing refers."""
        found = []
        for folder, subfolders, names in os.walk(self.folder):
            subfolders[:] = [each for each in subfolders if not each.startswith(".")]
            if Path(folder) == self.folder and RELEASED in subfolders:
                subfolders.remove(RELEASED)
            if Path(folder) != self.folder:
                found += [Path(folder, name) for name in names if name.endswith((".yaml", ".yml"))]
        return sorted(each for each in found if each.resolve() not in self._read)

    def find(self, name: str, base: Path) -> Path:
        """Find the file that a reference in another one names.

        :raises DefinitionError: where there is none, or where it is outside the folder.
        """
        # To follow links is slow, and many references name the same file.
        key = base.parent, name
        if key not in self._found:
            self._found[key] = self._find(name, base)
        return self._found[key]

    def _find(self, name: str, base: Path) -> Path:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", name):
            raise DefinitionError(f"$ref: {name} is not a file of this folder, and is not fetched")
        try:
            found = (base.parent / name).resolve()
        except (OSError, ValueError, RuntimeError):  # NUL, a loop of links, a name too long
            raise DefinitionError("$ref: no file can have this name") from None
        if not found.is_relative_to(self.folder):
            raise DefinitionError(f"$ref: {name} is outside the folder {self.folder.name}")
        try:
            is_there = found.is_file()
        except OSError:
            is_there = False
        if not is_there:
            others = found.parent.iterdir() if found.parent.is_dir() else ()
            hint = nearest(found.name, [each.name for each in others])
            raise DefinitionError(f"$ref: there is no file {name}{hint}")
        return found

    def read(self, file: Path) -> Any:
        """Return what a file holds.

        :raises DefinitionError: where it cannot be read, with line and column.
        """
        if file not in self._read:
            try:
                self._read[file] = self._parse(file)
            except DefinitionError as error:
                error.file = self.name(file)
                self._read[file] = error
        if isinstance(self._read[file], DefinitionError):
            raise self._read[file]
        return self._read[file]

    def _parse(self, file: Path) -> Any:
        try:
            with file.open("rb") as opened:
                content = opened.read(MAX_BYTES - self._bytes + 1)
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise DefinitionError(f"the file cannot be read: {reason}") from None
        self._bytes += len(content)
        if self._bytes > MAX_BYTES:
            limit = MAX_BYTES // 2**20
            raise DefinitionError(f"the definition is larger than {limit} MiB")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise DefinitionError(f"line {line}: this is not UTF-8") from None
        try:
            _check_depth(text)
            held = yaml.load(text, Loader=YamlLoader)  # nosec B506 # noqa: S506 (it is a safe loader)
        except yaml.MarkedYAMLError as error:
            raise DefinitionError(_described(error)) from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise DefinitionError(f"line {line}: YAML allows no such character") from None
        except (yaml.YAMLError, RecursionError, ValueError):
            raise DefinitionError("this YAML cannot be read") from None
        if held is None:
            raise DefinitionError("the file is empty")
        return held


def _check_depth(text: str) -> None:
    """Refuse what is so deep that the parser would end the process.

    :raises DefinitionError: where it is.
    """
    # A block within a block begins further to the right, but for a list in a mapping.
    longest = max(map(len, text.split("\n")))
    if 2 * longest + text.count("[") + text.count("{") < _MAX_PARSER_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=YamlLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise DefinitionError(f"line {line}: this is more than {MAX_DEPTH} levels deep")


def _described(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    sentence = error.problem or error.context or "this YAML cannot be read"
    return f"{place}{sentence}"

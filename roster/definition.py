"""The OpenAPI definition: read from its files, resolved once, and served as it was resolved."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import yaml

from roster.permissions import Permission

FOLDER = Path(__file__).resolve().parent.parent / "openapi"

METHODS = ("get", "post", "put", "patch", "delete")
PROBLEM = "application/problem+json"
# The opener policy of whatever names no other.
ISOLATED = "same-origin"
# SQLite's and PostgreSQL's largest id. A number beyond it names no row.
LARGEST_ID = 2**63 - 1


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A YAML loader that leaves timestamps as the strings that JSON would hold."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of the definition, with what the machinery asks of it again and again."""

    id: str
    method: str
    path: str
    spec: dict[str, Any]
    parameters: list[dict[str, Any]]
    permission: Permission
    scopes: frozenset[str]
    is_protected: bool
    is_open: bool

    @property
    def handler(self) -> str:
        """The dotted name of the function that carries the operation out."""
        return f"{self.spec['x-openapi-router-controller']}.{self.id}"

    @property
    def hashes_where(self) -> Mapping[str, Sequence[str]] | None:
        """The form fields, and their values, with which the operation computes a password hash.

        Empty where it may always do so, which takes a core for a while; None where it never does.
        """
        declared = self.spec.get("x-computes-hash", False)
        return {} if declared is True else declared or None

    @property
    def is_immediate(self) -> bool:
        """Whether the operation waits for nothing, and needs no thread."""
        return bool(self.spec.get("x-immediate", False))

    @property
    def limit(self) -> str | None:
        """The name of the limit on how often a caller may call the operation."""
        return cast("str | None", self.spec.get("x-limit"))

    @property
    def captcha(self) -> Mapping[str, Any] | None:
        """Where the body holds a captcha's key (`member`), and which roles need none (`unless`)."""
        return cast("Mapping[str, Any] | None", self.spec.get("x-captcha"))

    @property
    def acts(self) -> bool:
        """Whether a GET changes something, so that no HEAD may stand for it."""
        return bool(self.spec.get("x-acts", False))

    @property
    def opener_policy(self) -> str:
        """What a page that opens this one, or is opened by it, still sees of it (HTML's COOP).

        A sign-in runs in a popup too, whose opener waits for it: there nothing is cut off.
        """
        return str(self.spec.get("x-opener-policy", ISOLATED))

    @property
    def is_for_any_origin(self) -> bool:
        """Whether the scripts of every page may read the answers."""
        return bool(self.spec.get("x-origins") == "any")

    @cached_property
    def success(self) -> tuple[int, dict[str, Any]]:
        """The status and the description of the answer to a request that went well."""
        status = min(status for status in self.spec["responses"] if status < "4")
        return int(status), self.spec["responses"][status]

    @cached_property
    def request_content(self) -> dict[str, Any]:
        """The media types that a request body may have, each with its schema."""
        return cast(dict[str, Any], self.spec.get("requestBody", {}).get("content", {}))

    @cached_property
    def form_fields(self) -> dict[str, dict[str, Any]]:
        """The fields of a form body and their schemas; empty where the body is no form."""
        for content in self.request_content.values():
            return cast(dict[str, dict[str, Any]], content["schema"].get("properties", {}))
        return {}

    @cached_property
    def error_media_type(self) -> str:
        """The media type of the errors that this operation declares."""
        for status, response in self.spec["responses"].items():
            if status >= "4":
                return cast(str, next(iter(response["content"])))
        return PROBLEM


class Route:
    """A path of the definition with its operations, and the test whether a request is for it."""

    def __init__(self, template: str, operations: dict[str, Operation]) -> None:
        self.template = template
        self.operations = operations
        self.error_media_type = next(iter(operations.values())).error_media_type
        self.is_for_any_origin = next(iter(operations.values())).is_for_any_origin
        self.opener_policy = next(iter(operations.values())).opener_policy
        # HEAD is a GET without the body, and must do nothing (RFC 9110 section 9.2.1).
        self.has_head = "GET" in operations and not operations["GET"].acts
        parameters = next(iter(operations.values())).parameters
        self._integers = {
            parameter["name"]
            for parameter in parameters
            if parameter["in"] == "path" and parameter["schema"].get("type") == "integer"
        }
        pieces = re.split(r"\{(\w+)\}", template)
        names = set(pieces[1::2])
        self.is_literal = not names
        self._pattern = re.compile(
            "".join(
                self._piece(piece) if index % 2 else re.escape(piece)
                for index, piece in enumerate(pieces)
            )
        )

    def _piece(self, name: str) -> str:
        if name in self._integers:
            # The only way to write an integer that JSON has too: no sign, no leading zero, no
            # other script's digits.
            return f"(?P<{name}>[1-9][0-9]{{0,18}})"
        # The characters that no URL needs to encode (RFC 3986 section 2.3), as identifiers have.
        return f"(?P<{name}>[A-Za-z0-9._~-]+)"

    def match(self, path: str) -> dict[str, Any] | None:
        """Read the parameters out of a path, or return None where the path is not of this route."""
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        values: dict[str, Any] = found.groupdict()
        for name in self._integers:
            values[name] = int(values[name])
            if values[name] > LARGEST_ID:
                return None
        return values


class Definition:
    """The definition of one environment: the document that connexion loads, and its operations."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.operations = list(_operations(document))
        self.routes = _routes(self.operations)
        self._literal = {route.template: route for route in self.routes if route.is_literal}
        self._patterns = [route for route in self.routes if not route.is_literal]
        self._by_place = {
            (operation.path, operation.method): operation for operation in self.operations
        }

    def operation(self, path: str, method: str) -> Operation:
        """Return the operation at a path template and an HTTP method."""
        return self._by_place[path, method.upper()]

    def path(self, operation_id: str) -> str:
        """Return the path template of the operation with an operationId."""
        return next(each.path for each in self.operations if each.id == operation_id)

    def match(self, path: str) -> tuple[Route, dict[str, Any], str] | None:
        """Find the route of a request's path, with the path's parameters and the path as declared.

        A trailing slash too many or too few does not matter.
        """
        other = path[:-1] if path.endswith("/") else path + "/"
        for candidate in (path, other):
            if candidate in self._literal:
                return self._literal[candidate], {}, candidate
            for route in self._patterns:
                values = route.match(candidate)
                if values is not None:
                    return route, values, candidate
        return None

    @cached_property
    def scopes(self) -> dict[str, str]:
        """Every scope with its description."""
        flows = self.document["components"]["securitySchemes"]["oauth2"]["flows"]
        return {scope: text for flow in flows.values() for scope, text in flow["scopes"].items()}

    @cached_property
    def public(self) -> dict[str, Any]:
        """The document without the names that only this server understands."""
        return cast(dict[str, Any], _without_internal_names(self.document))

    @cached_property
    def as_json(self) -> bytes:
        """The public document as JSON."""
        return json.dumps(self.public, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def as_yaml(self) -> bytes:
        """The public document as YAML."""
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        options: Any = {"sort_keys": False, "allow_unicode": True, "encoding": "utf-8"}
        dumped: bytes = yaml.dump(self.public, Dumper=dumper, **options)
        return dumped


def load(environment: str, folder: Path = FOLDER) -> Definition:
    """Read and resolve the definition for one environment (`development` or `production`)."""
    document = _without_other_environments(_bundle(folder), environment)
    for _, _, operation in _each_operation(document):
        permission = Permission.of(operation["x-permission"])
        operation["description"] = (
            f"{operation.get('description', '').rstrip()}\n\n{permission.sentence}".lstrip()
        )
    return Definition(document)


def _bundle(folder: Path) -> dict[str, Any]:
    """Put the files into one document: components stay named, the rest moves to its place."""
    components: defaultdict[str, dict[str, Any]] = defaultdict(dict)

    def resolve(node: Any, base: Path) -> Any:
        if isinstance(node, list):
            return [resolve(item, base) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" not in node:
            return {key: resolve(value, base) for key, value in node.items()}
        target = (base / node["$ref"]).resolve()
        place = target.relative_to(folder.resolve()).parts
        if place[0] != "components" or place[1] == "securitySchemes":
            return resolve(read(target), target.parent)
        kind, name = place[1], target.stem
        if name not in components[kind]:
            components[kind][name] = {}
            components[kind][name] = resolve(read(target), target.parent)
        return {"$ref": f"#/components/{kind}/{name}"}

    def read(path: Path) -> Any:
        text = path.read_text(encoding="utf-8")
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (it is a safe loader)

    document: dict[str, Any] = resolve(read(folder / "openapi.yaml"), folder)
    for kind, named in components.items():
        document.setdefault("components", {})[kind] = dict(sorted(named.items()))
    return document


def _without_other_environments(node: Any, environment: str) -> Any:
    """Drop every object that is marked as another environment's."""

    def is_here(value: Any) -> bool:
        return not isinstance(value, dict) or value.get("x-environment", environment) == environment

    if isinstance(node, dict):
        return {
            key: _without_other_environments(value, environment)
            for key, value in node.items()
            if is_here(value)
        }
    if isinstance(node, list):
        return [_without_other_environments(value, environment) for value in node if is_here(value)]
    return node


def _without_internal_names(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_internal_names(value)
            for key, value in node.items()
            if not key.startswith("x-")
        }
    if isinstance(node, list):
        return [_without_internal_names(value) for value in node]
    return node


def dereference(document: dict[str, Any]) -> dict[str, Any]:
    """Replace every reference into a document by what it refers to.

    What is referred to in many places is one object there, which nobody may change.
    """
    targets: dict[str, Any] = {}

    def resolve(node: Any) -> Any:
        if isinstance(node, list):
            return [resolve(value) for value in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return target(node["$ref"])
        return {key: resolve(value) for key, value in node.items()}

    def target(reference: str) -> Any:
        if reference not in targets:
            found: Any = document
            for step in reference.removeprefix("#/").split("/"):
                found = found[step]
            targets[reference] = resolve(found)
        return targets[reference]

    return cast(dict[str, Any], resolve(document))


def _each_operation(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    document = dereference(document)
    for path, method, spec in _each_operation(document):
        common = document["paths"][path].get("parameters", [])
        security = spec.get("security", document.get("security", []))
        permission = Permission.of(spec["x-permission"])
        if spec.get("x-immediate") and (security or permission.object):
            raise ValueError(f"x-immediate: {spec['operationId']} would wait for the database")
        yield Operation(
            id=spec["operationId"],
            method=method.upper(),
            path=path,
            spec=spec,
            parameters=[*common, *spec.get("parameters", [])],
            permission=permission,
            scopes=frozenset(scope for scheme in security for scope in scheme.get("oauth2", [])),
            is_protected=any("oauth2" in scheme for scheme in security),
            is_open=not security or {} in security,
        )


def _routes(operations: list[Operation]) -> list[Route]:
    by_path: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations:
        by_path[operation.path][operation.method] = operation
    return [Route(path, found) for path, found in by_path.items()]

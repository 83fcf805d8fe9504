"""The OpenAPI definition of one environment, as it is served, with its operations and routes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import yaml

from roster.contract import published, scopes
from roster.contract.draft4 import Draft4
from roster.contract.errors import DefinitionError, DefinitionErrors, nearest
from roster.contract.operation import Operation, operations
from roster.contract.parameters import compile_parameters
from roster.contract.reachable import check_reachable
from roster.contract.routes import Route, routes
from roster.contract.support import base_path, check_operation, check_version, placed


class Definition:
    """The definition of one environment: the document that connexion loads, and its operations."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Check and compile a definition.

        :raises DefinitionError: for what this server does not support.
        """
        check_version(document)
        self.document = document
        # The file of each path, for what is found wrong later.
        self.files: Mapping[str, str] = {}
        self.base_path = base_path(document)
        self.operations = list(operations(document))
        self.requests = Draft4(document, refused="readOnly")
        self.parameters = {}
        for operation in self.operations:
            with placed(operation.path, operation.method):
                check_operation(document, operation)
                self.parameters[operation.id] = compile_parameters(
                    document, operation, self.requests
                )
        in_paths = {id_: compiled.path for id_, compiled in self.parameters.items()}
        self.routes = routes(self.operations, in_paths, self.base_path)
        check_reachable(self.routes)
        self._literal = {route.template: route for route in self.routes if route.is_literal}
        self._patterns = [route for route in self.routes if not route.is_literal]
        self._by_place = {
            (operation.path, operation.method): operation for operation in self.operations
        }

    def operation(self, path: str, method: str) -> Operation:
        """Return the operation at a path template and an HTTP method."""
        return self._by_place[path, method.upper()]

    def path(self, operation_id: str) -> str:
        """Return the path template of the operation with an operationId, as it is served.

        :raises DefinitionError: where there is none.
        """
        paths = {each.id: self.base_path + each.path for each in self.operations}
        if operation_id not in paths:
            hint = nearest(operation_id, paths)
            raise DefinitionError(f"there is no operation {operation_id}{hint}")
        return paths[operation_id]

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Have each mistake that is found meanwhile name the file of its operation."""
        try:
            yield
        except DefinitionError as error:
            for each in error.all:
                if each.file is None and each.path is not None:
                    each.file = self.files.get(each.path)
            raise DefinitionErrors(error.all) from None

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
        return scopes.declared(self.document)

    @cached_property
    def public(self) -> dict[str, Any]:
        """The document for readers and generators, without what is of use to this server alone."""
        return published.of(self.document)

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

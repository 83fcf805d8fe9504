"""Routes: the paths of the definition, and which of them a request is for."""

import re
from collections import defaultdict
from typing import Any

from roster.contract.operation import Operation

# SQLite's and PostgreSQL's largest id. A number beyond it names no row.
MAX_ID = 2**63 - 1


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
            if values[name] > MAX_ID:
                return None
        return values


def routes(operations: list[Operation]) -> list[Route]:
    """Return one route for each path, in the order of the definition."""
    by_path: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations:
        by_path[operation.path][operation.method] = operation
    return [Route(path, found) for path, found in by_path.items()]

"""Routes: the paths of the definition, and which of them a request is for."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from roster.contract.errors import DefinitionError
from roster.contract.operation import Operation
from roster.contract.parameters import Parameter
from roster.contract.styles import UnreadableError

NAME = re.compile(r"\{([^{}/]*)\}")
# No value holds a slash, which ends it, a NUL, or the sign of what was no UTF-8.
_TEXT = "[^/\0\ufffd]"
_INTEGER = "-?(?:0|[1-9][0-9]{0,19})"
# Of two values in a segment each has to be looked for at every place.
_MAX_LENGTH_OF_TWO = 1000
# SQLite's and PostgreSQL's largest id: a number beyond it names no row.
MAX_ID = 2**63 - 1
_BOUNDS = {"type", "format", "minimum", "maximum"}

# Makes a value of a text; None where there is none that the schema allows.
Fit = Callable[[str], Any]


class Route:
    """A path of the definition with its operations, and the test whether a request is for it."""

    def __init__(
        self,
        template: str,
        operations: dict[str, Operation],
        parameters: Mapping[str, Parameter] | None = None,
    ) -> None:
        self.template = template
        self.operations = operations
        self.error_media_type = next(iter(operations.values())).error_media_type
        self.is_for_any_origin = next(iter(operations.values())).is_for_any_origin
        self.opener_policy = next(iter(operations.values())).opener_policy
        self.needs_token = any(each.needs_token for each in operations.values())
        self.is_rate_limited = any(each.is_rate_limited for each in operations.values())
        # HEAD is a GET without the body, and must do nothing (RFC 9110 section 9.2.1).
        self.has_head = "GET" in operations and not operations["GET"].acts
        pieces = NAME.split(template)
        names = pieces[1::2]
        self.parameters = {name: _parameter(name, parameters) for name in names}
        self._fits = [(name, _fit(each)) for name, each in self.parameters.items()]
        self.is_literal = not names
        if len(set(names)) < len(names) or any(each.count("{") > 2 for each in template.split("/")):
            raise DefinitionError("a path may have two values in a segment, and each one once")
        self._pieces = {name: self._piece(each, template) for name, each in self.parameters.items()}
        self._pattern = re.compile(
            "".join(
                f"({self._pieces[piece]})" if index % 2 else re.escape(piece)
                for index, piece in enumerate(pieces)
            )
        )

    @staticmethod
    def _piece(parameter: Parameter, template: str) -> str:
        if parameter.schema.converted.get("type") == "integer" and parameter.is_plain:
            return _INTEGER
        is_alone = f"/{{{parameter.name}}}/" in f"{template}/"
        return _TEXT + ("+" if is_alone else f"{{1,{_MAX_LENGTH_OF_TWO}}}")

    def takes(self, name: str, text: str) -> bool:
        """Tell whether a text can be the value of a parameter."""
        fits = dict(self._fits)[name]
        return re.fullmatch(self._pieces[name], text) is not None and fits(text) is not None

    def match(self, path: str) -> dict[str, Any] | None:
        """Read the parameters out of a path, or return None where the path is not of this route.

        So it is where a value does not fit the schema of its parameter: an id that is no integer
        names nothing, and the answer is 404.
        """
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        values: dict[str, Any] = {}
        for (name, fit), text in zip(self._fits, found.groups(), strict=True):
            value = values[name] = fit(text)
            if value is None:
                return None
        return values


def _parameter(name: str, parameters: Mapping[str, Parameter] | None) -> Parameter:
    if parameters is None or name not in parameters:
        raise DefinitionError(f"the path has a parameter {name} that is not declared")
    return parameters[name]


def _fit(parameter: Parameter) -> Fit:
    schema = parameter.schema.converted
    if parameter.is_plain and schema.get("type") == "integer" and schema.keys() <= _BOUNDS:
        lowest, highest = schema.get("minimum", -MAX_ID), schema.get("maximum", MAX_ID)
        return lambda text: value if lowest <= (value := int(text)) <= highest else None
    read, is_valid = parameter.read, parameter.schema.is_valid

    def fit(text: str) -> Any:
        try:
            value = read(text)
        except UnreadableError:
            return None
        return value if is_valid(value) else None

    return fit


def routes(
    operations: list[Operation], parameters: Mapping[str, Mapping[str, Parameter]], base: str = ""
) -> list[Route]:
    """Return one route for each path, in the order of the definition.

    :param parameters: the parameters in each operation's path, by the operation's id.
    :param base: the path under which the definition says that it is served.
    """
    by_path: defaultdict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations:
        by_path[operation.path][operation.method] = operation
    made = []
    for path, found in by_path.items():
        first, *others = (parameters[each.id] for each in found.values())
        try:
            for name, each in ((name, each) for other in others for name, each in other.items()):
                same = first.get(name, each)
                parameter = f"the path parameter {name}"
                if each.schema.converted != same.schema.converted:
                    raise DefinitionError(f"the methods do not agree on {parameter}")
                if each.form != same.form:
                    raise DefinitionError(
                        f"the methods do not agree on style and explode of {parameter}"
                    )
            made.append(Route(base + path, found, first))
        except DefinitionError as error:
            error.path = path
            raise
    return made

"""Links: the address of what an operation made, by the first link of its answer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError, nearest
from roster.contract.operation import Operation
from roster.contract.references import look_up, steps

_BODY = "$response.body#"
# What may stand in a path as it is (RFC 3986, section 3.3), and the braces of names.
_SAFE = "/{}:@!$&'()*+,;="
_NO_LINK = "the Location header is made from the answer's first link, and there is none"


@dataclass(frozen=True)
class Location:
    """The path of what was made: a template, and where in the body the value of each name is."""

    template: str
    values: Mapping[str, tuple[str, ...]]

    def path(self, body: Any) -> str:
        """Return the path for an answer's body."""
        path = quote(self.template, safe=_SAFE)
        for name, pointer in self.values.items():
            value = body
            for step in pointer:
                value = look_up(value, step)
            path = path.replace(quote(f"{{{name}}}", safe=_SAFE), quote(str(value), safe=""))
        return path


def location(operation: Operation, definition: Definition) -> Location | None:
    """Return what an operation's `Location` header is made of; None where its handler returns it.

    It is the first link with an operationId. A header that need not be there is left out where no
    link can be followed.

    :raises DefinitionError: where that is so, and the header is required.
    """
    status, response = operation.success
    header = response.get("headers", {}).get("Location")
    if header is None:
        return None
    links = response.get("links", {})
    name = next((name for name in links if "operationId" in links[name]), None)
    path = ""
    if name is None:
        sentences = [_NO_LINK] if status < 300 and response.get("content") else []
    else:
        path = definition.path(links[name]["operationId"])
        place = f"responses/{status}/links/{name}"
        sentences = [f"{place}: {each}" for each in _mistakes(links[name], path, response)]
    if sentences and header.get("required"):
        raise DefinitionError(sentences[0], path=operation.path, method=operation.method)
    if name is None or sentences:
        return None
    given = links[name].get("parameters", {})
    return Location(path, {each: _pointer(expression) for each, expression in given.items()})


def _pointer(expression: str) -> tuple[str, ...]:
    return tuple(steps(expression.removeprefix(_BODY)))


def _mistakes(link: dict[str, Any], path: str, response: dict[str, Any]) -> Iterator[str]:
    given = link.get("parameters", {})
    for parameter, expression in given.items():
        if not isinstance(expression, str) or not expression.startswith(f"{_BODY}/"):
            yield (
                f"{parameter} must be an expression such as {_BODY}/id for the Location header;"
                " this server makes it of nothing else"
            )
        else:
            hints = _unknown(expression.removeprefix(_BODY), response)
            yield from (f"{parameter}: {hint}" for hint in hints)
    for missing in re.findall(r"\{([^{}]*)\}", path):
        if missing not in given:
            yield f"there is no value for {{{missing}}}{nearest(missing, given)}"


def _unknown(pointer: str, response: dict[str, Any]) -> Iterator[str]:
    """Yield the member of a pointer that the body's schema does not have."""
    contents: list[dict[str, Any]] = [*response.get("content", {}).values()]
    schema = contents[0].get("schema", {}) if contents else {}
    for step in steps(pointer):
        members = schema.get("properties")
        if members is None or schema.keys() & {"allOf", "anyOf", "oneOf"}:
            return
        if step not in members:
            yield f"the answer has no {step}{nearest(step, members)}"
            return
        schema = members[step]

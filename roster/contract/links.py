"""Links: the address of what an operation made, by the first link of its answer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError, nearest
from roster.contract.operation import Operation
from roster.contract.references import look_up, steps

_BODY = "$response.body#"


@dataclass(frozen=True)
class Location:
    """The path of what was made: a template, and where in the body the value of each name is."""

    template: str
    values: Mapping[str, tuple[str, ...]]

    def path(self, body: Any) -> str:
        """Return the path for an answer's body."""
        path = self.template
        for name, pointer in self.values.items():
            value = body
            for step in pointer:
                value = look_up(value, step)
            path = path.replace(f"{{{name}}}", str(value))
        return path


def location(operation: Operation, definition: Definition) -> Location | None:
    """Return what an operation's `Location` header is made of; None where its handler returns it.

    :raises DefinitionError: where the link cannot be followed.
    """
    status, response = operation.success
    if "Location" not in response.get("headers", {}):
        return None
    sentence = next(_mistakes(status, response, definition), None)
    if sentence:
        raise DefinitionError(sentence, path=operation.path, method=operation.method)
    link = next(iter(response.get("links", {}).values()), None)
    if link is None:
        return None
    values = {
        name: tuple(steps(expression.removeprefix(_BODY)))
        for name, expression in link.get("parameters", {}).items()
    }
    return Location(definition.path(link["operationId"]), values)


def _mistakes(status: int, response: dict[str, Any], definition: Definition) -> Iterator[str]:
    links = response.get("links", {})
    if not links:
        if status < 300 and "content" in response:
            yield "the Location header is made from the answer's first link, and there is none"
        return
    name, link = next(iter(links.items()))
    place = f"responses/{status}/links/{name}"
    if "operationId" not in link:
        yield f"{place}: the Location header needs the operationId of what it leads to"
        return
    given = link.get("parameters", {})
    for parameter, expression in given.items():
        if not isinstance(expression, str) or not expression.startswith(f"{_BODY}/"):
            yield (
                f"{place}: {parameter} must be an expression such as {_BODY}/id for the Location"
                " header; this server makes it of nothing else"
            )
        else:
            yield from (
                f"{place}: {parameter}: {hint}"
                for hint in _unknown(expression.removeprefix(_BODY), response)
            )
    for missing in re.findall(r"\{([^{}]*)\}", definition.path(link["operationId"])):
        if missing not in given:
            yield f"{place}: there is no value for {{{missing}}}{nearest(missing, given)}"


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

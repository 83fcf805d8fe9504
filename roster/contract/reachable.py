"""Reachable: refuses paths that no request could ever reach, for another one takes them all."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from roster.contract.errors import DefinitionError, DefinitionErrors
from roster.contract.parameters import Parameter
from roster.contract.routes import MAX_ID, NAME, Route
from roster.contract.schemas import compiled

# Stands for any value in a path: it is in no other text.
_ANY = "\0"
# No format that is checked allows this.
_NONSENSE = "( \1%"
_NAMES = "names in braces tell none apart"
_BEFORE = "before it matches all that it matches; write it before the other"
_AT_LEAST = frozenset({"minimum", "minLength", "minItems", "minProperties"})
_AT_MOST = frozenset({"maximum", "maxLength", "maxItems", "maxProperties"})


def check_reachable(routes: list[Route]) -> None:
    """Refuse paths that are identical, and those that lie wholly in one before them.

    Paths without parameters are looked up first, and always reached.

    :raises DefinitionError: which names both paths.
    """
    errors = [
        DefinitionError(sentence, path=_path(route))
        for route, sentence in _unreachable([each for each in routes if not each.is_literal])
    ]
    if errors:
        raise errors[0] if len(errors) == 1 else DefinitionErrors(errors)


def _unreachable(routes: list[Route]) -> Iterator[tuple[Route, str]]:
    # A value holds no slash: only paths with as many of them match the same.
    before: defaultdict[int, list[tuple[Route, str, re.Pattern[str]]]] = defaultdict(list)
    for route in routes:
        text = NAME.sub(_ANY, route.template)
        earlier = before[text.count("/")]
        for other, other_text, pattern in earlier:
            if text == other_text:
                yield route, f"the path is identical to {_path(other)}; {_NAMES}"
                break
            if _lies_in(route, text, other, pattern):
                yield route, f"no request reaches this path, for {_path(other)} {_BEFORE}"
                break
        pieces = [re.escape(each) for each in NAME.split(route.template)[::2]]
        earlier.append((route, text, re.compile("([^/]+)".join(pieces))))


def _path(route: Route) -> str:
    return next(iter(route.operations.values())).path


def _lies_in(route: Route, text: str, other: Route, pattern: re.Pattern[str]) -> bool:
    """Tell whether another route matches whatever a route does, `_ANY` for each value."""
    found = pattern.fullmatch(text)
    if found is None:
        return False
    names = iter(NAME.findall(route.template))
    for taking, taken in zip(other.parameters.values(), found.groups(), strict=True):
        held = [route.parameters[next(names)] for _ in range(taken.count(_ANY))]
        if _takes_any(taking):
            continue
        if taken == _ANY:
            if not _covers(other, taking, held[0]):
                return False
        elif held or not other.takes(taking.name, taken):
            return False
    return True


def _takes_any(parameter: Parameter) -> bool:
    """Tell whether a parameter takes every text but the empty one."""
    schema = parameter.schema.converted
    kind = schema.get("type", "string")
    return (
        parameter.is_plain
        and schema.keys() <= {"type", "format", "minLength"}
        and (kind == "string" or {*kind} == {"string", "null"})
        and schema.get("minLength", 0) <= 1
        and compiled({"format": schema.get("format", "")}).is_valid(_NONSENSE)
    )


def _covers(route: Route, taking: Parameter, taken: Parameter) -> bool:
    """Tell whether a parameter of a route takes all values of another one.

    Where that is not sure, both paths are served: so it is with two different patterns.
    """
    if taken.is_plain and (values := _values(taken.schema.converted)) is not None:
        return all(route.takes(taking.name, each) for each in values)
    if taking.form != taken.form:
        return False
    outer, inner = _bounded(taking.schema.converted), _bounded(taken.schema.converted)
    return all(
        inner.get(key) == demand
        or (key in inner and key in _AT_LEAST and inner[key] >= demand)
        or (key in inner and key in _AT_MOST and inner[key] <= demand)
        or (key == "type" and demand == "number" and inner.get(key) == "integer")
        for key, demand in outer.items()
    )


def _values(schema: Mapping[str, Any]) -> list[str] | None:
    """Return the texts of all values of a schema, where it lists them."""
    values = [True, False] if schema.get("type") == "boolean" else schema.get("enum")
    if values is None:
        return None
    return [each if isinstance(each, str) else json.dumps(each) for each in values]


def _bounded(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a number with its bounds, which its format says too."""
    if schema.get("type") not in {"integer", "number"}:
        return schema
    rest = {key: value for key, value in schema.items() if key != "format"}
    if schema["type"] == "integer":
        rest["minimum"] = max(schema.get("minimum", -MAX_ID), -MAX_ID)
        rest["maximum"] = min(schema.get("maximum", MAX_ID), MAX_ID)
    return rest

"""Breaking changes of schemas: values that one side may send and the other does not know."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from roster.contract.draft4 import followed
from roster.contract.scopes import declared

_LOWEST = ("minimum", "minLength", "minItems", "minProperties")
_HIGHEST = ("maximum", "maxLength", "maxItems", "maxProperties")
_EXCLUSIVE = ("exclusiveMinimum", "exclusiveMaximum", "uniqueItems")
_ALTERNATIVES = ("oneOf", "anyOf")


@dataclass(frozen=True)
class Sides:
    """The two documents into which references lead, and the pairs that are being compared."""

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    pending: set[tuple[int, int, str]] = field(default_factory=set)


def schema_changes(
    sides: Sides, old: Any, new: Any, direction: str, place: str = ""
) -> Iterator[str]:
    """Yield what breaks clients that `send` values of a schema, or `read` them.

    What clients send has to fit the new schema as it fitted the old one. What they read has to be
    as they know it; longer texts and more members do not harm them, and neither do new scopes.
    """
    key = id(old), id(new), direction
    if key in sides.pending:
        return
    sides.pending.add(key)
    try:
        before, after = _flat(sides.old, old), _flat(sides.new, new)
        yield from _Pair(sides, before, after, direction, place).changes()
    finally:
        sides.pending.discard(key)


def _flat(document: Mapping[str, Any], schema: Any) -> dict[str, Any]:
    """Follow the references of a schema, and put its `allOf` into one."""
    found = dict(followed(document, schema))
    for each in found.pop("allOf", ()):
        part = _flat(document, each)
        required = [*found.get("required", ()), *part.get("required", ())]
        members = {**part.get("properties", {}), **found.get("properties", {})}
        found = {**part, **found}
        if required:
            found["required"] = required
        if members:
            found["properties"] = members
    return found


@dataclass(frozen=True)
class _Pair:
    """A schema before and after, in one direction."""

    sides: Sides
    old: dict[str, Any]
    new: dict[str, Any]
    direction: str
    place: str

    def changes(self) -> Iterator[str]:
        """Yield what breaks, each with its place in the value."""
        if any(key in schema for schema in (self.old, self.new) for key in _ALTERNATIVES):
            yield from self._of_alternatives()
            return
        at = f"{self.place or 'the value'} "
        yield from (at + what for what in self._of_values())
        if self._is_sent:
            yield from (at + what for what in self._of_bounds())
        yield from self._of_members()
        if "items" in self.old and "items" in self.new:
            yield from self._within(self.old["items"], self.new["items"], f"{self.place}/*")

    @property
    def _is_sent(self) -> bool:
        return self.direction == "send"

    @property
    def _flow(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The schema of the side that sends, and of the side that has to understand it."""
        return (self.old, self.new) if self._is_sent else (self.new, self.old)

    def _within(self, old: Any, new: Any, place: str) -> Iterator[str]:
        return schema_changes(self.sides, old, new, self.direction, place)

    def _of_values(self) -> Iterator[str]:
        sent, known = self._flow
        if "type" in known and not _is_type(sent.get("type"), known["type"]):
            yield f"is {_a(self.new.get('type'))} now, and was {_a(self.old.get('type'))}"
        if sent.get("nullable") and not known.get("nullable") and "type" in known:
            yield "may be null no longer" if self._is_sent else "may be null now"
        if "enum" in known:
            more = [each for each in sent.get("enum", ["any value"]) if each not in known["enum"]]
            listed = ", ".join(map(str, more))
            if more and not self._are_scopes(more, known["enum"]):
                yield f"may be {listed} no longer" if self._is_sent else f"may be {listed} now"
        if "format" in known and sent.get("format") != known["format"]:
            before, after = (each.get("format", "none") for each in (self.old, self.new))
            yield f"has the format {after} now, and had {before}"

    def _are_scopes(self, more: list[Any], known: list[Any]) -> bool:
        """Tell whether answers name new scopes: a client has one only where it was given it."""
        if self._is_sent or not all(isinstance(each, str) for each in (*more, *known)):
            return False
        before, after = declared(self.sides.old), declared(self.sides.new)
        return before.keys() >= {*known} and after.keys() >= {*more}

    def _of_bounds(self) -> Iterator[str]:
        old, new = self.old, self.new
        for key in _LOWEST:
            if key in new and new[key] > old.get(key, 0 if key != "minimum" else float("-inf")):
                yield f"has the {key} {new[key]} now, and had {old.get(key, 'none')}"
        for key in _HIGHEST:
            if key in new and new[key] < old.get(key, float("inf")):
                yield f"has the {key} {new[key]} now, and had {old.get(key, 'none')}"
        for key in ("pattern", "multipleOf"):
            if key in new and old.get(key) != new[key]:
                yield f"has another {key} now"
        for key in _EXCLUSIVE:
            if new.get(key) and not old.get(key):
                yield f"has {key} now"
        if "default" in old and "default" in new and old["default"] != new["default"]:
            yield "has another default now"

    def _of_members(self) -> Iterator[str]:
        sent, known = self._flow
        hidden = "readOnly" if self._is_sent else "writeOnly"
        old, new = (
            {
                name: each
                for name, each in schema.get("properties", {}).items()
                if not followed(document, each).get(hidden)
            }
            for document, schema in ((self.sides.old, self.old), (self.sides.new, self.new))
        )
        both = old.keys() | new.keys()
        for name in known.get("required", ()):
            if name in both and name not in sent.get("required", ()):
                what = "is required now" if self._is_sent else "may be missing now"
                # What is gone altogether is told below.
                if name in new:
                    yield f"{self.place}/{name} {what}"
        for name, schema in old.items():
            if name not in new:
                yield f"{self.place}/{name} is gone"
            else:
                yield from self._within(schema, new[name], f"{self.place}/{name}")
        others = [each.get("additionalProperties", True) for each in (self.old, self.new)]
        if self._is_sent and others[0] is not False and others[1] is False:
            yield f"{self.place or 'the value'} may have no other members now"
        if all(isinstance(each, dict) for each in others):
            yield from self._within(others[0], others[1], f"{self.place}/*")

    def _of_alternatives(self) -> Iterator[str]:
        """Yield what breaks where one of several schemas has to fit."""
        old, new = _alternatives(self.old), _alternatives(self.new)
        for number, sent in enumerate(old if self._is_sent else new, 1):
            results = []
            for known in new if self._is_sent else old:
                pair = (sent, known) if self._is_sent else (known, sent)
                results.append([*self._within(pair[0], pair[1], self.place)])
            if all(results):
                fewest = min(results, key=len)
                which = f"{self.place or 'the value'}, alternative {number}: "
                yield from (which + what for what in fewest)


def _alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    for key in _ALTERNATIVES:
        if key in schema:
            rest = {name: value for name, value in schema.items() if name != key}
            rest.pop("description", None)
            return [{"allOf": [each, rest]} if rest else each for each in schema[key]]
    return [schema]


def _is_type(sent: str | None, known: str) -> bool:
    return sent == known or (sent, known) == ("integer", "number")


def _a(type_: str | None) -> str:
    return "of any type" if type_ is None else f"of the type {type_}"

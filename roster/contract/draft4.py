"""Draft 4: turns OpenAPI 3.0's schemas into the JSON Schema that validators know."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, cast
from urllib.parse import unquote

from roster.contract.errors import DefinitionError

# Keywords of OpenAPI that no JSON Schema has, and words for readers.
_DROPPED = {
    *("nullable", "discriminator", "readOnly", "writeOnly", "xml", "externalDocs", "deprecated"),
    *("example", "description", "title", "default", "components"),
}
_LISTS = ("allOf", "anyOf", "oneOf")
# What a format of numbers allows; a validator looks at formats of strings alone.
_BOUNDS = {
    ("integer", "int32"): (-(2**31), 2**31 - 1),
    ("integer", "int64"): (-(2**63), 2**63 - 1),
    ("number", "float"): (-3.4028234663852886e38, 3.4028234663852886e38),
}
# A component with more schemas in it than this is referred to, and not put into each place.
_MAX_SIZE = 500

# Names the member that tells which alternative a value must fit: the first part of each says so.
CHOSEN_BY = "x-chosen-by"

_CHOICES = ("oneOf", "anyOf")
# What no value is: the schema of a member that must not be sent.
NOTHING: dict[str, Any] = {"not": {}}


class Draft4:
    """Convert the schemas of one document, with what they refer to.

    What is referred to is put into its place. A component that holds itself, or is very large,
    stays a reference, to an entry of `definitions`.

    :param document: where `#/…` leads.
    :param refused: `readOnly` for what clients send, `writeOnly` for what they get: members so
        marked are refused, and never required.
    """

    def __init__(self, document: Mapping[str, Any] | None = None, refused: str = "") -> None:
        self.document = document or {}
        self._refused = refused
        self._made: dict[str, dict[str, Any]] = {}
        self._kept: dict[str, str] = {}
        self._sizes: dict[str, float] = {}
        self._definitions: dict[str, dict[str, Any]] = {}

    def __call__(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Convert a schema; it is complete in itself.

        :raises DefinitionError: where a reference leads to nothing, or where a discriminator would
            have no effect.
        """
        self._check_discriminators(schema)
        made = self._convert(schema)
        needed: dict[str, Any] = {}
        waiting = list(_references(made))
        while waiting:
            name = waiting.pop().removeprefix("#/definitions/")
            if name not in needed:
                needed[name] = self._definitions[name]
                waiting += _references(needed[name])
        return {**made, "definitions": needed} if needed else made

    def _convert(
        self, schema: dict[str, Any], hidden: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """Convert a schema, in which the members that are `hidden` are not required."""
        if "$ref" in schema:
            return self._referred(str(schema["$ref"]), hidden)
        if self._refused:
            hidden = hidden | self._refused_in(schema)
        made = {key: value for key, value in schema.items() if key not in _DROPPED}
        for key in _LISTS:
            if key in schema:
                inner = hidden if key == "allOf" else frozenset[str]()
                made[key] = [self._convert(each, inner) for each in schema[key]]
        if "properties" in schema:
            made["properties"] = {
                name: NOTHING if self._is_refused(each) else self._convert(each)
                for name, each in schema["properties"].items()
            }
        for key in ("items", "not", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                made[key] = self._convert(schema[key])
        if hidden and "required" in schema:
            made["required"] = [name for name in schema["required"] if name not in hidden]
            if not made["required"]:
                del made["required"]
        self._bound(made)
        self._discriminate(schema, made)
        return _with_null(made) if schema.get("nullable") is True else made

    def _referred(self, reference: str, hidden: frozenset[str]) -> dict[str, Any]:
        if self._size(reference, ()) > _MAX_SIZE:
            if reference not in self._kept:
                name = str(len(self._kept))
                self._kept[reference] = f"#/definitions/{name}"
                self._definitions[name] = self._convert(self.target(reference))
            return {"$ref": self._kept[reference]}
        if hidden:
            return self._convert(self.target(reference), hidden)
        if reference not in self._made:
            self._made[reference] = self._convert(self.target(reference))
        return self._made[reference]

    def target(self, reference: str) -> dict[str, Any]:
        """Return what a reference leads to.

        :raises DefinitionError: where that is nothing.
        """
        return cast(dict[str, Any], target(self.document, reference))

    def _size(self, reference: str, above: tuple[str, ...]) -> float:
        """Count the schemas in what a reference leads to; without end where that holds itself."""
        if reference in above:
            return float("inf")
        if reference not in self._sizes:
            pointed = self.target(reference)
            inner = _references(pointed)
            size = 1.0 + _count(pointed)
            for each in inner:
                size += self._size(each, (*above, reference))
                if size > _MAX_SIZE:
                    break
            self._sizes[reference] = size
        return self._sizes[reference]

    def _refused_in(self, schema: dict[str, Any]) -> frozenset[str]:
        """Return the members that a schema, or a part that always holds, marks as refused."""
        while "$ref" in schema:
            if self._size(schema["$ref"], ()) > _MAX_SIZE:
                return frozenset()
            schema = self.target(schema["$ref"])
        own = {n for n, each in schema.get("properties", {}).items() if self._is_refused(each)}
        return frozenset(own).union(*map(self._refused_in, schema.get("allOf", ())))

    def _is_refused(self, schema: dict[str, Any]) -> bool:
        if not self._refused:
            return False
        for _ in range(_MAX_SIZE):
            if "$ref" not in schema:
                break
            schema = self.target(schema["$ref"])
        return schema.get(self._refused) is True

    def _discriminate(self, schema: dict[str, Any], made: dict[str, Any]) -> None:
        """Have the alternative that a discriminator names be the one that a value must fit.

        It applies where all alternatives are references; elsewhere OpenAPI gives it no meaning.
        """
        stated = schema.get("discriminator")
        key = next((key for key in _CHOICES if key in schema), None)
        if not stated or key is None or not all("$ref" in each for each in schema[key]):
            return
        member, mapping = stated["propertyName"], stated.get("mapping", {})
        choices = []
        for each, fitting in zip(schema[key], made.pop(key), strict=True):
            names = [_name(each["$ref"])]
            names += [word for word, to in mapping.items() if _name(to) == names[0]]
            chosen = {"properties": {member: {"enum": names}}, "required": [member]}
            choices.append({"allOf": [{"type": "object", **chosen}, fitting]})
        made["anyOf"] = choices
        made[CHOSEN_BY] = member

    def _check_discriminators(self, schema: dict[str, Any]) -> None:
        """Refuse a discriminator without alternatives: which schemas it means is said nowhere.

        A schema that others hold in their `allOf` may have one, for these are then the alternatives
        of a `oneOf` elsewhere.
        """
        seen = set()
        waiting = [(schema, False)]
        while waiting:
            each, is_part = waiting.pop()
            if "$ref" in each:
                step = (str(each["$ref"]), is_part)
                if step not in seen:
                    seen.add(step)
                    waiting.append((self.target(step[0]), is_part))
                continue
            if "discriminator" in each and not is_part and each.keys().isdisjoint(_CHOICES):
                raise DefinitionError(
                    "a discriminator works beside oneOf or anyOf, which list the alternatives"
                )
            waiting += [(part, True) for part in each.get("allOf", ())]
            waiting += [(form, False) for key in _CHOICES for form in each.get(key, ())]
            waiting += [(inner, False) for inner in each.get("properties", {}).values()]
            waiting += [
                (each[key], False)
                for key in ("items", "not", "additionalProperties")
                if isinstance(each.get(key), dict)
            ]

    def _bound(self, made: dict[str, Any]) -> None:
        bounds = _BOUNDS.get((str(made.get("type")), str(made.get("format"))))
        if bounds and made.get("minimum", bounds[0]) <= bounds[0]:
            made.update(minimum=bounds[0])
            made.pop("exclusiveMinimum", None)
        if bounds and made.get("maximum", bounds[1]) >= bounds[1]:
            made.update(maximum=bounds[1])
            made.pop("exclusiveMaximum", None)


def target(document: Mapping[str, Any], reference: str) -> Any:
    """Return what a reference into a document leads to.

    :raises DefinitionError: where that is nothing.
    """
    found: Any = document
    try:
        if not reference.startswith("#/"):
            raise KeyError(reference)
        for step in reference.removeprefix("#/").split("/"):
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            found = found[int(key)] if isinstance(found, list) else found[key]
    except (KeyError, TypeError, ValueError, IndexError):
        raise DefinitionError(f"The reference {reference} leads to nothing.") from None
    return found


def followed(document: Mapping[str, Any], node: Any) -> Any:
    """Return an object of a document, or what it refers to.

    :raises DefinitionError: where that is nothing, or only itself.
    """
    seen: set[str] = set()
    while isinstance(node, dict) and "$ref" in node:
        if node["$ref"] in seen:
            raise DefinitionError(f"The reference {node['$ref']} leads to itself.")
        seen.add(node["$ref"])
        node = target(document, node["$ref"])
    return node


def _with_null(made: dict[str, Any]) -> dict[str, Any]:
    """Add null to what a schema allows.

    OpenAPI 3.0.3 has `nullable` mean nothing without a `type`, and nothing to an `enum`. Whoever
    wrote it meant null to be allowed, and so it is here.
    """
    if isinstance(made.get("type"), str) and not made.keys() & {"enum", "not", *_LISTS}:
        return {**made, "type": [made["type"], "null"]}
    return {"anyOf": [{"enum": [None]}, made]}


def _name(reference: str) -> str:
    return unquote(reference.rsplit("/", 1)[-1]).removesuffix(".yaml").removesuffix(".json")


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the schemas that lie directly in a schema."""
    lists = (schema.get(key, ()) for key in _LISTS)
    named = (each.values() for key in ("properties", "definitions") if (each := schema.get(key)))
    single = (schema.get(key) for key in ("items", "not", "additionalProperties"))
    for part in chain(*lists, *named, single):
        if isinstance(part, dict):
            yield part


def _references(schema: dict[str, Any]) -> list[str]:
    """Return where a schema refers to, itself or with what lies in it."""
    if "$ref" in schema:
        return [str(schema["$ref"])]
    return [reference for part in _parts(schema) for reference in _references(part)]


def _count(schema: dict[str, Any]) -> int:
    return sum(1 + _count(part) for part in _parts(schema)) if "$ref" not in schema else 0

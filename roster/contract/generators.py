"""Generators: what a valid document must not have, for generators of clients to write good code."""

from collections.abc import Callable, Iterator
from typing import Any

from roster.contract.draft4 import followed
from roster.contract.kinds import each_schema
from roster.contract.operation import each_operation
from roster.contract.published import VARNAMES, is_identifier
from roster.contract.structure import Mistake

_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}
_MADE_OF = {"properties", "allOf", "oneOf", "anyOf"}
_SCALARS = {"string", "integer", "number", "boolean"}

Document = dict[str, Any]
Steps = tuple[str, ...]


def mistakes(document: Document) -> Iterator[Mistake]:
    """Yield what in a published document would make some generator's client wrong or ugly.

    Each rule tells beside it which generators it is for.
    """
    for path, method, operation in each_operation(document):
        steps: Steps = ("paths", path, method)
        for operation_rule in _OPERATION_RULES:
            yield from ((each, steps) for each in operation_rule(document, path, operation))
    for place, schema in each_schema(document):
        for schema_rule in _SCHEMA_RULES:
            yield from ((each, place) for each in schema_rule(document, schema))
    yield from _new_beside(document)
    yield from _in_requests(document)
    yield from _in_answers(document)


def _one_media_type(document: Document, _: str, operation: Document) -> Iterator[str]:
    """Demand one media type: of two openapi-python-client sends both, or its code fails."""
    content = _body(document, operation).get("content", {})
    if "requestBody" in operation and len(content) != 1:
        yield (
            "requestBody: a body has one published media type; mark the others x-unpublished: true"
        )


def _no_field_in_the_query(document: Document, path: str, operation: Document) -> Iterator[str]:
    """Demand other names in query and form: openapi-generator calls the field of two `name2`."""
    given = [*document["paths"][path].get("parameters", ()), *operation.get("parameters", ())]
    names = {each["name"] for each in (followed(document, each) for each in given)}
    for media_type, content in _body(document, operation).get("content", {}).items():
        fields = followed(document, content.get("schema", {})).get("properties", {})
        for name in sorted(names & fields.keys()) if media_type in _FORMS else ():
            yield f"requestBody: the field {name} has the name of a parameter"


def _no_open_object(_: Document, schema: Document) -> Iterator[str]:
    """Refuse what says nothing: openapi-generator reports an error for each form that has it."""
    if schema.get("additionalProperties") is True:
        yield "additionalProperties: true is what holds without it; leave it out"


def _no_choice_by_a_boolean(document: Document, schema: Document) -> Iterator[str]:
    """Refuse to choose by a boolean: Python and Java ignore its enum, find two forms and raise."""
    for key in ("oneOf", "anyOf"):
        for each in schema.get(key, ()):
            members = followed(document, each).get("properties", {})
            for name, member in members.items():
                stated = followed(document, member)
                if stated.get("type") == "boolean" and "enum" in stated:
                    yield f"{key}: forms are told apart by {name}, which is a boolean"


def _named_choices(_: Document, schema: Document) -> Iterator[str]:
    """Demand `oneOf`, as Rust mixes the forms of `anyOf`, and names instead of Inner1."""
    if "anyOf" in schema:
        yield "anyOf: Rust and TypeScript mix its forms into one; use oneOf"
    for each in schema.get("oneOf", ()):
        if "$ref" not in each and each.get("type") == "object":
            yield "oneOf: each form that is an object must be a component, whose name it has"


def _named_values(_: Document, schema: Document) -> Iterator[str]:
    """Demand names for values: generators call them VALUE_0 otherwise, or spell their signs out."""
    values = [each for each in schema.get("enum", ()) if isinstance(each, str)]
    names = schema.get(VARNAMES, [])
    if not all(map(is_identifier, values)) and not names:
        yield f"enum: no names can be made of its values; give them in {VARNAMES}"
    if names and (len(names) != len(schema.get("enum", ())) or len({*names}) < len(names)):
        yield f"{VARNAMES}: there must be one name for each value, and no two the same"


def _new_beside(document: Document) -> Iterator[Mistake]:
    """Refuse `NewX` beside `X`: Go calls the constructor of X so, and does not compile."""
    schemas = document.get("components", {}).get("schemas", {})
    for name in schemas:
        if name.startswith("New") and name.removeprefix("New") in schemas:
            other = name.removeprefix("New")
            sentence = f"the name {name} stands for the constructor of {other} in Go"
            yield f"{sentence}; call it {other}Create", ("components", "schemas", name)


def _in_requests(document: Document) -> Iterator[Mistake]:
    """Yield what is wrong with the schemas of bodies, where no answer has the same.

    Of a default, openapi-typescript makes a member that is always to be sent. What has no length
    is refused by the rules of OWASP, and an array's object without a component has no good name.
    """
    for path, method, operation in each_operation(document):
        body = _body(document, operation)
        for content in body.get("content", {}).values():
            for schema in _below(document, content.get("schema", {})):
                for sentence in _of_request(schema):
                    yield f"requestBody: {sentence}", ("paths", path, method)


def _of_request(schema: Document) -> Iterator[str]:
    if "default" in schema:
        yield "a default is told in the description, and not as default"
    if schema.get("type") == "string" and not schema.keys() & {"maxLength", "enum"}:
        yield "a string has no maxLength"
    items = schema.get("items", {"$ref": ""})
    if "$ref" not in items and items.get("type") not in _SCALARS:
        yield "the items of an array must be a component, whose name they have"


def _in_answers(document: Document) -> Iterator[Mistake]:
    """Demand a name, of a component or a title: else an object is called InlineObject."""
    for path, method, operation in each_operation(document):
        for status, stated in operation.get("responses", {}).items():
            answer = followed(document, stated)
            for content in answer.get("content", {}).values():
                schema = content.get("schema", {})
                inner = schema.get("items", {}) if schema.get("type") == "array" else schema
                is_object = inner.get("type") == "object" or inner.keys() & _MADE_OF
                if is_object and "title" not in inner:
                    sentence = "an object in an answer must be a component, or have a title"
                    yield f"responses/{status}: {sentence}", ("paths", path, method)


_OPERATION_RULES: tuple[Callable[[Document, str, Document], Iterator[str]], ...] = (
    _one_media_type,
    _no_field_in_the_query,
)
_SCHEMA_RULES: tuple[Callable[[Document, Document], Iterator[str]], ...] = (
    _no_open_object,
    _no_choice_by_a_boolean,
    _named_choices,
    _named_values,
)


def _body(document: Document, operation: Document) -> Document:
    found: Document = followed(document, operation.get("requestBody", {}))
    return found


def _below(document: Document, schema: Document) -> list[Document]:
    """Return a schema with those in it, references followed, each of them once."""
    found: dict[int, Document] = {}
    waiting = [schema]
    while waiting:
        each = followed(document, waiting.pop())
        if id(each) not in found:
            found[id(each)] = each
            inner = {"schema": each}
            waiting += [node for _, node in each_schema(inner, "media type") if node is not each]
    return [*found.values()]

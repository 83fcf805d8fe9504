"""Parameters: what an operation takes besides a body, compiled when the server starts."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roster.contract.draft4 import Draft4, followed
from roster.contract.errors import DefinitionError
from roster.contract.fields import Field, Fields, field, json_field, json_text
from roster.contract.operation import Operation
from roster.contract.schemas import Schema
from roster.contract.styles import CONTAINERS, STYLES, UnreadableError, check_style, one_text
from roster.contract.texts import Read, kinds
from roster.http.json_bodies import is_json

# OpenAPI 3.0.3, Parameter Object: these are said by other parts of the definition.
_IGNORED_HEADERS = {"accept", "content-type", "authorization"}


@dataclass(frozen=True)
class Parameter:
    """A parameter in the path, a header or a cookie; `read` makes its value of one text.

    `argument` is the name under which a handler asks for it, `is_plain` whether its text is written
    without any sign of a style, `form` the style, and whether it explodes where that matters.
    """

    name: str
    argument: str
    schema: Schema
    read: Read
    is_required: bool
    default: Any
    is_plain: bool = True
    form: tuple[str, bool] = ("simple", False)


@dataclass(frozen=True)
class Parameters:
    """The parameters of one operation, by the place where they are sent."""

    path: dict[str, Parameter]
    query: Fields
    header: list[Parameter]
    cookie: list[Parameter]
    arguments: dict[str, tuple[str, str]]


def compile_parameters(
    document: Mapping[str, Any], operation: Operation, draft4: Draft4
) -> Parameters:
    """Compile the parameters of an operation.

    :raises DefinitionError: for what is not supported.
    """
    query: list[Field] = []
    found: dict[str, list[Parameter]] = {"path": [], "header": [], "cookie": []}
    arguments: dict[str, tuple[str, str]] = {}
    for given in operation.declared_parameters:
        declared = followed(document, given)
        name, place = declared["name"], declared["in"]
        if place == "header" and name.lower() in _IGNORED_HEADERS:
            continue
        try:
            made = _parameter(declared, draft4)
        except DefinitionError as error:
            sentence = error.sentence[0].lower() + error.sentence[1:]
            raise DefinitionError(f"{place} parameter {name}: {sentence}") from None
        if isinstance(made, Field):
            query.append(made)
        else:
            found[place].append(made)
        argument = argument_name(name, place)
        if argument in arguments:
            raise DefinitionError(f"two parameters would reach the handler as {argument}")
        arguments[argument] = (place, name)
    path = {each.name: each for each in found["path"]}
    return Parameters(path, Fields(query), found["header"], found["cookie"], arguments)


def argument_name(name: str, place: str) -> str:
    """Return the name under which a handler asks for a parameter.

    Those of headers and cookies are in snake_case, and so are all that Python could not have as
    names; a word of Python's has an underscore behind it.
    """
    if place in {"header", "cookie"} or not name.isidentifier():
        name = re.sub(r"\W+", "_", name).strip("_").lower() or "_"
        name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) else name


def _parameter(declared: Mapping[str, Any], draft4: Draft4) -> Parameter | Field:
    name, place = declared["name"], declared["in"]
    if place not in STYLES:
        raise DefinitionError(f"there is no place {place} for a parameter")
    required = declared.get("required", False)
    if place == "path" and not required:
        raise DefinitionError("a parameter in the path must be required: true")
    if declared.get("allowReserved"):
        raise DefinitionError("allowReserved leaves open where a value ends; it is not supported")
    if "content" in declared:
        return _json_parameter(declared, draft4)
    if "schema" not in declared:
        raise DefinitionError("it has neither a schema nor a content")
    stated = declared["schema"]
    schema = Schema(stated, draft4)
    if "definitions" in schema.converted:
        raise DefinitionError("its schema holds itself, or is too large for a parameter")
    style = declared.get("style", STYLES[place][0])
    explode = declared.get("explode", style == "form")
    allowed = kinds(schema.converted) or frozenset({"string"})
    check_style(place, style, allowed, explode=explode)
    default = followed(draft4.document, stated).get("default")
    if default is not None and schema.errors(default):
        raise DefinitionError("its default is not as its schema has it")
    if place == "query":
        return field(
            name,
            schema,
            style,
            explode=explode,
            is_required=required,
            takes_empty=declared.get("allowEmptyValue", False),
            default=default,
        )
    read = one_text(schema, style, explode=explode)
    if place == "path":
        read = _in_path(read, name, style, explode=explode)
    return Parameter(
        name,
        argument_name(name, place),
        schema,
        read,
        required,
        default,
        is_plain=style == STYLES[place][0],
        form=(style, explode and bool(allowed & CONTAINERS)),
    )


def _json_parameter(declared: Mapping[str, Any], draft4: Draft4) -> Parameter | Field:
    """Compile a parameter whose text is a JSON document."""
    name, place = declared["name"], declared["in"]
    [(media_type, content)] = declared["content"].items()
    if not is_json(media_type):
        raise DefinitionError(f"a parameter may be written as JSON, and not as {media_type}")
    if place == "path":
        raise DefinitionError("a parameter in the path needs a schema, not a content")
    schema = Schema(content.get("schema", {}), draft4)
    required = declared.get("required", False)
    if place == "query":
        return json_field(name, schema, is_required=required)
    return Parameter(name, argument_name(name, place), schema, json_text, required, None)


def _in_path(read: Read, name: str, style: str, *, explode: bool) -> Read:
    """Read a value in a path, in front of which some styles put signs of their own."""
    if style == "simple":
        return read
    start = "." if style == "label" else f";{name}="
    separator = re.compile(f";{re.escape(name)}=")

    def read_marked(text: str) -> Any:
        if style == "matrix" and explode and text[:1] == ";" and not text.startswith(start):
            return read(text[1:].replace(";", ","))  # the members of an object
        if text == f";{name}" and style == "matrix":
            text += "="  # so it stands where the value is empty
        if not text.startswith(start):
            raise UnreadableError
        text = text.removeprefix(start)
        return read(separator.sub(",", text) if style == "matrix" and explode else text)

    return read_marked

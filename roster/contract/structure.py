"""The structure: whether a document has the objects and members that OpenAPI 3.0 has."""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs

from roster.contract.errors import nearest

MAX_LENGTH = 200
_REFERENCE = {"$ref": "#/definitions/Reference"}

# What is wrong, and the steps of the JSON Pointer to its place.
Mistake = tuple[str, tuple[str, ...]]


def mistakes(document: dict[str, Any]) -> Iterator[Mistake]:
    """Yield what in a document is not OpenAPI 3.0; nothing for one that is valid."""
    version = document.get("openapi", document.get("swagger"))
    if not re.fullmatch(r"3\.0\.\d+", str(version)):
        said = f"not {version}" if isinstance(version, str) else "and its document says so"
        yield f"openapi: this server reads OpenAPI 3.0, {said}"[:MAX_LENGTH], ()
        return
    schema = _schema()
    if jsonschema_rs.Draft4Validator(schema).is_valid(document):
        return
    # It takes a hundred times as long, and tells more.
    jsonschema: Any = import_module("jsonschema")
    for error in jsonschema.Draft4Validator(schema).iter_errors(document):
        closest = _closest(error)
        steps = tuple(map(str, closest.absolute_path))
        for sentence in _sentences(closest):
            yield sentence[:MAX_LENGTH], steps


@cache
def _schema() -> dict[str, Any]:
    # That of connexion, which would refuse the document later; to import it takes too long here.
    found = find_spec("connexion")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("connexion")
    text = Path(found.origin).with_name("resources") / "schemas/v3.0/schema.json"
    schema: dict[str, Any] = json.loads(text.read_text(encoding="utf-8"))
    return schema


def _closest(error: Any) -> Any:
    """Return the error, of those in the alternatives of one, that is nearest to what was meant."""
    while error.context:
        meant = [each for each in error.context if not _is_of_reference(each, error)]
        # What must not be there tells that an alternative was meant, and not what is missing.
        error = max(
            meant or error.context,
            key=lambda each: (len(each.absolute_path), each.validator == "not"),
        )
    return error


def _is_of_reference(error: Any, parent: Any) -> bool:
    alternatives = parent.validator_value
    return isinstance(alternatives, list) and alternatives[error.schema_path[0]] == _REFERENCE


def _sentences(error: Any) -> Iterator[str]:
    if error.validator == "enum":
        known = [str(each) for each in error.validator_value]
        hint = nearest(str(error.instance), known)
        yield f"{error.instance!r} must be one of {', '.join(known)}{hint}"
        return
    if error.validator == "not" and "required" in error.validator_value:
        yield _excluded(error.validator_value["required"], error.instance)
        return
    if error.validator != "additionalProperties":
        yield str(error.message)
        return
    known = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    for name in error.instance:
        if name not in known and not any(re.search(pattern, name) for pattern in patterns):
            yield f"OpenAPI 3.0 knows no {name} here{nearest(name, known)}"


def _excluded(names: list[str], instance: dict[str, Any]) -> str:
    if len(names) > 1:
        return f"{' and '.join(names)} exclude each other; write one of them"
    beside = " beside content" if "content" in instance else ""
    return f"OpenAPI 3.0 knows no {names[0]} here{beside}"

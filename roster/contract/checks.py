"""Checks: what is wrong with a valid document, as far as it tells by itself."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from roster.contract import kinds
from roster.contract.errors import nearest
from roster.contract.operation import METHODS, function_name
from roster.contract.references import dereference
from roster.contract.structure import Mistake
from roster.contract.support import base_path

_CONTROLLER = "x-openapi-router-controller"
# The name of the one scheme of the type `http` that this server checks.
_METRICS = "metrics"
_WELL_KNOWN = "/.well-known/"


def mistakes(document: dict[str, Any]) -> Iterator[Mistake]:
    """Yield what contradicts itself in a document, or leads to nothing in it."""
    resolved = dereference(document)
    yield from ((sentence, ("servers", "0")) for sentence in _of_server(resolved))
    ids: dict[str, str] = {}
    functions: dict[tuple[str, str], str] = {}
    paths = {key: item for key, item in resolved["paths"].items() if not key.startswith("x-")}
    found = [
        (("paths", path, method), item[method], item)
        for path, item in paths.items()
        for method in kinds.METHODS
        if method in item
    ]
    for steps, operation, item in found:
        if steps[2] not in METHODS:
            yield f"this server answers {steps[2].upper()} by itself, if at all", steps
        yield from ((sentence, steps) for sentence in _of_operation(operation))
        yield from ((sentence, steps) for sentence in _of_path(steps[1], operation, item))
        yield from ((sentence, steps) for sentence in _of_security(operation, resolved))
        name, place = operation.get("operationId"), f"{steps[2].upper()} {steps[1]}"
        function = str(operation.get(_CONTROLLER)), function_name(name or "")
        if name in ids:
            yield f"the operationId {name} is that of {ids[name]} too", steps
        elif name and function in functions:
            yield f"the operationId {name} names the function of {functions[function]} too", steps
        elif name:
            ids[name] = functions[function] = place
    yield from _of_schemes([operation for _, operation, _ in found], resolved)
    for path, item in paths.items():
        yield from ((sentence, ("paths", path)) for sentence in _of_key(path))
        for where, holder in _with_parameters(path, item):
            yield from ((each, where) for each in _twice(holder.get("parameters", ())))
    for steps, operation, _ in found:
        yield from ((sentence, steps) for sentence in _of_links(operation, ids, resolved))


def _of_operation(operation: dict[str, Any]) -> Iterator[str]:
    if not operation.get("operationId"):
        yield "there is no operationId, the name of the function that carries it out"
    if not isinstance(operation.get(_CONTROLLER), str):
        yield f"there is no {_CONTROLLER}, the module with the operation's function"
    # A mistyped one is told by itself.
    if "x-permission" not in operation and not nearest("x-permission", operation, cutoff=0.8):
        yield "there is no x-permission, which says who may call the operation"


def _of_path(path: str, operation: dict[str, Any], item: dict[str, Any]) -> Iterator[str]:
    """Compare the names in a path's braces with the parameters that are declared."""
    both = [*item.get("parameters", []), *operation.get("parameters", [])]
    declared = {each["name"] for each in both if each["in"] == "path"}
    named = set(re.findall(r"\{([^{}]*)\}", path))
    for name in sorted(named - declared):
        yield f"the path's {{{name}}} is not declared as a parameter{nearest(name, declared)}"
    for name in sorted(declared - named):
        yield f"the parameter {name} is not in the path{nearest(name, named)}"


def _of_key(path: str) -> Iterator[str]:
    """Refuse signs of a URL: the server compares a path with what it has decoded."""
    literal = re.sub(r"\{[^{}]*\}", "{}", path)
    for sign in sorted({*literal} & {"?", "#"}):
        yield f"a path holds no {sign}: no request could reach it"
    if re.search("%[0-9A-Fa-f]{2}", literal):
        yield f"a path is written without percent-encoding: {unquote(path)}"


def _with_parameters(
    path: str, item: dict[str, Any]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    yield ("paths", path), item
    for method in kinds.METHODS:
        if method in item:
            yield ("paths", path, method), item[method]


def _twice(parameters: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Refuse two parameters of one name and place in one list; which one counts is said nowhere."""
    # The name of a header has no letter case (OpenAPI 3.0.3, Parameter Object).
    names = Counter(
        (each["in"], each["name"].lower() if each["in"] == "header" else each["name"])
        for each in parameters
    )
    for (place, name), number in names.items():
        if number > 1:
            yield f"parameters: there are {number} {place} parameters {name}; one is allowed"


def _of_security(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    for requirement in operation.get("security", document.get("security", [])):
        for name in requirement:
            if name not in schemes:
                yield f"security: there is no scheme {name}{nearest(name, schemes)}"
        if len(requirement) > 1:
            yield f"security: {' and '.join(requirement)} cannot be required together"


def _of_schemes(found: list[dict[str, Any]], document: dict[str, Any]) -> Iterator[Mistake]:
    """Refuse security schemes that this server cannot check, where an operation requires them."""
    required = {
        name
        for operation in found
        for requirement in operation.get("security", document.get("security", []))
        for name in requirement
    }
    for name, scheme in document.get("components", {}).get("securitySchemes", {}).items():
        is_bearer = scheme["type"] == "http" and str(scheme["scheme"]).lower() == "bearer"
        if name in required and scheme["type"] != "oauth2" and not (is_bearer and name == _METRICS):
            sentence = "this server cannot check it; it checks schemes of the type oauth2"
            told = f"{sentence}, and {_METRICS}, the operator's token"
            yield told, ("components", "securitySchemes", name)


def _of_server(document: dict[str, Any]) -> Iterator[str]:
    """Judge the first server, below whose path all paths are served."""
    servers = document.get("servers") or [{"url": "/"}]
    variables = servers[0].get("variables", {})
    missing = set(re.findall(r"\{([^{}]*)\}", servers[0]["url"])) - variables.keys()
    for name in sorted(missing):
        yield f"the URL's {{{name}}} is not declared as a variable{nearest(name, variables)}"
    at_root = next((path for path in document["paths"] if path.startswith(_WELL_KNOWN)), None)
    if not missing and at_root and base_path(document):
        yield (
            f"the URL must have no path, as {at_root} is at the root of its host (RFC 8615), and"
            " so is all that it names"
        )


def _of_links(
    operation: dict[str, Any], ids: dict[str, str], document: dict[str, Any]
) -> Iterator[str]:
    for status, response in operation["responses"].items():
        for name, link in response.get("links", {}).items():
            place = f"responses/{status}/links/{name}"
            target = link.get("operationId")
            if target is None and "operationRef" not in link:
                yield f"{place}: the link leads nowhere; it has no operationId"
            elif target is not None and target not in ids:
                yield f"{place}: there is no operation {target}{nearest(target, ids)}"
            elif target is None and not _is_there(link["operationRef"], document):
                yield f"{place}: there is no {link['operationRef']}"


def _is_there(reference: str, document: dict[str, Any]) -> bool:
    """Tell whether a link's operationRef leads to an operation; those elsewhere are believed."""
    if not reference.startswith("#"):
        return True
    parts = [part.replace("~1", "/").replace("~0", "~") for part in reference.split("/")]
    return len(parts) == 4 and parts[3] in document["paths"].get(parts[2], {})

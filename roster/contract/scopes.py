"""Scopes: declared in the security schemes alone, and filled in where the definition lists them.

`x-scopes` marks these places. In a schema it says what to fill in:

- `x-scopes: enum` makes the schema one of the scopes,
- `x-scopes: array` bounds an array of them,
- `x-scopes: {"scope.{scope}": {…}}` gives an object a property for each scope.

In an example, `{x-scopes: list}` stands for all scopes, and `{x-scopes: text}` for their names in
one text (RFC 6749 section 3.3).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from roster.contract.errors import nearest
from roster.contract.operation import each_operation
from roster.contract.structure import Mistake

_MARK = "x-scopes"
_FORMS = ("enum", "array", "list", "text")
_NAME = "{scope}"
# What requests and answers have room for, in the definition's own schemas.
MAX_TEXT = 1000
# RFC 6749 section 3.3.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")


def declared(document: Mapping[str, Any]) -> dict[str, str]:
    """Return every scope of the OAuth 2.0 security schemes with its description."""
    return {
        scope: text
        for scheme in _schemes(document).values()
        for flow in _flows(scheme).values()
        for scope, text in flow.items()
    }


def mistakes(document: dict[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong with the scopes: in the schemes, in operations, and where they go."""
    known: dict[str, set[str]] = {}
    for name, scheme in _schemes(document).items():
        flows = _flows(scheme)
        steps = ("components", "securitySchemes", name)
        known[name] = {scope for scopes in flows.values() for scope in scopes}
        if not flows:
            yield "the scheme has no flows, and so no scopes", steps
        yield from ((sentence, (*steps, "flows", *at)) for sentence, at in _of_flows(flows))
        if len(" ".join(known[name])) > MAX_TEXT:
            yield f"the scopes have more than {MAX_TEXT} characters together", steps
    yield from ((sentence, ()) for sentence in _unknown(document, known))
    for path, method, operation in each_operation(document):
        for sentence in _unknown(operation, known):
            yield sentence, ("paths", path, method)
    yield from _of_marks(document)


def filled_in(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the scopes at all places that are marked.

    What `mistakes` finds must be right by then.
    """
    scopes = declared(document)

    def fill(node: Any) -> Any:
        if isinstance(node, list):
            return [fill(each) for each in node]
        if not isinstance(node, dict):
            return node
        if node.keys() == {_MARK} and node[_MARK] in {"list", "text"}:
            names = sorted(scopes)
            return names if node[_MARK] == "list" else " ".join(names)
        made: dict[str, Any] = {}
        for key, value in node.items():
            made |= {key: fill(value)} if key != _MARK else _keywords(value, scopes)
        if isinstance(node.get(_MARK), dict):
            made["properties"] = {**made.get("properties", {}), **_properties(node[_MARK], scopes)}
        return made

    filled: dict[str, Any] = fill(document)
    return filled


def _keywords(form: Any, scopes: Mapping[str, str]) -> dict[str, Any]:
    if form == "enum":
        return {"enum": list(scopes)}
    if form == "array":
        return {"maxItems": len(scopes), "uniqueItems": True}
    return {}


def _properties(templates: Mapping[str, Any], scopes: Mapping[str, str]) -> dict[str, Any]:
    return {
        template.replace(_NAME, scope): _named(schema, scope)
        for scope in scopes
        for template, schema in templates.items()
    }


def _named(node: Any, scope: str) -> Any:
    """Put a scope's name into the texts of a template."""
    if isinstance(node, dict):
        return {key: _named(value, scope) for key, value in node.items()}
    if isinstance(node, list):
        return [_named(each, scope) for each in node]
    return node.replace(_NAME, scope) if isinstance(node, str) else node


def _schemes(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    schemes = document.get("components", {}).get("securitySchemes", {})
    return {name: each for name, each in schemes.items() if each.get("type") == "oauth2"}


def _flows(scheme: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    flows = scheme.get("flows") or {}
    return {name: flow.get("scopes") or {} for name, flow in flows.items()}


def _of_flows(flows: Mapping[str, Mapping[str, str]]) -> Iterator[Mistake]:
    """Compare each flow with the first: which flow a token comes from makes no difference."""
    if not flows:
        return
    (first, scopes), *others = flows.items()
    for scope in scopes:
        if not _SCOPE.fullmatch(str(scope)):
            reason = 'is no scope: it has a blank, " or \\, or is longer than 100 characters'
            yield f"{scope!a} {reason}", (first,)
    for name, found in others:
        for scope in (each for each in scopes if each not in found):
            hint = nearest(scope, found.keys() - scopes.keys())
            yield f"there is no scope {scope}, which the flow {first} has{hint}", (name,)
        for scope in (each for each in found if each not in scopes):
            if not nearest(scope, scopes.keys() - found.keys()):
                yield f"there is no scope {scope}, which the flow {name} has", (first,)
        for scope in scopes:
            if found.get(scope, scopes[scope]) != scopes[scope]:
                yield f"the flow {first} describes {scope} in other words", (name,)


def _unknown(node: Mapping[str, Any], known: Mapping[str, set[str]]) -> Iterator[str]:
    for requirement in node.get("security", ()):
        for scheme, scopes in requirement.items():
            for scope in scopes if scheme in known else ():
                if scope not in known[scheme]:
                    hint = nearest(scope, known[scheme])
                    yield f"security: {scheme} has no scope {scope}{hint}"


def _of_marks(document: dict[str, Any]) -> Iterator[Mistake]:
    unseen: list[tuple[Any, tuple[str, ...]]] = [(document, ())]
    while unseen:
        node, steps = unseen.pop()
        if isinstance(node, list):
            unseen += [(each, (*steps, str(index))) for index, each in enumerate(node)]
        if not isinstance(node, dict):
            continue
        form = node.get(_MARK, "enum")
        if isinstance(form, dict):
            if not all(_NAME in template for template in form):
                yield f"{_MARK}: the name of each property must hold {_NAME}", steps
        elif form not in _FORMS:
            hint = nearest(str(form), _FORMS)
            yield f"{_MARK}: must be one of {', '.join(_FORMS)}, or properties{hint}", steps
        unseen += [(each, (*steps, str(key))) for key, each in node.items() if key != _MARK]

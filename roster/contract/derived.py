"""Derived: what the definition says once, and each operation declares then."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from roster.contract.draft4 import followed
from roster.contract.errors import nearest
from roster.contract.operation import UNLIMITED, each_operation, form_of_errors
from roster.contract.references import is_reference, split
from roster.contract.structure import Mistake

RATE_LIMITS = "x-rate-limits"
_MEMBERS = ("headers", "refusals")
_REFUSED = "429"


def mistakes(document: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong with `x-rate-limits`."""
    stated = document.get(RATE_LIMITS, {name: {} for name in _MEMBERS})
    if not isinstance(stated, dict):
        yield f"{RATE_LIMITS} must be an object", ()
        return
    for name in stated.keys() - {*_MEMBERS}:
        yield f"{RATE_LIMITS} knows no {name}{nearest(name, _MEMBERS)}", ()
    if not all(isinstance(stated.get(name), dict) for name in _MEMBERS):
        yield f"{RATE_LIMITS} must have the objects {' and '.join(_MEMBERS)}", ()
        return
    for key, each in [pair for name in _MEMBERS for pair in stated[name].items()]:
        if "description" not in followed(document, each):
            yield f"{RATE_LIMITS}: {key} has no description", ()
    if RATE_LIMITS in document:
        yield from _without_refusal(document, stated["refusals"])


def _without_refusal(document: Mapping[str, Any], refusals: Mapping[str, Any]) -> Iterator[Mistake]:
    for path, method, operation in each_operation(document):
        form = _form(document, operation)
        if not operation.get(UNLIMITED) and form not in refusals:
            yield f"{RATE_LIMITS}: refusals have no answer of {form}", ("paths", path, method)


def with_rate_limits(document: dict[str, Any]) -> dict[str, Any]:
    """Declare the rate limits at each operation, as `x-rate-limits` says, in place.

    Each answer has the headers. What is refused is answered 429, in the form that the errors of
    the operation have; where that is declared for another reason, its description tells both.
    What nothing refers to then is gone.
    """
    stated = document.get(RATE_LIMITS)
    if stated is None:
        return document
    limited = []
    for _, _, operation in each_operation(document):
        if operation.get(UNLIMITED):
            _keep_own_answers(document, operation)
        else:
            limited.append(operation)
    changed: set[int] = set()
    for operation in limited:
        refusal = stated["refusals"][_form(document, operation)]
        responses = operation["responses"]
        if _REFUSED in responses:
            _tell_both(document, responses[_REFUSED], refusal, changed)
        else:
            responses[_REFUSED] = refusal
            operation["responses"] = dict(sorted(responses.items()))
        for each in operation["responses"].values():
            response = followed(document, each)
            response["headers"] = {**response.get("headers", {}), **stated["headers"]}
    _drop_unused(document, stated.pop("refusals"))
    return document


def _form(document: Mapping[str, Any], operation: Mapping[str, Any]) -> str:
    errors = [each for status, each in operation["responses"].items() if status >= "4"]
    return form_of_errors(operation, (followed(document, each) for each in errors))


def _keep_own_answers(document: Mapping[str, Any], operation: dict[str, Any]) -> None:
    """Give an operation its own copies of the answers that others refer to as well."""
    operation["responses"] = {
        status: deepcopy(followed(document, each)) if is_reference(each) else each
        for status, each in operation["responses"].items()
    }


def _drop_unused(document: dict[str, Any], refusals: Mapping[str, Any]) -> None:
    """Drop the answers to which no operation came to refer: each has declared its own."""
    used = {*_references(document)}
    for each in refusals.values():
        if is_reference(each) and each["$ref"] not in used:
            kind, name = split(each["$ref"])[1][1:]
            document["components"][kind].pop(name, None)


def _references(document: Any) -> Iterator[str]:
    unseen = [document]
    while unseen:
        node = unseen.pop()
        if is_reference(node):
            yield node["$ref"]
        if isinstance(node, dict | list):
            unseen.extend(node.values() if isinstance(node, dict) else node)


def _tell_both(document: Mapping[str, Any], declared: Any, refusal: Any, changed: set[int]) -> None:
    response, other = followed(document, declared), followed(document, refusal)
    if id(response) in changed or response is other:
        return
    changed.add(id(response))
    sentence = other["description"]
    said = response["description"].rstrip()
    response["description"] = f"{said} Or {sentence[:1].lower()}{sentence[1:]}"

"""Audit: what the definition's `x-audit` says of the event that an operation leaves."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from roster.contract.errors import nearest
from roster.contract.references import dereference
from roster.contract.structure import Mistake

NAME = "x-audit"
_METHODS = ("get", "put", "post", "delete", "patch")
_KEYS = ("action", "target", "tells", "none")
_ACTION = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+", re.ASCII)
_MAX_ACTION = 64
_TARGET = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True)
class Audited:
    """The event of an operation: its action, the kind of its target, and where that one's id is.

    The id is a parameter of the path, or else a member of the answer. Of the members of the body
    that are in `tells` the new value is told, and of every flag; of all others nothing but that
    they were changed.
    """

    action: str
    target: str
    in_path: str | None
    in_answer: str | None
    tells: frozenset[str]
    is_patch: bool

    @classmethod
    def of(
        cls, operation: Mapping[str, Any], parameters: list[dict[str, Any]], success: Any
    ) -> Self | None:
        """Read the `x-audit` of an operation without references; None where it leaves no event."""
        declared = operation.get(NAME)
        if not declared or "action" not in declared:
            return None
        target = declared["target"]
        own = f"{target}_id"
        named = any(each["in"] == "path" and each["name"] == own for each in parameters)
        content = operation.get("requestBody", {}).get("content", {})
        return cls(
            action=declared["action"],
            target=target,
            in_path=own if named else None,
            in_answer=None if named else next(iter(_ids(success, own)), None),
            tells=frozenset(declared.get("tells", ())),
            is_patch=_JSON_PATCH in content,
        )


def mistakes(document: dict[str, Any]) -> Iterator[Mistake]:
    """Yield each operation that writes without saying which event it leaves, or says it wrongly."""
    resolved = dereference(document)
    for path, item in resolved["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
                for sentence in _of_operation(method, operation, parameters):
                    yield sentence, ("paths", path, method)


def _of_operation(
    method: str, operation: dict[str, Any], parameters: list[dict[str, Any]]
) -> Iterator[str]:
    writes = method != "get" or operation.get("x-acts") is True
    if NAME not in operation:
        # A mistyped one is told by itself.
        if writes and not nearest(NAME, operation, cutoff=0.8):
            yield (
                f"there is no {NAME}, which names the event that the operation leaves in the audit"
                " trail, or says why it leaves none"
            )
        return
    if not writes:
        yield f"{NAME}: an operation that only reads leaves no event"
        return
    declared = operation[NAME]
    wrong = list(_of_form(declared))
    yield from wrong
    if wrong or "none" in declared:
        return
    audited = Audited.of(operation, parameters, _success(operation))
    if audited and not (audited.in_path or audited.in_answer):
        own = f"{declared['target']}_id"
        yield f"{NAME}: neither the path nor the answer has the {own} of the target"


def _of_form(declared: Any) -> Iterator[str]:
    if not isinstance(declared, dict):
        yield f"{NAME} must be an object, with an action and a target, or with none and the reason"
        return
    for key in declared.keys() - {*_KEYS}:
        yield f"{NAME} has no {key}{nearest(str(key), _KEYS)}"
    if "none" in declared:
        if not isinstance(declared["none"], str) or len(declared) > 1:
            yield f"{NAME}: none is the reason for no event, in words, and stands alone"
        return
    action, target = declared.get("action"), declared.get("target")
    if not isinstance(action, str) or not _ACTION.fullmatch(action) or len(action) > _MAX_ACTION:
        yield f"{NAME}: action must be two or more words with dots between, such as team.created"
    if not isinstance(target, str) or not _TARGET.fullmatch(target):
        yield f"{NAME}: target must be one word, the kind of what is changed, such as team"
    tells = declared.get("tells", [])
    if not isinstance(tells, list) or not all(isinstance(each, str) for each in tells):
        yield f"{NAME}: tells must be a list of members of the body"


def _success(operation: dict[str, Any]) -> Any:
    responses = operation.get("responses", {})
    return responses.get(min((str(each) for each in responses), default=""), {})


def _ids(success: Any, own: str) -> Iterator[str]:
    """Yield which members of the answer may be the target's id, its own name first."""
    for content in (success or {}).get("content", {}).values():
        members = content.get("schema", {}).get("properties", {})
        yield from (name for name in (own, "id") if name in members)

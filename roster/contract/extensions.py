"""Extensions: the `x-` names that this server understands, and what each may say."""

from collections.abc import Iterator
from typing import Any

from roster.contract.errors import nearest
from roster.contract.structure import Mistake

ENVIRONMENTS = ("development", "production")

# The names with the values that they may have; what another part of the server checks has none.
NAMES: dict[str, tuple[Any, ...] | None] = {
    "x-acts": (True, False),
    "x-audit": None,
    "x-captcha": None,
    "x-computes-hash": None,
    "x-enum-varnames": None,
    "x-environment": ENVIRONMENTS,
    "x-errors": ("oauth",),
    "x-immediate": (True, False),
    "x-lenient": (True, False),
    "x-limit": None,
    "x-openapi-router-controller": None,
    "x-opener-policy": ("same-origin", "same-origin-allow-popups", "unsafe-none"),
    "x-origins": ("any",),
    "x-own": None,
    "x-permission": None,
    "x-rate-limits": None,
    "x-roles": None,
    "x-scopes": None,
    "x-unlimited": (True, False),
    "x-unpublished": (True, False),
    "x-unseen": None,
}


def mistakes(document: dict[str, Any]) -> Iterator[Mistake]:
    """Yield each `x-` name that is a mistyped one of this server's, and each unknown value.

    Other names are somebody else's, and stay as they are.
    """
    unseen: list[tuple[Any, tuple[str, ...]]] = [(document, ())]
    while unseen:
        node, steps = unseen.pop()
        if isinstance(node, list):
            unseen += [(each, (*steps, str(index))) for index, each in enumerate(node)]
        if not isinstance(node, dict):
            continue
        for key, value in node.items():
            if key.startswith("x-"):
                yield from ((sentence, steps) for sentence in _wrong_with(key, value))
            elif isinstance(value, dict | list):
                unseen.append((value, (*steps, key)))


def _wrong_with(name: str, value: Any) -> Iterator[str]:
    if name not in NAMES:
        hint = nearest(name, NAMES, cutoff=0.8)
        if hint:
            yield f"{name} is no name of this server's{hint}"
        return
    allowed = NAMES[name]
    if allowed is not None and not any(value is each or value == each for each in allowed):
        known = ", ".join(str(each).lower() if each in {True, False} else each for each in allowed)
        hint = nearest(value, allowed) if isinstance(value, str) else ""
        yield f"{name} must be one of {known}{hint}"

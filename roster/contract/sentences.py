"""Sentences: what is wrong with a value, by the keyword that it breaks, without the value."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from roster.contract.draft4 import NOTHING
from roster.contract.formats import SENTENCES

# What is known is told as far as an answer has room for, which is a thousand characters.
_MAX_KNOWN = 800
NOT_ALLOWED = "This is not allowed here."


def of(keyword: str, demand: Any, *, is_exclusive: bool = False) -> str:
    """Tell what a keyword of JSON Schema demands, given its value in the schema.

    `is_exclusive` tells that a `minimum` or `maximum` itself is not allowed.
    """
    if is_exclusive:
        return f"This must be {'more' if keyword == 'minimum' else 'less'} than {demand}."
    return _SENTENCES.get(keyword, lambda _: NOT_ALLOWED)(demand)


def unknown_member(properties: dict[str, Any]) -> str:
    """Tell which members an object may have, but for those that must not be sent."""
    names = ", ".join(name for name, each in properties.items() if each != NOTHING)
    if len(names) > _MAX_KNOWN:
        names = f"{names[:_MAX_KNOWN].rpartition(',')[0]} and more"
    return f"There is a member that is not known here; known are {names or 'none'}."


def none_of(forms: Iterable[str]) -> str:
    """Tell which forms there are, where each has words by which it is known."""
    known = [*forms]
    sentence = "This is none of the forms that are allowed here"
    told = "; ".join(dict.fromkeys(known))
    return f"{sentence}: {told}." if all(known) and len(told) <= _MAX_KNOWN else f"{sentence}."


def _one_of(kinds: str | list[str]) -> str:
    names = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(f"an {name}" if name[0] in "aio" else f"a {name}" for name in names)


def _told(option: Any) -> str:
    """Write a value of the definition as JSON has it; a text stands without its quotes."""
    return option if isinstance(option, str) else json.dumps(option, ensure_ascii=False)


_SENTENCES: dict[str, Callable[[Any], str]] = {
    "not": lambda inner: (
        "This is only for reading, and must not be sent."
        if inner == NOTHING["not"]
        else NOT_ALLOWED
    ),
    "required": lambda names: f"The member {names[0]} is missing.",
    "type": lambda kinds: f"This must be {_one_of(kinds)}.",
    "minLength": lambda limit: f"This must have at least {limit} characters.",
    "maxLength": lambda limit: f"This must have at most {limit} characters.",
    "minimum": lambda limit: f"This must be at least {limit}.",
    "maximum": lambda limit: f"This must be at most {limit}.",
    "minItems": lambda limit: f"This must have at least {limit} items.",
    "maxItems": lambda limit: f"This must have at most {limit} items.",
    "minProperties": lambda limit: f"This must have at least {limit} members.",
    "maxProperties": lambda limit: f"This must have at most {limit} members.",
    "multipleOf": lambda divisor: f"This must be a multiple of {divisor}.",
    "uniqueItems": lambda _: "No item may be there twice.",
    # A name that is sent is not told again: nobody knows what it is.
    "additionalProperties": lambda schema: (
        f"Each other member must be {_one_of(schema['type'])}."
        if schema.get("type")
        else "A member is not as each other member has to be."
    ),
    "enum": lambda options: f"This must be one of {', '.join(map(_told, options))}.",
    "format": lambda name: SENTENCES.get(name, f"This is not of the format {name}."),
    "pattern": lambda pattern: f"This must match {pattern}.",
}

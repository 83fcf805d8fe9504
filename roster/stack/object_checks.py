"""Checks, at the start, that the objects named by `x-permission` can be loaded."""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, get_type_hints

from models.named_objects import Kind, NamedObject, View
from models.registry import NAMED_OBJECTS
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError
from roster.contract.operation import Operation

_REGISTRY = "models/registry.py"
_PROTOCOL = "models/named_objects.py"
# The methods that get the path's parameters by their names.
_BY_IDS = ("load", "users_to_lock", "lock_named")


def check_objects(definition: Definition, registry: Mapping[str, Kind] = NAMED_OBJECTS) -> None:
    """Check the objects of all operations against the registry and their classes.

    :raises DefinitionError: where an object is not registered, its class lacks a method, or a
        method does not take the parameters of the path by their names.
    """
    for operation in definition.operations:
        name = operation.permission.object
        if name is None:
            continue
        kind = registry.get(name)
        if kind is None:
            near = get_close_matches(name, registry, 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise _mistake(
                operation, f'x-permission: {_REGISTRY} has no line for the object "{name}"{hint}'
            )
        _check_class(operation, kind.mapped, NamedObject)
        if kind.view is not None:
            _check_class(operation, kind.view, View)


def check_handler(
    handler: Callable[..., Any],
    operation: Operation,
    registry: Mapping[str, Kind] = NAMED_OBJECTS,
) -> None:
    """Check that a handler's annotation of the object is the class that it gets.

    :raises DefinitionError: where it is another class, as that which a GET gets may be.
    """
    name = operation.permission.object
    if name is None or name not in registry:
        return
    try:
        annotation = get_type_hints(handler).get(name, Any)
    except NameError:  # of a name that is imported for the type checker only
        return
    given = registry[name].loaded_by(operation.method)
    is_class = isinstance(annotation, type) and annotation is not Any
    if is_class and not _is_protocol(annotation) and not issubclass(given, annotation):
        raise _mistake(
            operation,
            f"{operation.handler} takes {name}: {annotation.__name__}, but for"
            f" {operation.method} it gets a {given.__name__} ({_REGISTRY})",
        )


def _check_class(operation: Operation, kind: type[View], protocol: type) -> None:
    where = f"{kind.__module__}.{kind.__qualname__}"
    for method in sorted(_members(protocol)):
        if not hasattr(kind, method):
            raise _mistake(operation, f"{where} lacks {method}, which {_PROTOCOL} describes")
    in_path = {each["name"] for each in operation.parameters if each["in"] == "path"}
    for method in _BY_IDS:
        if method not in _members(protocol):
            continue
        needed, known = _parameters(getattr(kind, method))
        if absent := needed - in_path:
            raise _mistake(
                operation, f"{where}.{method} needs {_list(absent)}, which the path does not have"
            )
        if known is not None and (unknown := in_path - known):
            raise _mistake(
                operation, f"the path has {_list(unknown)}, which {where}.{method} does not take"
            )


def _parameters(method: Callable[..., Any]) -> tuple[set[str], set[str] | None]:
    """Return which names a method needs, and which it takes (None: any), besides the session."""
    _, *named = inspect.signature(method).parameters.values()
    named = [each for each in named if each.kind is not each.VAR_POSITIONAL]
    needed = {
        each.name
        for each in named
        if each.default is each.empty and each.kind is not each.VAR_KEYWORD
    }
    takes_any = any(each.kind is each.VAR_KEYWORD for each in named)
    return needed, None if takes_any else {each.name for each in named}


def _members(protocol: type) -> set[str]:
    """Return the names that a protocol's classes must have."""
    return {
        name
        for each in protocol.__mro__
        if _is_protocol(each)
        for name in (*vars(each), *inspect.get_annotations(each))
        if not name.startswith("_")
    }


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _mistake(operation: Operation, sentence: str) -> DefinitionError:
    return DefinitionError(sentence, path=operation.path, method=operation.method)

"""Checks, at the start, that the objects named by `x-permission` can be loaded."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_type_hints

from models.named_objects import Kind, NamedObject, View
from models.registry import NAMED_OBJECTS
from roster.contract.definition import Definition
from roster.contract.errors import DefinitionError, DefinitionErrors, nearest
from roster.contract.operation import Operation

_REGISTRY = "models/registry.py"
_PROTOCOL = "models/named_objects.py"
# The methods that get the path's parameters by their names.
_BY_IDS = ("load", "users_to_lock", "lock_named")


def check_objects(definition: Definition, registry: Mapping[str, Kind] = NAMED_OBJECTS) -> None:
    """Check the objects of all operations against the registry and their classes.

    :raises DefinitionErrors: all cases in which an object is not registered, its class lacks a
        method, or a method does not take the parameters of the path by their names.
    """
    if mistakes := [
        DefinitionError(
            sentence,
            file=definition.files.get(operation.path),
            path=operation.path,
            method=operation.method,
        )
        for operation in definition.operations
        for sentence in _of_operation(operation, registry)
    ]:
        raise DefinitionErrors(mistakes)


def _of_operation(operation: Operation, registry: Mapping[str, Kind]) -> Iterator[str]:
    name = operation.permission.object
    if name is None:
        return
    if name not in registry:
        hint = nearest(name, registry)
        yield f"x-permission: {_REGISTRY} has no line for the object {name}{hint}"
        return
    kind = registry[name]
    yield from _of_class(operation, kind.mapped, NamedObject)
    if kind.view is not None:
        yield from _of_class(operation, kind.view, View)


def check_handler(
    handler: Callable[..., Any],
    operation: Operation,
    registry: Mapping[str, Kind] = NAMED_OBJECTS,
) -> None:
    """Check that a handler's annotation of the object is the class that it gets.

    :raises DefinitionError: if it is another class; a GET may get a read model.
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
        raise DefinitionError(
            f"{operation.handler} takes {name}: {annotation.__name__}, but for"
            f" {operation.method} it gets a {given.__name__} ({_REGISTRY})",
            path=operation.path,
            method=operation.method,
        )


def _of_class(operation: Operation, kind: type[View], protocol: type) -> Iterator[str]:
    where = f"{kind.__module__}.{kind.__qualname__}"
    in_path = {each["name"] for each in operation.parameters if each["in"] == "path"}
    for method in sorted(_members(protocol)):
        if not hasattr(kind, method):
            yield f"{where} lacks {method}, which {_PROTOCOL} describes"
        elif method in _BY_IDS:
            needed, known = _parameters(getattr(kind, method))
            if absent := needed - in_path:
                yield f"{where}.{method} needs {_list(absent)}, which the path does not have"
            if known is not None and (unknown := in_path - known):
                yield f"the path has {_list(unknown)}, which {where}.{method} does not take"


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

"""Handlers: the function that the definition names for each operation."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

from roster.contract.errors import DefinitionError, nearest
from roster.contract.operation import Operation


def find_handler(operation: Operation) -> Callable[..., Any]:
    """Return the function that carries an operation out.

    :raises DefinitionError: where its module has no such function, or is not there itself.
    """
    name, _, function = operation.handler.rpartition(".")
    module = _module(operation, name)
    found = getattr(module, function, None)
    if not callable(found):
        hint = nearest(function, functions(module))
        sentence = f"operationId: {name} has no function {function}{hint}"
        raise DefinitionError(sentence, path=operation.path, method=operation.method)
    return found  # type: ignore[no-any-return]


def functions(module: ModuleType) -> list[str]:
    """Name the public functions that a module defines itself."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]


def siblings(name: str) -> list[str]:
    """Name the modules beside one, itself included, as they are imported."""
    package = name.rpartition(".")[0]
    try:
        folders = importlib.import_module(package).__path__ if package else None
    except (ImportError, AttributeError):
        return []
    found = pkgutil.iter_modules(folders, f"{package}." if package else "")
    return [each.name for each in found if not each.ispkg]


def _module(operation: Operation, name: str) -> ModuleType:
    is_name = all(part.isidentifier() for part in name.split("."))
    try:
        if is_name:
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # That a module lacks another one is no mistake of the definition's.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
    hint = nearest(name, siblings(name)) if is_name else ""
    raise DefinitionError(
        f"x-openapi-router-controller: there is no module {name}{hint}",
        path=operation.path,
        method=operation.method,
    )

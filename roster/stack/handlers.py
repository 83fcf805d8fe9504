"""Handlers: the function that the definition names for each operation."""

import importlib
import inspect
import pkgutil
import traceback
from collections.abc import Callable
from pathlib import Path
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
    if inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found):
        sentence = f"{operation.handler} is called in a thread: write it without async"
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
    except Exception as error:  # the module is somebody's own code, which may raise anything
        if not _is_absent(name, error):
            sentence = f"{name} cannot be imported: {_told(error)}"
            raise _mistake(operation, sentence) from error
    hint = nearest(name, siblings(name)) if is_name else ""
    raise _mistake(operation, f"there is no module {name}{hint}")


def _mistake(operation: Operation, sentence: str) -> DefinitionError:
    return DefinitionError(
        f"x-openapi-router-controller: {sentence}", path=operation.path, method=operation.method
    )


def _is_absent(name: str, error: Exception) -> bool:
    """Tell whether a module is not there itself; it may also lack another one."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return False
    return f"{name}.".startswith(f"{error.name}.")


def _told(error: Exception) -> str:
    """Tell in one line what an import raised, and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    file, line = last.filename, last.lineno
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    said = str(error.msg if isinstance(error, SyntaxError) else error).partition("\n")[0]
    return f"{type(error).__name__}: {said} ({Path(file).name}, line {line})"

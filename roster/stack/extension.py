"""The extension: the function by which a project extends the Flask app that calls its handlers."""

import inspect
from collections.abc import Callable
from typing import Any, cast

import flask
from uvicorn.importer import ImportFromStringError, import_from_string

from roster.settings import Settings, SettingsError

Extend = Callable[[flask.Flask], None]


def find_extension(settings: Settings) -> Extend | None:
    """Import the function that `ROSTER_EXTEND` names; None where it names none.

    :raises SettingsError: where there is no such module or function, or it takes no app.
    """
    if not settings.extend:
        return None
    try:
        found = import_from_string(settings.extend)
    except ImportFromStringError as error:
        raise SettingsError(f"ROSTER_EXTEND: {error}") from None
    if not callable(found):
        raise SettingsError(f"ROSTER_EXTEND: {settings.extend} is no function.")
    if not _takes_one(found):
        raise SettingsError(
            f"ROSTER_EXTEND: {settings.extend} cannot be called with one argument, the Flask app."
        )
    if inspect.iscoroutinefunction(found):
        raise SettingsError(f"ROSTER_EXTEND: {settings.extend} is async, and nobody would await it")
    return cast(Extend, found)


def _takes_one(function: Callable[..., Any]) -> bool:
    """Tell whether a function can be called with one argument, as far as its signature tells."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # some builtins have none
        return True
    try:
        signature.bind(None)
    except TypeError:
        return False
    return True

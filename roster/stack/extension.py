"""The extension: the function by which a project extends the Flask app that calls its handlers."""

from collections.abc import Callable
from typing import cast

import flask
from uvicorn.importer import ImportFromStringError, import_from_string

from roster.settings import Settings, SettingsError

Extend = Callable[[flask.Flask], None]


def find_extension(settings: Settings) -> Extend | None:
    """Import the function that `ROSTER_EXTEND` names; None where it names none.

    :raises SettingsError: where there is no such module or function.
    """
    if not settings.extend:
        return None
    try:
        found = import_from_string(settings.extend)
    except ImportFromStringError as error:
        raise SettingsError(f"ROSTER_EXTEND: {error}") from None
    if not callable(found):
        raise SettingsError(f"ROSTER_EXTEND: {settings.extend} is no function.")
    return cast(Extend, found)

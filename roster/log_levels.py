"""Log levels: read from the setting that names them, for all loggers and for single ones."""

import logging
import re

_NAMES = ("debug", "info", "warning", "error", "critical")
_LEVELS = {name: logging.getLevelNamesMapping()[name.upper()] for name in _NAMES}
_LOGGER = re.compile(r"[\w.-]+", re.ASCII)


def read_levels(text: str) -> dict[str, int]:
    """Read levels such as `warning,roster.http=info`; the level of all others has no name.

    :raises ValueError: with a sentence, where it is something else.
    """
    found = {"": logging.INFO}
    for part in text.split(","):
        name, sign, level = part.strip().rpartition("=")
        is_name = _LOGGER.fullmatch(name.strip()) if sign else True
        if not is_name or level.strip().lower() not in _LEVELS:
            raise ValueError(f"must be one of {', '.join(_LEVELS)}, or LOGGER=LEVEL")
        found[name.strip()] = _LEVELS[level.strip().lower()]
    return found

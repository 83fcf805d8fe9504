"""Roster: the machinery that serves an OpenAPI definition; `uvicorn roster:app` serves it."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Build `roster.app` when a server asks for it, so that a mere import needs no settings.

    :raises SystemExit: with one line, where a setting or the definition is wrong.
    """
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from roster.server import memory  # noqa: PLC0415 (see above)

    memory.share_one_arena()
    with memory.starting():
        from roster import application, settings  # noqa: PLC0415
        from roster.contract.errors import DefinitionError  # noqa: PLC0415
        from roster.observability import logs  # noqa: PLC0415

        try:
            current = settings.load()
            logs.configure(current)
            app = application.create_app(current)
        except (settings.SettingsError, DefinitionError) as error:
            raise SystemExit(f"roster: {error}") from None
        globals()["app"] = app
    return app

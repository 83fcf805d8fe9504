"""Providers: what a handler may name as a parameter, besides what the definition declares."""

from collections.abc import Callable, Mapping
from typing import Any

from roster.api.pagination import window
from roster.http.context import RequestContext
from roster.settings import Settings

# What a handler may ask for by name, besides the definition's own parameters: how each is made from
# the request context.
Providers = Mapping[str, Callable[[RequestContext], Any]]


def providers(settings: Settings, **services: Any) -> Providers:
    """Return the providers by their names."""
    constant = {name: (lambda _, service=service: service) for name, service in services.items()}
    return {
        "session": lambda context: context.session,
        "connection": lambda context: context.connection,
        "caller": lambda context: context.caller,
        "attempts": lambda context: context.attempts,
        "asked_path": lambda context: context.asked_path,
        "window": lambda context: window(context, settings),
        "settings": lambda _: settings,
        "quotas": lambda _: settings.quotas,
        **constant,
    }

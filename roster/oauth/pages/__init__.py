"""The pages that a person sees: rendered from templates, under a policy of their own."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent
STYLE = FOLDER / "style.css"

_templates = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def render(template: str, **values: Any) -> str:
    """Render a page; whatever is put into it is escaped."""
    return _templates.get_template(f"{template}.html").render(**values)


def policy(redirect_uri: str | None = None) -> str:
    """Make the Content-Security-Policy of a page.

    A browser holds the redirects that follow a form against `form-action` too, so the place where
    the client waits has to be among them.
    """
    targets = "'self'" if redirect_uri is None else f"'self' {_source(redirect_uri)}"
    return (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none';"
        f" form-action {targets}"
    )


def _source(redirect_uri: str) -> str:
    """Name a redirect URI's place as a source of the policy: an origin, or a scheme of its own."""
    parts = urlsplit(redirect_uri)
    # The policy's grammar has no IPv6 addresses.
    if parts.scheme in {"http", "https"} and ":" not in (parts.hostname or ""):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:"


def place(redirect_uri: str) -> str:
    """Name a redirect URI's place for a person: its host, or the scheme of an app."""
    parts = urlsplit(redirect_uri)
    # What follows an app's own scheme leads nowhere, whatever host it looks like.
    return parts.netloc if parts.scheme in {"http", "https"} else f"{parts.scheme}:"


def lifetime(seconds: int) -> str:
    """Name a length of time for a person, in its largest unit, rounded up."""
    units = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
    unit, size = next(each for each in units if seconds >= each[1])
    count = -(-seconds // size)
    return f"{count} {unit}" + ("s" if count > 1 else "")

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


def policy(*, leads_to_client: bool = False) -> str:
    """Make the Content-Security-Policy of a page.

    Browsers hold every redirect that follows a form against `form-action`, those of the client
    too: its callback may lead on to another host or to an app. So a page whose forms can lead to a
    client names none. Its forms have their targets in the template, and no script runs there.
    """
    forms = "" if leads_to_client else " form-action 'self';"
    return f"default-src 'none'; style-src 'self'; base-uri 'none';{forms} frame-ancestors 'none'"


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

"""The documentation: Swagger UI from the package that carries its files, and the guide."""

import mimetypes
import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from itertools import pairwise
from pathlib import Path
from string import Template
from urllib.request import urlopen

import flask_swagger_ui
from markdown_it import MarkdownIt
from markupsafe import Markup

from roster import pages
from roster.contract import loader
from roster.server.assets import Asset, from_file
from roster.settings import Settings

_PAGES = Path(__file__).parent.parent / "pages"
_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
_PREFIX = "/api/v1/"
_ISSUER = "{{ issuer }}"
_FILES = (
    _PAGES / "documentation.css",
    _PAGES / "swagger-initializer.js",
    *(
        _SWAGGER_UI / name
        for name in (
            "favicon-32x32.png",
            "index.css",
            "oauth2-redirect.html",
            "oauth2-redirect.js",
            "swagger-ui-bundle.js",
            "swagger-ui.css",
        )
    ),
)
_DATA_URL = re.compile(r'url\((?:"(data:(?:[^"\\]|\\.)*)"|(data:[^)"]*))\)')


class Documentation:
    """The pages: Swagger UI, for the client with which it logs in, and the guide."""

    def __init__(self, settings: Settings) -> None:
        client_id = "documentation" if settings.is_development else settings.docs_client_id
        template = Template((_PAGES / "documentation.html").read_text(encoding="utf-8"))
        self.page = template.substitute(client_id=escape(client_id, quote=True))
        self.guide = pages.render("guide", content=Markup(_guide(settings.origin)))  # noqa: S704 (our own guide)


def guide_text(issuer: str) -> str:
    """Return the guide in Markdown, with the address of the server in its commands."""
    text = (loader.FOLDER / "guide.md").read_text(encoding="utf-8")
    return text.replace(_ISSUER, issuer)


def _guide(issuer: str) -> str:
    """Render the guide, and let each heading be linked to and wide tables be scrolled."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(guide_text(issuer))
    for token, following in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", re.sub(r"\W+", "-", following.content.lower()))
        if token.type == "fence":
            # What overflows is scrolled by the keyboard too.
            token.attrSet("tabindex", "0")
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def assets() -> Iterator[Asset]:
    """Yield the static files that the page loads."""
    for file in _FILES:
        asset = from_file(file, _PREFIX + file.name)
        if file.suffix == ".css":
            content, icons = _without_data_urls(file.stem, file.read_text(encoding="utf-8"))
            yield from icons
            asset = replace(asset, content=content)
        if file.name == "oauth2-redirect.html":
            # The popup comes back to it from the pages of the sign-in, and hands on to its opener.
            asset = replace(asset, opener_policy="unsafe-none")
        yield asset


def _without_data_urls(name: str, stylesheet: str) -> tuple[bytes, list[Asset]]:
    """Give each picture that a stylesheet holds as data a path of its own.

    The page's policy lets nothing in but what this server sends, and data is not.
    """
    icons: dict[str, Asset] = {}

    def move(found: re.Match[str]) -> str:
        data_url = (found[1] or found[2]).replace("\\", "")
        if data_url not in icons:
            with urlopen(data_url) as opened:  # nosec B310 # noqa: S310 (a data URL opens nothing)
                media_type = opened.headers.get_content_type()
                path = f"{_PREFIX}{name}-{len(icons)}{mimetypes.guess_extension(media_type)}"
                icons[data_url] = Asset(path, media_type, opened.read())
        return f'url("{icons[data_url].path}")'

    return _DATA_URL.sub(move, stylesheet).encode(), list(icons.values())

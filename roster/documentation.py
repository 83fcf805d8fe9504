"""The documentation page: Swagger UI, from the files of the package that carries them."""

import mimetypes
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from string import Template
from urllib.request import urlopen

import flask_swagger_ui
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roster.settings import Settings

_PAGES = Path(__file__).parent / "pages"
_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
_PREFIX = "/api/v1/"
_FILES = (
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

# A file as it is served: its path, its media type, and what is in it.
Asset = tuple[str, str, bytes]


class Documentation:
    """The page and the static files that it loads, all from this server."""

    def __init__(self, settings: Settings) -> None:
        client_id = "documentation" if settings.is_development else settings.docs_client_id
        template = Template((_PAGES / "documentation.html").read_text(encoding="utf-8"))
        self.page = template.substitute(client_id=escape(client_id, quote=True))
        self._assets = {path: (media_type, content) for path, media_type, content in _assets()}

    def __contains__(self, path: object) -> bool:
        """Tell whether a request's path is one of the static files."""
        return path in self._assets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a static file."""
        media_type, content = self._assets[scope["path"]]
        headers = {"Cache-Control": "public, max-age=3600"}
        await Response(content, headers=headers, media_type=media_type)(scope, receive, send)


def _assets() -> Iterator[Asset]:
    for file in _FILES:
        media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        content = file.read_bytes()
        if file.suffix == ".css":
            content, icons = _without_data_urls(file.stem, content.decode())
            yield from icons
        yield _PREFIX + file.name, media_type, content


def _without_data_urls(name: str, stylesheet: str) -> tuple[bytes, list[Asset]]:
    """Give each picture that a stylesheet holds as data a path of its own.

    The page's policy lets nothing in but what this server sends, and data is not.
    """
    icons: dict[str, Asset] = {}

    def move(found: re.Match[str]) -> str:
        data_url = (found[1] or found[2]).replace("\\", "")
        if data_url not in icons:
            with urlopen(data_url) as opened:  # noqa: S310 (a data URL opens nothing)
                media_type = opened.headers.get_content_type()
                path = f"{_PREFIX}{name}-{len(icons)}{mimetypes.guess_extension(media_type)}"
                icons[data_url] = (path, media_type, opened.read())
        return f'url("{icons[data_url][0]}")'

    return _DATA_URL.sub(move, stylesheet).encode(), list(icons.values())

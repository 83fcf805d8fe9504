"""The documentation page: Swagger UI, from the files of the package that carries them."""

from html import escape
from pathlib import Path
from string import Template

import flask_swagger_ui
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from roster.settings import Settings

_PAGES = Path(__file__).parent / "pages"
_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
_PREFIX = "/api/v1/"
_FILES = {
    **{
        name: _SWAGGER_UI / name
        for name in (
            "favicon-16x16.png",
            "favicon-32x32.png",
            "index.css",
            "oauth2-redirect.html",
            "oauth2-redirect.js",
            "swagger-ui-bundle.js",
            "swagger-ui-standalone-preset.js",
            "swagger-ui.css",
        )
    },
    "swagger-initializer.js": _PAGES / "swagger-initializer.js",
}


class Documentation:
    """The page and the static files that it loads, all from this server."""

    def __init__(self, settings: Settings) -> None:
        client_id = "documentation" if settings.is_development else settings.docs_client_id
        template = Template((_PAGES / "documentation.html").read_text(encoding="utf-8"))
        self.page = template.substitute(client_id=escape(client_id, quote=True))
        self._files = {_PREFIX + name: path for name, path in _FILES.items()}

    def __contains__(self, path: object) -> bool:
        """Tell whether a request's path is one of the static files."""
        return path in self._files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a static file."""
        response = FileResponse(
            self._files[scope["path"]], headers={"Cache-Control": "public, max-age=3600"}
        )
        await response(scope, receive, send)

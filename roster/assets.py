"""Assets: the static files of the pages, all from this server."""

import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


@dataclass(frozen=True)
class Asset:
    """A static file as it is served."""

    path: str
    media_type: str
    content: bytes


def read(file: Path, path: str) -> Asset:
    """Read a file that is to be served at a path."""
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Asset(path, media_type, file.read_bytes())


class Assets:
    """Static files, found by the paths at which they are served."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        self._assets = {asset.path: asset for asset in assets}

    def __contains__(self, path: object) -> bool:
        """Tell whether a request's path is one of the files'."""
        return path in self._assets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file that the path names."""
        asset = self._assets[scope["path"]]
        headers = {"Cache-Control": "public, max-age=3600"}
        response = Response(asset.content, headers=headers, media_type=asset.media_type)
        await response(scope, receive, send)

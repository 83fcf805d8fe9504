"""Assets: the static files of the pages, all from this server."""

import asyncio
import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from roster.contract.operation import ISOLATED


@dataclass(frozen=True)
class Asset:
    """A static file as it is served: its content, or where that is read when it is asked for."""

    path: str
    media_type: str
    content: bytes | Path
    opener_policy: str = ISOLATED


def from_file(file: Path, path: str) -> Asset:
    """Have a file served at a path.

    :raises FileNotFoundError: where it is not there.
    """
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Asset(path, media_type, file.resolve(strict=True))


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
        content = asset.content
        if isinstance(content, Path):
            content = await asyncio.to_thread(content.read_bytes)
        headers = {
            "Cache-Control": "public, max-age=3600",
            "Cross-Origin-Opener-Policy": asset.opener_policy,
        }
        response = Response(content, headers=headers, media_type=asset.media_type)
        await response(scope, receive, send)

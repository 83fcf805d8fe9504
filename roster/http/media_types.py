"""Media types: the Content-Type of a request."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from werkzeug.http import parse_options_header

from roster.http.context import RequestContext

# No client sends more, and longer headers take long to parse.
_MAX_LENGTH = 1000


def media_type_of(context: RequestContext) -> tuple[str, Mapping[str, str]]:
    """Return the media type of a request's body in lower case, and its parameters.

    Both are empty where the header is missing or too long.
    """
    header = context.header(b"content-type")
    if header is None or len(header) > _MAX_LENGTH:
        return "", {}
    return _read(header)


@lru_cache(256)  # most requests have one of a few
def _read(header: str) -> tuple[str, Mapping[str, str]]:
    media_type, options = parse_options_header(header)
    return media_type.lower(), MappingProxyType(options)  # several requests share it

"""Media types: what a request says that its body is."""

from werkzeug.http import parse_options_header

from roster.http.context import RequestContext

# Far beyond all that clients send; what is longer takes time to read, and says nothing.
_MAX_LENGTH = 1000


def media_type_of(context: RequestContext) -> tuple[str, dict[str, str]]:
    """Return the media type of a request's body in lower case, and its parameters.

    Where none is said, or one that is too long to be meant, both are empty.
    """
    header = context.header(b"content-type")
    if header is None or len(header) > _MAX_LENGTH:
        return "", {}
    media_type, options = parse_options_header(header)
    return media_type.lower(), options

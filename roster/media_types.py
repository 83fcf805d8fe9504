"""Media types: what a request says that its body is."""

from werkzeug.http import parse_options_header

from roster.exchange import Exchange

# Far beyond all that clients send; what is longer takes time to read, and says nothing.
_LONGEST = 1000


def media_type_of(exchange: Exchange) -> tuple[str, dict[str, str]]:
    """Return the media type of a request's body in lower case, and its parameters.

    Where none is said, or one that is too long to be meant, both are empty.
    """
    header = exchange.header(b"content-type")
    if header is None or len(header) > _LONGEST:
        return "", {}
    media_type, options = parse_options_header(header)
    return media_type.lower(), options

"""The environment: variables that are no settings though they look like some, and no text."""

import re

# What Kubernetes sets in every container for each Service, and Docker for each link, here for those
# whose names begin with "roster". https://kubernetes.io/docs/concepts/services-networking/service/
_LINK = re.compile(
    r"ROSTER(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?|NAME|ENV_\w+)",
    re.ASCII,
)
_LINK_PORT = re.compile(r"ROSTER(_\w+)?_PORT", re.ASCII)


def is_link(name: str, value: str) -> bool:
    """Tell whether a variable is one that a container gets because of another one's name."""
    is_port = _LINK_PORT.fullmatch(name) and "://" in value
    return bool(is_port or _LINK.fullmatch(name))


def is_text(value: str) -> bool:
    """Tell whether a variable is text in UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that Python could not read, as surrogates
        return False
    return True

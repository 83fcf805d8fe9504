"""Entity tags: which version of an answer somebody has (RFC 9110 sections 8.8.3 and 13)."""

import hashlib
import re

# An item of a list of tags.
_TAG = re.compile(r'(?:^|,)[ \t]*(W/)?"([^"]*)"[ \t]*(?=,|$)')


def tag_of(body: bytes) -> str:
    """Return the strong tag of a body, without its quotes."""
    return hashlib.sha256(body).hexdigest()


def names(header: str, tag: str, *, weakly: bool) -> bool:
    """Tell whether `If-Match`, or `weakly` `If-None-Match`, names a tag.

    The strong comparison (section 8.8.3.2) lets no weak tag match. It takes one look at the header,
    however long that is.
    """
    if header.strip() == "*":
        return True
    return any(value == tag and (weakly or not weak) for weak, value in _TAG.findall(header))

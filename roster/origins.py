"""Origins and hosts: what the address of a server may look like, and whom it reaches."""

import ipaddress
import re
from urllib.parse import urlsplit

# RFC 3986 section 3.2: an address in brackets, or a name or an IPv4 address; perhaps a port.
_HOST = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[0-9a-z._~-]+)(?::[0-9]{0,5})?", re.ASCII)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or an address reaches this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_every(host: str) -> bool:
    """Tell whether a host is all addresses of this machine, such as `0.0.0.0` or `::`."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_local(address: str) -> bool:
    """Tell whether a peer is on this machine or in this network, as a proxy in front is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return not address  # nobody has an address on a Unix socket
    return (getattr(found, "ipv4_mapped", None) or found).is_private


def is_safe(url: str) -> bool:
    """Tell whether what goes to a URL cannot be read on the way."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def check_origin(value: str) -> str:
    """Check that a value is an origin (RFC 6454): scheme, host and perhaps a port, nothing else.

    :raises ValueError: where it is none.
    """
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("must be an origin such as https://example.com") from None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    if parts.scheme not in {"http", "https"} or not parts.hostname or value.lower() != origin:
        raise ValueError(
            "must be an origin such as https://example.com: no path, no query, no trailing slash"
        )
    return origin


def host_of(header: str) -> str | None:
    """Return the host that a Host header names, in lower case; None where it names none."""
    found = _HOST.fullmatch(header.lower())
    return found["host"].strip("[]").removesuffix(".") if found else None

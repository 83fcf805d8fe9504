"""Origins and hosts: what the address of a server may look like, and whom it reaches."""

import ipaddress
import re
from urllib.parse import urlsplit

import idna

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\s\[\]/?#@:\\]+)(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE,
)
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_USUAL_PORTS = {"http": 80, "https": 443}
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
    """Return an origin as browsers write it: scheme, host and perhaps a port (RFC 6454 section 4).

    The host is in lower case and in ASCII, without a dot at its end; the scheme's own port is left
    out.

    :raises ValueError: where it is none.
    """
    found = _ORIGIN.fullmatch(value)
    port = int(found["port"] or 0) if found else 0
    if found is None or port > 65535:
        raise ValueError(
            "must be an origin such as https://example.com: no path, no query, no trailing slash"
        )
    scheme, host = found["scheme"].lower(), _ascii_host(found["host"])
    is_usual = port in {0, _USUAL_PORTS[scheme]}
    return f"{scheme}://{host}" if is_usual else f"{scheme}://{host}:{port}"


def _ascii_host(host: str) -> str:
    try:
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        host = host.removesuffix(".").lower()
        # Browsers map a name first (UTS 46), as when it is typed in capitals.
        ascii_host = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except (ValueError, UnicodeError):
        ascii_host = ""
    if not (host.startswith("[") or _NAME.fullmatch(ascii_host)):
        raise ValueError("must be an origin whose host is a name or an address")
    return ascii_host


def host_of(header: str) -> str | None:
    """Return the host that a Host header names, in lower case; None where it names none."""
    found = _HOST.fullmatch(header.lower())
    return found["host"].strip("[]").removesuffix(".") if found else None

"""Addresses: the party that a client's address stands for, where requests are counted."""

import ipaddress
import re
from functools import lru_cache

_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+):\d+", re.ASCII)
# An IPv6 address with a zone and a port is shorter. What a proxy writes is kept as a key.
_MAX_LENGTH = 100


def network(address: str) -> str:
    """Return the IPv4 address, or the /64 network of an IPv6 address, which one customer has."""
    return _network(address[:_MAX_LENGTH])


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    # Some proxies add the port, which differs on each connection.
    found = _WITH_PORT.fullmatch(address)
    address = found[1] or found[2] if found else address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address

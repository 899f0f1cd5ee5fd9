"""Addresses of the people and programs that ask: read once, and named by the network that a limit covers."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# `[2001:db8::1]:443`, `[2001:db8::1]` and `192.0.2.1:443`, as proxies write them.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


@lru_cache(maxsize=64)  # the endpoint reads the address of a request, and its limit reads it again
def read_address(text: str) -> IPv4Address | IPv6Address:
    """Read an address. Raises `ValueError`."""
    return ip_address(text)


def network_of(address: str) -> str:
    """Name the network that one limit covers: an IPv4 address, or the /64 of an IPv6 address.

    A port or brackets that a proxy appends are ignored. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) counts as
    IPv4. All texts that are no address count as one network, so that none of them evades the limit.
    """
    bare = _WITH_PORT.fullmatch(address)
    try:
        ip = read_address(bare[1] or bare[2] if bare else address)
    except ValueError:
        return "illegible"
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(IPv6Network((int(ip) >> 64 << 64, 64)))
    return str(ip)

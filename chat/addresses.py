"""Addresses of clients, as limits count them."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

OF_ONE_CUSTOMER = 64  # bits of an IPv6 address; the others its customer chooses, ever anew


@lru_cache(maxsize=10_000)
def household(address: str) -> str | None:
    """What counts as one address, or None for what is not limited by address.

    That is this machine, and whoever has no address, like the peer of a Unix socket: behind a
    proxy that nobody named in TRUSTED_PROXIES all people would seem to come from there.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    if found.is_loopback:
        return None
    if isinstance(found, IPv6Address):
        shift = found.max_prefixlen - OF_ONE_CUSTOMER
        return f"{IPv6Address(int(found) >> shift << shift)}/{OF_ONE_CUSTOMER}"
    return str(found)

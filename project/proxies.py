"""Which proxies are believed, and what they say of the client behind them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

Headers = Iterable[tuple[bytes, bytes]]
Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class TrustedProxies:
    """Their addresses, and the headers that they set. Whoever comes by a Unix socket is one."""

    networks: Sequence[Network]
    address_header: str = "X-Forwarded-For"
    scheme_header: str = "X-Forwarded-Proto"

    def trust(self, peer: Sequence[Any] | None) -> bool:
        """Whether what this peer, an ASGI client, says of somebody else is believed."""
        address = parsed(peer[0]) if peer else None
        return peer is None or (address is not None and self._is_one_of_us(address))

    def client(self, headers: Headers) -> str | None:
        """Who asked the first of them; what stands before, anybody may have made up."""
        found = None
        for value in reversed(values(headers, self.address_header)):
            if (address := parsed(value)) is None:
                break
            found = str(address)
            if not self._is_one_of_us(address):
                break
        return found

    def scheme(self, headers: Headers) -> str | None:
        """How the last of them was asked."""
        said = values(headers, self.scheme_header)
        return said[-1].lower() if said else None

    def _is_one_of_us(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.networks)


def networks(text: str) -> list[Network]:
    """What commas part: addresses, or networks such as 10.0.0.0/8. ValueError."""
    return [ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]


def values(headers: Headers, name: str) -> list[str]:
    """All values of a header, in order."""
    lines = [value.decode("latin-1") for key, value in headers if key == name.lower().encode()]
    return [value.strip() for line in lines for value in line.split(",")]


def parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address with or without a port; an IPv4 one in the clothes of IPv6 is an IPv4 one.

    Without the zone of a link: it may be any text, and tells nobody else anything.
    """
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address

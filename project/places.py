"""How many connections there may be at once: in all, and from one address."""

import logging
import resource
from collections import Counter
from contextlib import suppress
from ipaddress import IPv4Address, ip_network
from time import monotonic
from typing import Any

from .proxies import TrustedProxies, parsed

logger = logging.getLogger(__name__)

# Descriptors that are no connections: of the database, the channel layer, files.
RESERVED = 100

CUSTOMER = 64  # bits of an IPv6 address; the others its customer chooses, as often as wanted
SAY_EVERY = 60.0  # seconds, at least, that somebody was refused

ENDLESS = 1 << 20

FULL = b"503 Service Unavailable"
FULL_FOR_YOU = b"429 Too Many Requests"


class Places:
    """Every connection takes one. The limits are `most`, and `most_of_one`; 0: none."""

    def __init__(
        self, most: int = 0, most_of_one: int = 0, proxies: TrustedProxies | None = None
    ) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._proxies = proxies
        self.taken = 0
        self._taken_by: Counter[str] = Counter()
        self._refused = 0  # since it was said
        self._said_at = -SAY_EVERY

    def refusal(self, household: str | None) -> bytes | None:
        """The status of the answer to somebody for whom there is no place."""
        if 0 < self._most <= self.taken:
            self.say_refused(f"all {self._most} places are taken (MAX_CONNECTIONS)")
            return FULL
        if household is not None and 0 < self._most_of_one <= self._taken_by[household]:
            self.say_refused(f"{household} has all of its own (MAX_CONNECTIONS_PER_ADDRESS)")
            return FULL_FOR_YOU
        return None

    def take(self, household: str | None) -> None:
        self.taken += 1
        if household is not None:
            self._taken_by[household] += 1

    def give_back(self, household: str | None) -> None:
        self.taken -= 1
        if household is not None:
            self._taken_by[household] -= 1
            if not self._taken_by[household]:
                del self._taken_by[household]

    def household(self, peer: Any) -> str | None:
        """What counts as one address; None for this machine, and for proxies that we trust."""
        address = parsed(peer[0]) if isinstance(peer, tuple) else None
        if address is None or address.is_loopback:
            return None
        if self._proxies is not None and self._proxies.trust(peer):
            return None
        if isinstance(address, IPv4Address):
            return str(address)
        return str(ip_network((address, CUSTOMER), strict=False))

    def say_refused(self, why: str) -> None:
        """Not each time, or whoever floods us would fill the disk as well."""
        self._refused += 1
        if monotonic() - self._said_at >= SAY_EVERY:
            logger.warning(
                "Connections refused since this was last said: %d; %s", self._refused, why
            )
            self._refused = 0
            self._said_at = monotonic()


def room(wanted: int = 0) -> int:
    """For how many connections there are descriptors, or as many as are wanted, if that is less.

    It asks for as many descriptors as this process can get.
    """
    limit = descriptors()
    possible = max(limit - RESERVED, limit // 2)
    if wanted > possible:
        logger.warning(
            "There is room for %d connections, not for %d: at most %d files may be open (ulimit -n;"
            " LimitNOFILE of systemd)",
            *(possible, wanted, limit),
        )
    return min(wanted or possible, possible)


def descriptors() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS calls it unlimited, and allows less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard if hard != resource.RLIM_INFINITY else ENDLESS
    return soft

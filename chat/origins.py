"""Which web pages may open a WebSocket: the request's own origin, and those that the settings name.

Not `AllowedHostsOriginValidator`: that ignores scheme and port, and raises on `http://[`.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_allowed(origin: str, own: str, others: Collection[str] = ()) -> bool:
    """Compare full origins (scheme, host, port); everything that is not one is refused."""
    asked = parse(origin)
    return asked is not None and asked in {parse(allowed) for allowed in (own, *others)}


def parse(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host in lower case and port; None for whatever a browser would not send."""
    try:
        parts = urlsplit(origin)
        port = DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:
        return None
    if not parts.hostname or port is None or "@" in parts.netloc:
        return None
    # It has nothing besides, nor any of the blanks and controls that urlsplit drops.
    if origin.lower() != f"{parts.scheme}://{parts.netloc}".lower():
        return None
    return parts.scheme, parts.hostname, port

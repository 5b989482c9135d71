"""The channel layer: whether what is said comes back, and what the server behind it is like."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from channels_redis.utils import decode_hosts
from django.conf import settings
from redis import AuthenticationError, Redis, RedisError, ResponseError
from redis import TimeoutError as RedisTimeoutError
from redis.sentinel import Sentinel

from .. import conf
from ..complaints import in_words
from ..health import echo
from .findings import Finding, doubtful, ok, wrong
from .network import obstacle

SLOW = 0.5  # seconds
SKEW = 30.0  # seconds
COSTS = "Until then messages of other workers are shown up to a second late; nothing is lost."


def look() -> Iterator[Finding]:
    configured = _configured()
    if not configured:
        yield ok("There is none: one worker needs none.")
        return
    if "InMemory" in configured["BACKEND"]:
        yield ok("It is in the memory of each worker, which suits one alone.")
        return
    wrongs = [finding for host in _hosts() for finding in _server(host)]
    yield from wrongs
    if not any(finding.verdict == "wrong" for finding in wrongs):
        yield _echo()
    if conf.workers() > 1 and not configured.get("CONFIG", {}).get("symmetric_encryption_keys"):
        yield ok("What workers say is not encrypted (CHANNEL_KEYS): who reads Redis reads it.")


def secrets() -> Iterator[str]:
    """What is configured and must not be shown."""
    for host in _hosts():
        password = host.get("password") or urlsplit(str(host.get("address", ""))).password
        yield from [str(password)] if password else []
    keys = _configured().get("CONFIG", {}).get("symmetric_encryption_keys") or []
    yield from (key if isinstance(key, str) else key.decode(errors="replace") for key in keys)


def _configured() -> dict[str, Any]:
    return getattr(settings, "CHANNEL_LAYERS", {}).get("default") or {}


def _hosts() -> list[dict[str, Any]]:
    configured = _configured()
    if "redis" not in configured.get("BACKEND", "").lower():
        return []
    return list(decode_hosts(configured.get("CONFIG", {}).get("hosts") or None))


def _echo() -> Finding:
    began = time.monotonic()
    try:
        asyncio.run(echo())
    except Exception as error:  # any layer
        return wrong(
            f"What is said does not come back ({in_words(error)}).", f"Restart it. {COSTS}"
        )
    seconds = time.monotonic() - began
    told = f"What is said comes back within {seconds * 1_000:.0f} ms, connecting included."
    remedy = "Look at its machine and at the way there: people wait for it."
    return doubtful(told, remedy) if seconds > SLOW else ok(told)


# A server


def _server(host: dict[str, Any]) -> Iterator[Finding]:
    where, at = _address(host)
    if at and (why := obstacle(*at)):
        yield wrong(
            f"The channel layer is stopped: {where} cannot be reached, {why}.",
            f"Start it (systemctl start valkey-server), or correct REDIS_URL. {COSTS}",
        )
        return
    try:
        with closing(_client(host)) as client:
            yield from _asked(where, client)
    except RedisError as error:
        told, remedy = _meaning(error)
        yield wrong(f"The channel layer is stopped: {where} {told}.", f"{remedy} {COSTS}")


def _address(host: dict[str, Any]) -> tuple[str, tuple[str, int] | None]:
    """In words without a password, and where a network leads to it."""
    if "master_name" in host:
        return f"{host['master_name']} of the Sentinels", None
    url = urlsplit(str(host.get("address", "")))
    if url.scheme == "unix":
        return url.path, None
    name = url.hostname or str(host.get("host", "localhost"))
    port = url.port or int(host.get("port", 6379))
    return f"{name}:{port}", (name, port)


def _client(host: dict[str, Any]) -> Redis:
    options = {**host, "socket_connect_timeout": 3, "socket_timeout": 3}
    if "master_name" in options:
        sentinels, name = options.pop("sentinels"), options.pop("master_name")
        sentinel_options = options.pop("sentinel_kwargs", None)
        known: Any = Sentinel  # untyped
        master: Redis = known(sentinels, sentinel_kwargs=sentinel_options).master_for(
            name, **options
        )
        return master
    if "address" in options:
        return Redis.from_url(options.pop("address"), **options)
    return Redis(**options)


def _meaning(error: RedisError) -> tuple[str, str]:
    """What it says, and what is to be done."""
    if isinstance(error, AuthenticationError) or "NOAUTH" in str(error):
        return "refuses our password", "Correct it in REDIS_URL: redis://:password@host:6379/0."
    if isinstance(error, RedisTimeoutError):
        return "takes connections and answers nothing", "Look at its machine, and restart it."
    if "certificate" in str(error).lower() or "ssl" in str(error).lower():
        return f"speaks no TLS that we trust ({in_words(error)})", "Correct REDIS_URL (rediss://)."
    return f"does not answer ({in_words(error)})", "Look at its log, and restart it."


def _asked(where: str, client: Redis) -> Iterator[Finding]:
    client.ping()
    try:
        told: dict[str, Any] = client.info()  # type: ignore[assignment]  # not awaitable here
    except ResponseError:  # an account that may not
        yield ok(f"{where} answers.")
        return
    version = told.get("valkey_version") or told.get("redis_version", "of no version")
    kind = "Valkey" if "valkey_version" in told else "Redis"
    yield ok(
        f"{kind} {version} at {where}; it keeps nothing of the chat's, so maxmemory-policy"
        f" {told.get('maxmemory_policy', '?')} and {told.get('evicted_keys', 0)} evicted keys"
        " do not matter."
    )
    if _is_open(client):
        yield doubtful(
            f"{where} listens on all of its addresses and asks for no password.",
            "Set requirepass, and bind 127.0.0.1 or a private address.",
        )
    seconds, microseconds = client.time()  # type: ignore[misc]
    if abs(seconds + microseconds / 1e6 - time.time()) > SKEW:
        yield doubtful(f"The clock of {where} is wrong.", "Keep time by NTP.")


def _is_open(client: Redis) -> bool:
    """To whoever reaches it; not where it does not say."""
    try:
        said: dict[str, str] = client.config_get("bind", "requirepass", "protected-mode")  # type: ignore[assignment]
    except RedisError:
        return False
    everywhere = not said.get("bind") or {"*", "0.0.0.0", "::"} & {*said["bind"].split()}  # noqa: S104
    return bool(everywhere) and not said.get("requirepass") and said.get("protected-mode") == "no"

"""What the settings promise: Django's checks and ours, and whether hosts and origins agree."""

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, registry, run_checks
from django.http.request import validate_host

from .. import conf, origins
from ..deployment import is_loopback
from .findings import Finding, Verdict, doubtful, ok


def look() -> Iterator[Finding]:
    if settings.DEBUG:
        yield doubtful(
            "DEBUG is on: what only matters in production was not looked at.",
            "Set DEBUG=0 where people use the site, and ask again.",
        )
    found = [message for message in _checks() if not message.is_silenced()]
    yield from map(_finding, found)
    if not found:
        yield ok("Neither Django's checks nor the chat's have anything to say.")
    if not settings.DEBUG:
        yield from _origins()
    if not settings.USE_TZ:
        yield doubtful(
            "USE_TZ is off: Django stores times that name no time zone.",
            "Set USE_TZ = True, before anybody has written anything.",
        )


def _checks() -> list[CheckMessage]:
    """All but those that ask a database: it may be what is wrong."""
    in_production = not settings.DEBUG
    tags = registry.registry.tags_available(in_production) - {Tags.database}
    return run_checks(tags=sorted(tags), include_deployment_checks=in_production)


def _finding(message: CheckMessage) -> Finding:
    verdict = Verdict.WRONG if message.is_serious() else Verdict.DOUBTFUL
    about = f"{message.obj}: " if message.obj else ""
    said = " ".join(f"{about}{message.msg} ({message.id})".split())
    return Finding(verdict, said, " ".join((message.hint or "").split()))


def _origins() -> Iterator[Finding]:
    """Whether a page on each host of ours may chat, and whose forms we take."""
    named = [origin for origin in map(str, conf.allowed_origins()) if origins.parse(origin)]
    pages = {parsed[1] for parsed in map(origins.parse, named) if parsed}
    left_out = [host for host in _whole_names() if pages and host not in pages]
    if left_out:
        yield doubtful(
            f"CHAT_ALLOWED_ORIGINS names other hosts, but not {', '.join(left_out)} of"
            " ALLOWED_HOSTS: behind a proxy that ends TLS its pages may be refused a WebSocket.",
            f"Add https://{left_out[0]}, or take that host out of ALLOWED_HOSTS.",
        )
    strangers = [
        origin
        for origin in settings.CSRF_TRUSTED_ORIGINS
        if "*" not in origin and not _is_known(urlsplit(origin).hostname or "", pages)
    ]
    if strangers:
        yield doubtful(
            f"The forms of {', '.join(strangers)} are taken, which is neither in ALLOWED_HOSTS"
            " nor in CHAT_ALLOWED_ORIGINS.",
            "Take it out of CSRF_TRUSTED_ORIGINS, unless it is a site of yours.",
        )
    if not left_out and not strangers:
        told = ", ".join(named) or "none but the site's own"
        yield ok(f"Hosts, origins and trusted forms agree; pages that may chat: {told}.")


def _whole_names() -> list[str]:
    hosts = settings.ALLOWED_HOSTS
    return [host for host in hosts if not host.startswith((".", "*")) and not _is_near(host)]


def _is_near(host: str) -> bool:
    """A machine of ours by its address, as whoever watches it asks."""
    try:
        return is_loopback(host) or ip_address(host.strip("[]")).is_private
    except ValueError:
        return False


def _is_known(host: str, pages: set[str]) -> bool:
    return host in pages or validate_host(host, settings.ALLOWED_HOSTS)

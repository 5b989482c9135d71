"""What operators watch, told over HTTP to those who may know. docs/operations.md explains it."""

import asyncio
from ipaddress import ip_address, ip_network

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from . import conf, metrics

# Headers of proxies. What `Forwarded` says is no bare address, and so from nowhere that may know.
SAYING_FOR_WHOM = ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED")


@never_cache
@require_safe
async def scrape(request: HttpRequest) -> HttpResponse:
    """All metrics as Prometheus reads them; for others there is nothing here."""
    if not _may_know(request):
        raise Http404
    text = await asyncio.to_thread(metrics.text)  # which may wait for another process
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _may_know(request: HttpRequest) -> bool:
    """Whether it comes from where CHAT_METRICS_FROM says.

    All through whom it is said to have come, in whichever way, have to be from there: so a proxy on
    this machine that the server was not told to believe opens nothing to those behind it.
    """
    said = filter(None, map(request.META.get, SAYING_FOR_WHOM))
    addresses = ",".join([request.META.get("REMOTE_ADDR") or "", *said])
    return all(map(_is_inside, addresses.split(",")))


def _is_inside(text: str) -> bool:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in ip_network(network, strict=False) for network in conf.metrics_from())

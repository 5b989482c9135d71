"""What operators watch, told over HTTP to those who may know. docs/operations.md explains it."""

import asyncio
from ipaddress import ip_address, ip_network

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from . import conf, metrics


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

    All through whom it is said to have come have to be from there: so a proxy on this machine that
    the server was not told to believe opens nothing to those behind it.
    """
    said = request.META.get("HTTP_X_FORWARDED_FOR", "")
    addresses = [request.META.get("REMOTE_ADDR") or "", *(said.split(",") if said else ())]
    return all(map(_is_inside, addresses))


def _is_inside(text: str) -> bool:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in ip_network(network, strict=False) for network in conf.metrics_from())

"""What comes over HTTP to be said: stored once, however often it is sent, and counted."""

from django.http import HttpRequest

from . import allowances, limits, messaging, metrics
from .errors import ChatError, RateLimited
from .messaging import Draft, Posted


def submit(request: HttpRequest, draft: Draft) -> Posted:
    """Store a draft; RateLimited unless it is the retry of a stored one."""
    visitor = allowances.visitor(request, draft.sender)
    try:
        limits.of(request).insist(*allowances.posts(visitor))
    except RateLimited:
        if messaging.find(draft) is None:
            raise
    [outcome] = messaging.post([draft])
    if isinstance(outcome, ChatError):
        raise outcome
    (metrics.posts_stored if outcome.new else metrics.posts_known).inc()
    return outcome

"""What has run out and is of no use to anybody: credentials, sessions, leases. Synchronous.

None of it counts any more; it only lies there. Workers clear up what they come across themselves.
"""

from collections.abc import Iterator
from typing import NamedTuple

from django.contrib.sessions.models import Session
from django.db.models import Model, QuerySet
from django.db.models.functions import Now

from . import leases
from .models import Token

BATCH = 1_000  # rows, so that nobody waits long


class Leftover(NamedTuple):
    """Some kind of it, and how much."""

    what: str
    rows: int


def leftovers() -> Iterator[Leftover]:
    """What `remove` would."""
    for what, rows in _expired():
        yield Leftover(what, rows.count())
    yield Leftover("Leases of workers that died", leases.expired().count())


def remove() -> Iterator[Leftover]:
    """Kind by kind; may be stopped at any moment."""
    for what, rows in _expired():
        yield Leftover(what, _delete(rows))
    before = leases.expired().count()
    leases.sweep()
    yield Leftover("Leases of workers that died", before)


def _expired() -> Iterator[tuple[str, QuerySet[Model]]]:
    """By the database's clock, by which they run out."""
    for kind in Token.Kind:
        expired = Token.objects.filter(kind=kind, expires_at__lt=Now())
        yield f"{kind.label}s that have expired", expired
    yield "Sessions that have expired", Session.objects.filter(expire_date__lt=Now())


def _delete(rows: QuerySet[Model]) -> int:
    count = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        count += rows.filter(pk__in=keys).delete()[0]
    return count

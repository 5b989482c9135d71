"""Who is online: the workers that live, and the connections that they hold. Synchronous.

Presence is never counted up and down. A worker renews one lease for all of its connections; when it
dies, the lease runs out, and they are gone with it. All times are the database's: workers' clocks
may differ.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from .models import Connection, LastSeen, Lease
from .rooms import UserKey

LIFE = timedelta(seconds=15)  # of a lease that nobody renews


def renew(worker: str, opened: Mapping[str, UserKey], closed: Collection[str]) -> bool:
    """Note that a worker lives, and which of its connections (by key) were opened and closed.

    False if there is no such lease, or no longer: nothing was noted, and `begin` is due.
    """
    with transaction.atomic():
        lease = Lease.objects.filter(pk=worker)
        change = 1 if opened or closed else 0
        if not lease.update(renewed_at=Now(), version=F("version") + change):
            return False
        if closed:
            _end(Connection.objects.filter(pk__in=closed))
        _insert(worker, opened)
    return True


def begin(worker: str, connections: Mapping[str, UserKey]) -> None:
    """A new lease, for a worker with these connections."""
    with transaction.atomic():
        Lease.objects.update_or_create(pk=worker, defaults={"renewed_at": Now()})
        _insert(worker, connections)


def end(worker: str) -> None:
    """Give a lease back, with all of its connections."""
    with transaction.atomic():
        _end(Connection.objects.filter(lease=worker))
        Lease.objects.filter(pk=worker).delete()


def sweep() -> None:
    """Clear up behind workers that died without a word."""
    for worker in list(_expired().values_list("pk", flat=True)):
        with transaction.atomic():  # one each: of two leases, the users would be locked unordered
            lease = _expired().filter(pk=worker).select_for_update(skip_locked=True).first()
            if lease is not None:  # otherwise another worker was faster
                _end(lease.connections.all(), lease.renewed_at)
                lease.delete()


def versions() -> dict[str, int]:
    """Of the living leases, by worker; one rises whenever the worker's connections change."""
    living = Lease.objects.filter(renewed_at__gte=Now() - LIFE)
    return dict(living.values_list("pk", "version"))


def users(workers: Collection[str]) -> dict[str, set[UserKey]]:
    """Who has a connection on each of these workers."""
    found: dict[str, set[UserKey]] = defaultdict(set)
    rows = Connection.objects.filter(lease__in=workers).values_list("lease", "user")
    for worker, user_id in rows.distinct():
        found[worker].add(user_id)
    return found


def online(user_ids: Collection[UserKey]) -> set[UserKey]:
    """Which of these users are."""
    living = Connection.objects.filter(lease__renewed_at__gte=Now() - LIFE)
    return set(living.filter(user__in=user_ids).values_list("user", flat=True))


def last_seen(user_ids: Collection[UserKey]) -> dict[UserKey, datetime]:
    """When the last connection of each of these users ended; nobody who never had one."""
    return dict(LastSeen.objects.filter(pk__in=user_ids).values_list("pk", "at"))


def _expired() -> QuerySet[Lease]:
    return Lease.objects.filter(renewed_at__lt=Now() - LIFE)


def _insert(worker: str, connections: Mapping[str, UserKey]) -> None:
    Connection.objects.bulk_create(
        (Connection(id=k, lease_id=worker, user_id=v) for k, v in connections.items()),
        ignore_conflicts=True,  # a worker that could not wait for the answer asks again
    )


def _end(connections: QuerySet[Connection], at: datetime | None = None) -> None:
    """Remove them; their users were last seen now, or `at`."""
    user_ids = sorted(set(connections.values_list("user", flat=True)))
    LastSeen.objects.bulk_create(
        [LastSeen(user_id=user_id, at=at or Now()) for user_id in user_ids],
        update_conflicts=True,
        unique_fields=["user"],
        update_fields=["at"],
    )
    connections.delete()

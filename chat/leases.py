"""Who is connected: the workers that live, and the connections that they hold. Synchronous.

Presence is never counted up and down. A worker renews one lease for all of its connections; when it
dies, the lease runs out, and they are gone with it. All times are the database's: workers' clocks
may differ.
"""

import os
import socket
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Now

from . import rows
from .addresses import household
from .close_codes import CloseCode
from .models import Connection, LastSeen, Lease
from .users import UserKey

LIFE = timedelta(seconds=15)  # of a lease that nobody renews
MOVE = timedelta(seconds=5)  # that people take to come from a worker that ends to another one

Version = tuple[datetime, int]  # when the lease began, and the number of its changes


class Link(NamedTuple):
    """A connection, as its worker tells of it."""

    user_id: UserKey
    address: str = ""
    client: str = ""
    subprotocol: str = ""
    state: str = Connection.State.SILENT
    age: float = 0  # seconds since it was opened
    idle: float = 0  # seconds since its client last said something


class Crowd(NamedTuple):
    """How many connections users, and addresses as limits count them, have on a worker.

    None of those that are about to end; but whoever has one is among the users.
    """

    users: Counter[UserKey]
    households: Counter[str]


def renew(
    worker: str,
    opened: Mapping[str, Link],
    closed: Collection[str],
    moved: Mapping[str, Link] | None = None,
) -> bool:
    """Note that a worker lives, and which of its connections (by key) opened, closed and moved on.

    False if there is no such lease, or no longer: nothing was noted, and `begin` is due.
    """
    with transaction.atomic():
        change = 1 if opened or closed else 0
        if not _touch(worker, change):
            return False
        if closed:
            _end(Connection.objects.filter(pk__in=closed))
        _insert(worker, opened)
        if moved:
            _update(moved)
    return True


def begin(worker: str, connections: Mapping[str, Link]) -> None:
    """A lease for a worker with exactly these connections, whatever is known of it by now."""
    with transaction.atomic():
        if not _touch(worker, 1):
            Lease.objects.create(worker=worker, host=socket.gethostname()[:64], pid=os.getpid())
        _end(Connection.objects.filter(lease=worker).exclude(pk__in=list(connections)))
        _insert(worker, connections)
        _update(connections)  # those that were there


def end(worker: str) -> None:
    """Give a lease back, with all of its connections."""
    with transaction.atomic():
        for lease in Lease.objects.filter(pk=worker).select_for_update():
            _end(lease.connections.all())
            lease.delete()


def leave(worker: str) -> None:
    """Let a lease run out soon: whoever was connected there is about to come back elsewhere."""
    with transaction.atomic():
        soon = Now() - LIFE + MOVE
        if Lease.objects.filter(pk=worker).update(renewed_at=soon, version=F("version") + 1):
            left = Connection.objects.filter(lease=worker).order_by("pk")
            _see(set(left.select_for_update(no_key=True).values_list("user", flat=True)))
            left.update(close_code=CloseCode.RESTART)  # nobody is refused a place for them


def sweep() -> None:
    """Clear up behind workers that died without a word."""
    for worker in list(expired().values_list("pk", flat=True)):
        with transaction.atomic():  # one each: of two leases, the users would be locked unordered
            lease = expired().filter(pk=worker).select_for_update().first()
            if lease is not None:  # otherwise another worker was faster
                _end(lease.connections.all(), lease.renewed_at)
                lease.delete()


def versions() -> dict[str, Version]:
    """Of the living leases, by worker: another one whenever the worker's connections change."""
    living = Lease.objects.filter(renewed_at__gte=Now() - LIFE)
    return {
        pk: (at, version) for pk, at, version in living.values_list("pk", "started_at", "version")
    }


def crowds(workers: Collection[str]) -> dict[str, Crowd]:
    """Who is connected to each of these workers."""
    found = {worker: Crowd(Counter(), Counter()) for worker in workers}
    links = Connection.objects.filter(lease__in=workers).values_list("lease", "user", "address")
    staying = Count("pk", filter=Q(close_code=None))
    for worker, user_id, address, count in links.annotate(count=staying):
        found[worker].users[user_id] += count
        if home := household(address):
            found[worker].households[home] += count
    return found


def together(crowds: Iterable[Crowd]) -> Crowd:
    """All of them as one."""
    users: Counter[UserKey] = Counter()
    households: Counter[str] = Counter()
    for crowd in crowds:
        users.update(crowd.users)
        households.update(crowd.households)
    return Crowd(users, households)


def closing(connections: Collection[str]) -> dict[str, int]:
    """Which of these connections (by key) somebody wants closed, and with which code."""
    asked = Connection.objects.filter(pk__in=connections, close_code__isnull=False)
    return {key: code for key, code in asked.values_list("pk", "close_code") if code}


def living_connections() -> QuerySet[Connection]:
    """Those of the workers that live."""
    return Connection.objects.filter(lease__renewed_at__gte=Now() - LIFE)


def online(user_ids: Collection[UserKey]) -> set[UserKey]:
    """Which of these users are."""
    found = living_connections().filter(user__in=user_ids)
    return set(found.values_list("user", flat=True))


def last_seen(user_ids: Collection[UserKey]) -> dict[UserKey, datetime]:
    """When the last connection of each of these users ended; nobody who never had one."""
    return dict(LastSeen.objects.filter(pk__in=user_ids).values_list("pk", "at"))


def expired() -> QuerySet[Lease]:
    """Of workers that died without a word."""
    return Lease.objects.filter(renewed_at__lt=Now() - LIFE)


def _touch(worker: str, change: int) -> bool:
    lease = Lease.objects.filter(pk=worker)
    return bool(lease.update(renewed_at=Now(), version=F("version") + change))


def _insert(worker: str, connections: Mapping[str, Link]) -> None:
    """Times are told as durations: workers' clocks may differ from the database's."""
    if not connections:
        return
    now = Lease.objects.values_list(Now()).get(pk=worker)[0]
    Connection.objects.bulk_create(
        (
            Connection(
                id=key,
                lease_id=worker,
                user_id=link.user_id,
                address=link.address,
                client=link.client,
                subprotocol=link.subprotocol,
                state=link.state,
                since=now - timedelta(seconds=link.age),
                active_at=now - timedelta(seconds=link.idle),
            )
            for key, link in connections.items()
        ),
        ignore_conflicts=True,  # a worker that could not wait for the answer asks again
    )


def _update(moved: Mapping[str, Link]) -> None:
    here = Connection.objects.filter(pk__in=moved).select_for_update(no_key=True).order_by("pk")
    changed = [  # both are told as durations, which may have waited for different times
        [key, max(since, now - timedelta(seconds=moved[key].idle)), moved[key].state]
        for key, since, now in here.values_list("pk", "since", Now())
    ]
    rows.update(Connection, ["id", "active_at", "state"], changed)


def _end(connections: QuerySet[Connection], at: datetime | None = None) -> None:
    """Remove them; their users were last seen now, or `at`, if they were not seen since."""
    # Locked in the order of their keys, as by whoever wants some of them closed.
    locked = connections.select_for_update(no_key=True, of=("self",)).order_by("pk")
    user_ids = set(locked.values_list("user", flat=True))
    if at is not None:
        user_ids -= set(
            LastSeen.objects.filter(pk__in=user_ids, at__gte=at).values_list("pk", flat=True)
        )
    _see(user_ids, at)
    connections.delete()


def _see(user_ids: Collection[UserKey], at: datetime | None = None) -> None:
    LastSeen.objects.bulk_create(
        [LastSeen(user_id=user_id, at=at or Now()) for user_id in sorted(user_ids)],
        update_conflicts=True,
        unique_fields=["user"],
        update_fields=["at"],
    )

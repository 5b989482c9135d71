"""How long messages are kept: older ones become empty tombstones, and their room begins later.

Their rows stay, with numbers, client ids and digests: order stays whole, and a retry is recognised
years later. The invariant: below a room's `first_seq` every message is empty, and whoever has less
than `first_rev` may have missed some of them. Both are raised with each batch, in its transaction.

Nobody is told. Workers find the room's new beginning by the check each second, as they find its
head: to raise the access of ten thousand members would make each of them a question of its own.

How long, is said by the room itself; else for the site in the admin panel; else by CHAT_KEEP_DAYS.
What the panel says, workers do by themselves (`step`); the setting counts for `manage.py purge`.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from operator import attrgetter
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Exists, F, Func, IntegerField, OuterRef, Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from . import audit, conf
from .audit import Action, Actor
from .models import Message, Purge, Retention, Room

BATCH = 500  # messages, in a tenth of a second; a post to their room waits, on SQLite any
ROOMS = 10  # in a step of the workers, each with a commit of its own
MOST_DAYS = 36_500
EVERY = timedelta(hours=1)  # the workers look for what is old
CLAIM = timedelta(minutes=1)  # to one step; of whoever dies in it, another worker carries on

KEPT_FOR_EVER = Q(retention_days=0)


class Term(NamedTuple):
    """Rooms that keep messages equally long."""

    age: timedelta
    rooms: Q


@dataclass(frozen=True, slots=True)
class Purged:
    """What is, or would be, gone of a room."""

    room: str  # as it is called
    room_id: str
    messages: int
    bytes: int


class Old(NamedTuple):
    """A message, as far as its age is concerned."""

    seq: int
    rev: int
    bytes: int
    goes: bool


class Bytes(Func):
    """How long a text is where it is stored."""

    function = "OCTET_LENGTH"
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "LENGTH(CAST(%(expressions)s AS BLOB))"  # octet_length came with 3.43
        return super().as_sql(compiler, connection, template=template, **context)


# How long


def days_set() -> int | None:
    """For the site, in the panel; 0: for ever; None: nothing is set there."""
    return Retention.objects.filter(pk=1).values_list("days", flat=True).first()


def site_days() -> int:
    """For rooms that do not say; 0: for ever."""
    days = days_set()
    return conf.keep_days() if days is None else days


def days_of(room: Room) -> int:
    """How long this room keeps its messages; 0: for ever."""
    return site_days() if room.retention_days is None else room.retention_days


def terms(site: int) -> list[Term]:
    """Which rooms let go of messages, and when; `site` days count where a room does not say."""
    said = Room.objects.filter(retention_days__gt=0).values_list("retention_days", flat=True)
    found = [Term(_age(days or 0), Q(retention_days=days)) for days in said.distinct().order_by()]
    return [*found, Term(_age(site), Q(retention_days=None))] if site else found


def _age(days: int) -> timedelta:
    return timedelta(days=min(days, MOST_DAYS))


def set_days(days: int | None) -> None:
    """For the site. Workers begin at once."""
    Retention.objects.update_or_create(pk=1, defaults={"days": days, "due_at": Now()})


def set_days_of(room: Room, days: int | None) -> None:
    """For one room; None: as for the site. Workers begin at once."""
    Room.objects.filter(pk=room.pk).update(retention_days=days)
    be_due()


def be_due() -> None:
    """Have workers begin at once: somebody wants it, or has changed the days of a room."""
    Retention.objects.update_or_create(pk=1, defaults={"due_at": Now()})


# What an operator does


def purge(
    age: timedelta | None = None,
    room_ids: Collection[str] | None = None,
    *,
    dry_run: bool = False,
    actor: Actor | None = None,
) -> Iterator[Purged]:
    """Let go of what is older, room by room: in these rooms, or in all that keep it not for ever.

    Without an age, of what is older than is set. What `dry_run` would. The actor is written down
    before anything goes. May be stopped at any moment and begun again. Who posts meanwhile waits
    for one batch at most.
    """
    everywhere = Q() if room_ids is not None else ~KEPT_FOR_EVER
    asked = terms(site_days()) if age is None else [Term(age, everywhere)]
    rooms = Room.objects.all() if room_ids is None else Room.objects.filter(pk__in=room_ids)
    due = [(room, Now() - term.age) for term in asked for room in _old(rooms, term)]
    if actor and due and not dry_run:
        _write_down(actor, age, [room for room, _ in due])
    try:
        for room, before in due:
            batches = _look_through(room, before) if dry_run else _empty(room, before)
            sizes = [old.bytes for batch in batches for old in batch]
            if sizes:
                yield Purged(str(room), room.pk, len(sizes), sum(sizes))
    finally:
        if not dry_run:
            _end_run()


def _old(rooms: QuerySet[Room], term: Term) -> QuerySet[Room]:
    """Those of the term whose first message goes, by the clock by which it was stored."""
    return begin_before(rooms.filter(term.rooms), Now() - term.age).order_by("pk")


def begin_before(rooms: QuerySet[Room], moment: Any) -> QuerySet[Room]:
    """Those whose first message is older. Asked of each room: joined, SQLite reads all messages."""
    first = Message.objects.filter(room=OuterRef("pk"), seq=OuterRef("first_seq"))
    return rooms.filter(Exists(first.filter(created_at__lt=moment)))


def _write_down(actor: Actor, age: timedelta | None, rooms: Sequence[Room]) -> None:
    [only] = rooms if len(rooms) == 1 else [None]
    after = {"rooms": len(rooms), "older_than_days": age and age / timedelta(days=1)}
    audit.record(actor, Action.PURGED, only, after=after)


def _look_through(room: Room, before: CombinedExpression) -> Iterator[Sequence[Old]]:
    first_seq = room.first_seq
    while batch := _oldest(room.pk, first_seq, before, BATCH):
        yield batch
        first_seq = batch[-1].seq + 1


def _empty(room: Room, before: CombinedExpression) -> Iterator[Sequence[Old]]:
    while True:
        began = time.monotonic()
        if not (batch := _empty_some(room.pk, before, BATCH)):
            return
        yield batch
        time.sleep(time.monotonic() - began)  # SQLite hands the file to whoever asks next


# What workers do


def step() -> float | None:
    """Let go of a batch of what the panel says has had its time, if a run is due.

    Seconds after which there is more to do; None: there is not. One worker does it at a time.
    """
    if (claim := _claim()) is None:
        return None
    began = time.monotonic()
    more = _empty_next()
    with transaction.atomic():
        if not more:
            _end_run()
        mine = Retention.objects.filter(pk=1, due_at=claim)  # unless it became due once more
        mine.update(due_at=Now() if more else Now() + EVERY)
    return time.monotonic() - began if more else None


def _claim() -> datetime | None:
    """Until when this step is ours; None if it is somebody else's, or none is due."""
    if Retention.objects.filter(pk=1, due_at__gt=Now()).exists():
        return None
    Retention.objects.get_or_create(pk=1)
    due = Retention.objects.filter(Q(due_at=None) | Q(due_at__lte=Now()), pk=1)
    with transaction.atomic():
        if not due.update(due_at=Now() + CLAIM):
            return None
        return Retention.objects.values_list("due_at", flat=True).get(pk=1)


def _empty_next() -> bool:
    """A batch, perhaps of several rooms; whether there may be more."""
    left = BATCH
    for term in terms(days_set() or 0):
        found = list(_old(Room.objects.all(), term).values_list("pk", flat=True)[:ROOMS])
        for room_id in found:
            left -= len(_empty_some(room_id, Now() - term.age, left))
            if left <= 0:
                return True
        if len(found) == ROOMS:
            return True
    return False


# A batch


def _empty_some(room_id: str, before: CombinedExpression, limit: int) -> Sequence[Old]:
    with transaction.atomic():
        room = Room.objects.select_for_update(no_key=True).filter(pk=room_id).first()
        if room is None:
            return []
        found = _oldest(room_id, room.first_seq, before, limit + 1)
        batch = found[:limit]
        if batch:
            first, last = batch[0].seq, batch[-1].seq
            gone = Message.objects.filter(room=room_id, seq__gte=first, seq__lte=last)
            gone.update(body="", deleted=True, edited_at=None)
            first_rev = max(room.first_rev, *(old.rev + 1 for old in batch))
            Room.objects.filter(pk=room_id).update(first_seq=last + 1, first_rev=first_rev)
            _count(batch, rooms=1 if batch == found else 0)
    return batch


def _oldest(room_id: str, first_seq: int, before: CombinedExpression, limit: int) -> Sequence[Old]:
    """The next messages from there on, up to the first that stays."""
    messages = Message.objects.filter(room=room_id, seq__gte=first_seq).order_by("seq")
    aged = messages.annotate(goes=Q(created_at__lt=before))
    rows = aged.values_list("seq", "rev", Bytes("body"), "goes")[:limit]
    return list(takewhile(attrgetter("goes"), map(Old._make, rows)))


def _count(batch: Sequence[Old], rooms: int) -> None:
    """In the run that goes on; one that was cut off is carried on."""
    run = Purge.objects.filter(ended_at=None).order_by("pk").last() or Purge.objects.create()
    Purge.objects.filter(pk=run.pk).update(
        rooms=F("rooms") + rooms,
        messages=F("messages") + len(batch),
        bytes=F("bytes") + sum(old.bytes for old in batch),
    )


def _end_run() -> None:
    Purge.objects.filter(ended_at=None).update(ended_at=Now())

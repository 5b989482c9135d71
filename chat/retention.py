"""How long messages are kept: older ones become empty tombstones, and their room begins later.

Their rows stay, with numbers, client ids and digests: order stays whole, and a retry is recognised
years later. The invariant: below a room's `first_seq` every message is empty, and whoever has less
than `first_rev` may have missed some of them. Both are raised with each batch, in its transaction.

Nobody is told. Workers find the room's new beginning by the check each second, as they find its
head: to raise the access of ten thousand members would make each of them a question of its own.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from operator import attrgetter
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F, Func, IntegerField, Q
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from .models import Message, Room

BATCH = 500  # messages, in a tenth of a second; a post to their room waits, on SQLite any


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


def purge(
    age: timedelta, room_ids: Collection[str] | None = None, *, dry_run: bool = False
) -> Iterator[Purged]:
    """Let go of what is older in these rooms, or in all, room by room; what `dry_run` would.

    May be stopped at any moment and begun again. Who posts meanwhile waits for one batch at most.
    """
    before = Now() - age  # by the clock by which messages were stored
    old = Room.objects.filter(messages__seq=F("first_seq"), messages__created_at__lt=before)
    if room_ids is not None:
        old = old.filter(pk__in=room_ids)
    for room in list(old.order_by("pk")):
        batches = _look_through(room, before) if dry_run else _empty(room, before)
        sizes = [old.bytes for batch in batches for old in batch]
        if sizes:
            yield Purged(str(room), room.pk, len(sizes), sum(sizes))


def _look_through(room: Room, before: CombinedExpression) -> Iterator[list[Old]]:
    first_seq = room.first_seq
    while batch := _oldest(room.pk, first_seq, before):
        yield batch
        first_seq = batch[-1].seq + 1


def _empty(room: Room, before: CombinedExpression) -> Iterator[list[Old]]:
    while True:
        began = time.monotonic()
        if not (batch := _empty_some(room.pk, before)):
            return
        yield batch
        time.sleep(time.monotonic() - began)  # SQLite hands the file to whoever asks next


def _empty_some(room_id: str, before: CombinedExpression) -> list[Old]:
    with transaction.atomic():
        room = Room.objects.select_for_update(no_key=True).filter(pk=room_id).first()
        if room is None:
            return []
        batch = _oldest(room_id, room.first_seq, before)
        if batch:
            first, last = batch[0].seq, batch[-1].seq
            gone = Message.objects.filter(room=room_id, seq__gte=first, seq__lte=last)
            gone.update(body="", deleted=True, edited_at=None)
            first_rev = max(room.first_rev, *(old.rev + 1 for old in batch))
            Room.objects.filter(pk=room_id).update(first_seq=last + 1, first_rev=first_rev)
    return batch


def _oldest(room_id: str, first_seq: int, before: CombinedExpression) -> list[Old]:
    """The next messages from there on, up to the first that stays."""
    messages = Message.objects.filter(room=room_id, seq__gte=first_seq).order_by("seq")
    aged = messages.annotate(goes=Q(created_at__lt=before))
    rows = aged.values_list("seq", "rev", Bytes("body"), "goes")[:BATCH]
    return list(takewhile(attrgetter("goes"), map(Old._make, rows)))

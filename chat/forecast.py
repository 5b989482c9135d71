"""What would go if messages were kept for so many days: told by numbers, without reading any.

Within a room, messages are as old as their numbers are low: the first that stays is found by
halving, in many rooms with one question for each step. How many bytes they have, only
`manage.py purge --dry-run` tells, which reads them.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import F, QuerySet
from django.utils import timezone

from . import rows
from .models import Message, Room
from .retention import MOST_DAYS, begin_before

SHOWN = 20  # rooms, of which most goes
AT_ONCE = 200  # rooms in one question
MOST_ROOMS = 2_000  # that are looked into
PATIENCE = 0.15  # seconds, after which what has been found is told


class Share(NamedTuple):
    """What would go of a room."""

    room: Room
    messages: int


@dataclass(slots=True)
class Forecast:
    """What would go of all that was said before a moment; None: nothing ever does."""

    before: datetime | None = None
    rooms: int = 0
    messages: int = 0
    shares: list[Share] = field(default_factory=list)  # the largest
    is_whole: bool = True  # otherwise it is at least so much

    def add(self, shares: Sequence[Share]) -> None:
        self.rooms += len(shares)
        self.messages += sum(share.messages for share in shares)
        largest = sorted([*self.shares, *shares], key=lambda share: -share.messages)
        self.shares = largest[:SHOWN]


def forecast(rooms: QuerySet[Room], days: int) -> Forecast:
    """For these rooms; those with most messages are looked into first. 0 days: for ever."""
    if not days:
        return Forecast()
    deadline = time.monotonic() + PATIENCE
    told = Forecast(timezone.now() - timedelta(days=min(days, MOST_DAYS)))
    old = begin_before(rooms, told.before)
    long = old.annotate(length=F("seq") - F("first_seq")).order_by("-length", "pk")
    found = list(long.only("name", "kind", "seq", "first_seq")[: MOST_ROOMS + 1])
    told.is_whole = len(found) <= MOST_ROOMS
    for start in range(0, min(len(found), MOST_ROOMS), AT_ONCE):
        if told.rooms and time.monotonic() > deadline:
            told.is_whole = False
            break
        told.add([*_shares(found[start : start + AT_ONCE], told.before)])
    return told


def _shares(rooms: Sequence[Room], before: datetime | None) -> Iterator[Share]:
    """Each begins with a message that goes."""
    goes = [room.first_seq for room in rooms]
    stays = [room.seq + 1 for room in rooms]
    while open_ := [n for n in range(len(rooms)) if goes[n] + 1 < stays[n]]:
        middles = [(goes[n] + stays[n]) // 2 for n in open_]
        aged = _aged([(rooms[n].pk, seq) for n, seq in zip(open_, middles, strict=True)], before)
        for place, (n, seq) in enumerate(zip(open_, middles, strict=True)):
            (goes if place in aged else stays)[n] = seq
    for room, first in zip(rooms, stays, strict=True):
        yield Share(room, first - room.first_seq)


def _aged(places: Sequence[tuple[str, int]], before: datetime | None) -> set[int]:
    """Which of these messages, by room and number, go."""
    found = rows.find(Message, ["room_id", "seq"], places, "n, created_at")
    return {n for n, said_at in found if before and rows.moment(said_at) < before}

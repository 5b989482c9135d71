"""What has been said: replay for whoever was away, history for whoever looks back. Synchronous.

A reader's place in a room is a cursor, the `rev` up to which everything is there. Edits and
deletions take a new rev, so they come the same way as what is new.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from django.contrib.auth import get_user_model
from django.db.models import F, Q, QuerySet

from . import conf
from .errors import NotFound
from .models import Message, Room
from .users import UserKey

NEVER = 2**63 - 1  # the cursor of a copy that is not of this database, and to be thrown away


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a reader stands in a room: has all up to `rev`.

    `limit`: how many missed messages are wanted at the most; None: all of them.
    `floor`: of the messages below this place, only what changes after `floor_rev` is wanted.
    `reset`: the reader's copy of the room is to be thrown away first.
    """

    rev: int
    limit: int | None = None
    floor: int = 0
    floor_rev: int = 0
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Messages of one room in rev order, each in its latest state, from `after` to `upto`."""

    room_id: str
    messages: Sequence[Message]
    after: int
    upto: int
    complete: bool  # it ends at the head, as that was when it was read
    reset: bool
    next: Cursor  # where the reader stands behind it


def heads(room_ids: Collection[str]) -> dict[str, int]:
    """The rev of the latest change in each of these rooms."""
    return dict(Room.objects.filter(pk__in=room_ids).values_list("pk", "rev"))


def replay(cursors: Mapping[str, Cursor], size: int = conf.PAGE) -> list[Page]:
    """The next page of each of these rooms: of as many as fit into `size` messages, one at least.

    Rooms that are gone are left out. Two queries; up to two more for a room that has to be reset.
    """
    # The heads before the rows: what is committed between the two belongs to the next page.
    rooms = Room.objects.in_bulk(list(cursors))
    asked: dict[str, Cursor] = {}
    room_left = size
    for room_id, cursor in cursors.items():
        if room_id not in rooms:
            continue
        start = _start(rooms[room_id], cursor)
        expected = _at_most(rooms[room_id], start)
        if asked and expected > room_left:
            break
        asked[room_id] = start
        room_left -= expected
    found = _missed({room_id: (rooms[room_id], cursor) for room_id, cursor in asked.items()}, size)
    return [
        _page(rooms[room_id], cursor, found.get(room_id, []), size)
        for room_id, cursor in asked.items()
    ]


def _start(room: Room, cursor: Cursor) -> Cursor:
    """The cursor itself or, if the room cannot be continued from there, one that begins anew."""
    if cursor.reset:
        return cursor
    limit = cursor.limit
    if cursor.rev > room.rev:  # not of this database
        return _newest(room, conf.PAGE if limit is None else limit)
    if cursor.rev < room.first_rev - 1:  # older than what retention kept
        return _newest(room, room.seq if limit is None else limit)
    if limit is not None and room.rev - cursor.rev > limit:
        missed = Message.objects.filter(room=room, rev__gt=cursor.rev)
        if missed[: limit + 1].count() > limit:
            return _newest(room, limit)
    return replace(cursor, limit=None)


def _newest(room: Room, limit: int) -> Cursor:
    floor = max(room.first_seq, room.seq - limit + 1)
    oldest = Message.objects.filter(room=room, seq__gte=floor).order_by("seq").first()
    # No message from there on has a rev below the birth of the oldest.
    start = min(oldest.born - 1, room.rev) if oldest else room.rev
    return Cursor(start, floor=floor, floor_rev=room.rev, reset=True)


def _at_most(room: Room, cursor: Cursor) -> int:
    below = max(0, room.rev - cursor.floor_rev) if cursor.floor else 0
    return min(room.rev - cursor.rev, room.seq - cursor.floor + 1 + below)


def _missed(asked: Mapping[str, tuple[Room, Cursor]], size: int) -> dict[str, list[Message]]:
    ranges = Q()
    for room, cursor in asked.values():
        if cursor.rev < room.rev:
            missed = Q(room=room, rev__gt=cursor.rev, rev__lte=room.rev)
            if cursor.floor:
                missed &= Q(seq__gte=cursor.floor) | Q(rev__gt=cursor.floor_rev)
            ranges |= missed
    found: dict[str, list[Message]] = {}
    if ranges:
        for message in stored_messages().filter(ranges).order_by("room_id", "rev")[:size]:
            found.setdefault(message.room_id, []).append(message)
    return found


def _page(room: Room, cursor: Cursor, messages: Sequence[Message], size: int) -> Page:
    complete = len(messages) < size or messages[-1].rev == room.rev
    upto = room.rev if complete else messages[-1].rev
    return Page(
        room_id=room.pk,
        messages=messages,
        after=0 if cursor.reset else cursor.rev,
        upto=upto,
        complete=complete,
        reset=cursor.reset,
        next=replace(cursor, rev=upto, reset=False),
    )


@dataclass(frozen=True, slots=True)
class History:
    """A piece of a room in seq order."""

    messages: Sequence[Message]
    more_before: bool
    more_after: bool


def history(
    user_id: UserKey,
    room_id: str,
    *,
    before: int | None = None,
    after: int | None = None,
    around: int | None = None,
    limit: int = conf.PAGE,
) -> History:
    """Messages next to a place (seq) of a room in which the user has a seat, at most `limit`.

    `around` includes the place itself; with no place given, the newest.
    """
    room = Room.objects.filter(pk=room_id, memberships__user=user_id).first()
    if room is None:
        raise NotFound
    limit = min(limit, conf.PAGE)
    end = room.seq + 1
    if after is not None:
        low = max(room.first_seq, min(after, end) + 1)
    elif around is not None:
        low = min(max(room.first_seq, around), end) - limit // 2
    else:
        low = (end if before is None else min(before, end)) - limit
    high = low + limit - 1
    kept = stored_messages().filter(room=room, seq__gte=room.first_seq)
    places = kept.filter(seq__gte=low, seq__lte=high)
    messages = list(places.order_by("seq"))
    return History(
        messages,
        more_before=room.first_seq < min(low, end),
        more_after=max(high, room.first_seq - 1) < room.seq,
    )


def stored_messages() -> QuerySet[Message]:
    """Messages with their senders' names, to be shown."""
    sender = F(f"sender__{get_user_model().USERNAME_FIELD}")
    return Message.objects.annotate(sender_name=sender)  # type: ignore[no-redef]

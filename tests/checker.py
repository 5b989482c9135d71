"""Whether a recorded history keeps what Roost promises: a pure function from events and rows.

Each finding begins with the number of the invariant that it breaks.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.history import (
    Acknowledged,
    Admitted,
    Applied,
    Barred,
    Edited,
    Entered,
    Event,
    Head,
    Left,
    Row,
    Sent,
    Settled,
    Skipped,
    Stored,
    Told,
    user_of,
)


@dataclass(slots=True)
class Copy:
    """What a device holds of a room, and from where on it must be whole."""

    start: int  # all with a higher rev…
    cursor: int
    floor: int | None = None  # …and, after a reset, from this place on; None: from the first
    messages: dict[int, Told] = field(default_factory=dict)  # by seq

    def take(self, applied: Applied) -> None:
        if applied.reset:
            self.messages.clear()
            self.start = 0
            # Older messages that are edited later come too, but what lies between is not owed.
            self.floor = min((told.seq for told in applied.messages), default=2**63)
        for told in applied.messages:
            known = self.messages.get(told.seq)
            if known is None or known.rev < told.rev:
                self.messages[told.seq] = told
        self.cursor = applied.upto if applied.reset else max(self.cursor, applied.upto)

    def owes(self, row: Row) -> bool:
        """Whether it must have this row by now."""
        return self.start < row.rev <= self.cursor and row.seq >= (self.floor or 0)


def findings(history: Sequence[Event], rows: Sequence[Row], heads: Mapping[str, Head]) -> list[str]:
    """What is wrong; nothing, if all promises were kept."""
    return [
        *_lost(history, rows),
        *_phantoms(history),
        *_doubled(history, rows),
        *_holes_in_revs(history, rows, heads),
        *_out_of_order(history),
        *_sender_order(history),
        *_copies(history, rows, heads),
        *_cursors(history, heads),
        *_seen_by_outsiders(history),
    ]


def _lost(history: Sequence[Event], rows: Sequence[Row]) -> Iterator[str]:
    stored = {(row.sender, row.id): (row.room, row.seq) for row in rows}
    for event in history:
        if isinstance(event, Acknowledged):
            place = stored.get((user_of(event.device), event.id))
            if place is None:
                yield f"I1 acknowledged, but lost: {event}"
            elif place != (event.room, event.seq):
                yield f"I1 acknowledged elsewhere than stored, at {place}: {event}"


def _phantoms(history: Sequence[Event]) -> Iterator[str]:
    said: set[tuple[str | None, str, str]] = set()
    bodies: dict[tuple[str | None, str], set[str | None]] = defaultdict(lambda: {None})
    edits: dict[tuple[str, int], set[str | None]] = defaultdict(set)
    for event in history:
        match event:
            case Sent(device=device, room=room, id=id, body=body):
                said.add((user_of(device), id, room))
                bodies[user_of(device), id].add(body)
            case Edited(room=room, seq=seq, body=body):
                edits[room, seq].add(body)
            case Applied(room=room, messages=messages):
                for told in messages:
                    if (told.sender, told.id, room) not in said:
                        yield f"I2 nobody has sent this: {told}, {event.device}"
                    elif told.body not in bodies[told.sender, told.id] | edits[room, told.seq]:
                        yield f"I2 nobody has written this: {told}, {event.device}"


def _doubled(history: Sequence[Event], rows: Sequence[Row]) -> Iterator[str]:
    places: dict[tuple[str | None, str], set[tuple[str, int]]] = defaultdict(set)
    for row in rows:
        if places[row.sender, row.id]:
            yield f"I3 stored twice: {row}"
        places[row.sender, row.id].add((row.room, row.seq))
    shown: dict[tuple[str, str | None, str], tuple[str, int]] = {}
    for event in history:
        if isinstance(event, Applied):
            for told in event.messages:
                place = (event.room, told.seq)
                if shown.setdefault((event.device, told.sender, told.id), place) != place:
                    yield f"I3 shown twice, at {place} too: {told}, {event.device}"


def _holes_in_revs(
    history: Sequence[Event], rows: Sequence[Row], heads: Mapping[str, Head]
) -> Iterator[str]:
    by_room: dict[str, list[Row]] = {room: [] for room in heads}
    for row in rows:
        by_room[row.room].append(row)
    for room, head in heads.items():
        there = sorted(by_room[room], key=lambda row: row.seq)
        revs = {row.rev for row in there}
        if [row.seq for row in there] != list(range(1, head.seq + 1)):
            yield f"I4 {room}: its places are not 1 to {head.seq}"
        if len(revs) < len(there) or max(revs, default=0) != head.rev:
            yield f"I4 {room}: the revs of its messages do not end, once each, at {head.rev}"
        changes = sum(isinstance(event, Edited) and event.room == room for event in history)
        if head.rev > len(revs | {row.born for row in there}) + changes:
            yield f"I4 {room}: some revs up to {head.rev} were never issued"
        if any(a.born >= b.born for a, b in pairwise(there)):
            yield f"I4 {room}: its messages were not born in their order"
    what: dict[tuple[str, int], Told] = {}
    for event in history:
        if isinstance(event, Applied):
            for told in event.messages:
                if what.setdefault((event.room, told.rev), told) != told:
                    yield f"I4 {event.room}: one rev for two things, {told} too, {event.device}"


def _out_of_order(history: Sequence[Event]) -> Iterator[str]:
    cursors: dict[tuple[str, str], int] = {}
    for event in history:
        match event:
            case Entered(device=device, room=room, rev=rev):
                cursors[device, room] = rev
            case Left(device=device, room=room):
                cursors.pop((device, room), None)
            case Applied(device=device, room=room):
                cursor = cursors.get((device, room), 0)
                revs = [told.rev for told in event.messages]
                if event.after > cursor and not event.reset:
                    yield f"I5 applied over a gap, the cursor was {cursor}: {event}"
                if revs != sorted(set(revs)) or any(
                    not event.after < rev <= event.upto for rev in revs
                ):
                    yield f"I5 applied out of order: {event}"
                cursors[device, room] = event.upto if event.reset else max(cursor, event.upto)


def _sender_order(history: Sequence[Event]) -> Iterator[str]:
    """Of messages that were sent once, over one connection, into one room."""
    attempts: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    seqs: dict[tuple[str, str], int] = {}
    for event in history:
        if isinstance(event, Sent):
            attempts[user_of(event.device), event.id].append(event)
        elif isinstance(event, Acknowledged):
            seqs.setdefault((user_of(event.device), event.id), event.seq)
    last: dict[tuple[str, int, str], int] = {}
    for (user, id), sent in attempts.items():
        if len(sent) == 1 and (user, id) in seqs:
            lane = (sent[0].device, sent[0].connection, sent[0].room)
            if seqs[user, id] < last.get(lane, 0):
                yield f"I7 overtook what was sent before: {sent[0]}"
            last[lane] = seqs[user, id]


def _copies(
    history: Sequence[Event], rows: Sequence[Row], heads: Mapping[str, Head]
) -> Iterator[str]:
    copies: dict[tuple[str, str], Copy] = {}
    settled: set[str] = set()
    for event in history:
        match event:
            case Entered(device=device, room=room, rev=rev):
                copies[device, room] = Copy(rev, rev)
            case Left(device=device, room=room):
                copies.pop((device, room), None)
            case Applied(device=device, room=room, after=after):
                copies.setdefault((device, room), Copy(after, after)).take(event)
            case Skipped():
                yield f"I6 told over a gap: {event}"
            case Settled(device=device):
                settled.add(device)
    for (device, room), copy in copies.items():
        there = {row.seq: row for row in rows if row.room == room}
        for row in there.values():
            told = copy.messages.get(row.seq)
            if copy.owes(row) and (told is None or told.rev < row.rev):
                yield f"I6 a silent hole below {copy.cursor}, {device} has {told}: {row}"
        if device in settled:
            if copy.cursor != heads[room].rev:
                yield f"I8 {device} stands at {copy.cursor} of {heads[room].rev} in {room}"
            for seq, told in copy.messages.items():
                if seq not in there or _seen(there[seq]) != told:
                    yield f"I8 {device} shows {told}, stored is {there.get(seq)}"


def _seen(row: Row) -> Told:
    return Told(row.seq, row.rev, row.id, row.sender, row.body)


def _cursors(history: Sequence[Event], heads: Mapping[str, Head]) -> Iterator[str]:
    reached: dict[tuple[str, str], int] = {}  # by any device of the user
    stored: dict[tuple[str, str], Stored] = {}
    for event in history:
        match event:
            case (
                Entered(device=device, room=room, rev=rev)
                | Applied(device=device, room=room, upto=rev)
            ):
                key = (user_of(device), room)
                reached[key] = max(reached.get(key, 0), rev)
            case Admitted(user=user, room=room):
                reached[user, room] = 2**63  # a new member begins at the head
            case Stored(user=user, room=room):
                before = stored.get((user, room), event)
                if event.delivered_rev < before.delivered_rev or event.read_seq < before.read_seq:
                    yield f"I9 went back, from {before}: {event}"
                if event.delivered_rev > reached.get((user, room), 2**63):
                    yield f"I9 counted as delivered, but no device got it: {event}"
                if event.delivered_rev > heads[room].rev or event.read_seq > heads[room].seq:
                    yield f"I9 beyond {heads[room]}: {event}"
                stored[user, room] = event


def _seen_by_outsiders(history: Sequence[Event]) -> Iterator[str]:
    barred: set[tuple[str, str]] = set()
    for event in history:
        match event:
            case Barred(user=user, room=room):
                barred.add((user, room))
            case Admitted(user=user, room=room):
                barred.discard((user, room))
            case Applied(device=device, room=room) if (user_of(device), room) in barred:
                yield f"I13 told to somebody who does not belong: {event}"

"""What is said: post, edit, delete, acknowledge, read. Synchronous; knows no WebSockets.

Every birth, edit and deletion takes the next `rev` of its room under the room's row lock, in the
transaction that stores it. Hence the order of revs is the order of commits and has no holes, and a
reader who asks for `rev > cursor` misses nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from operator import attrgetter
from uuid import UUID, uuid4, uuid5

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F

from . import conf, rows
from .access import MANAGERS
from .archive import stored_messages
from .errors import (
    Banned,
    ChatError,
    Empty,
    Forbidden,
    IdConflict,
    InvalidText,
    Muted,
    NotFound,
    RateLimited,
    TooLong,
    Unavailable,
)
from .models import Membership, Message, Room
from .users import UserKey, username

# All that a message is stored with at first, but for its own key.
BORN_WITH = [field.attname for field in Message._meta.concrete_fields if not field.primary_key]
_born_with = attrgetter(*BORN_WITH)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that somebody wants to post."""

    sender: AbstractBaseUser
    room_id: str
    client_id: UUID
    body: str


@dataclass(frozen=True, slots=True)
class Posted:
    """A stored message; `new` unless the same client id had been stored before."""

    message: Message
    new: bool


@dataclass(slots=True)
class LockedRoom:
    """A room whose next numbers are ours to give."""

    pk: str
    kind: str
    seq: int
    rev: int
    slow_mode: timedelta  # between two messages of a member
    archived: bool
    read_only: bool
    blocked: bool
    now: datetime  # by the database's clock


@dataclass(slots=True)
class LockedSeat:
    """A membership, with what its user's ban says."""

    pk: int
    role: str
    muted_until: datetime | None
    posted_at: datetime | None  # where slow mode counts
    banned_until: datetime | None
    read_seq: int = 0  # if they post


class RoomBusy(Unavailable):
    """Another transaction holds the room; only whoever may wait should try again at once."""


def post(drafts: Sequence[Draft], *, wait: bool = True) -> list[Posted | ChatError]:
    """Store drafts in one transaction; each succeeds or fails alone, in the order given.

    With `wait=False`, drafts for rooms that another transaction holds fail with RoomBusy at once
    instead of holding up the others (where the database can tell; SQLite cannot).
    """
    try:
        with transaction.atomic():
            return _post(drafts, wait=wait)
    except DatabaseError as error:
        if not _blames_one_row(error, wait):
            raise
    outcomes: list[Posted | ChatError] = []
    busy: set[str] = set()
    for draft in drafts:
        # What has to wait for its room must not be overtaken by what was said there after it.
        outcome = RoomBusy() if draft.room_id in busy else _post_alone(draft, wait=wait)
        if isinstance(outcome, RoomBusy):
            busy.add(draft.room_id)
        outcomes.append(outcome)
    return outcomes


def _post_alone(draft: Draft, *, wait: bool) -> Posted | ChatError:
    try:
        with transaction.atomic():
            return _post([draft], wait=wait)[0]
    except DatabaseError as error:
        if not _blames_one_row(error, wait):
            raise
        return Unavailable(retry_after_ms=1_000)


def _blames_one_row(error: DatabaseError, wait: bool) -> bool:
    """Whether other drafts of the batch may succeed: a constraint, or a row that somebody holds."""
    held = getattr(error.__cause__, "sqlstate", None) == "55P03"  # PostgreSQL's lock_timeout
    return isinstance(error, IntegrityError) or (held and not wait)


def _post(drafts: Sequence[Draft], *, wait: bool) -> list[Posted | ChatError]:
    room_ids = {draft.room_id for draft in drafts}
    rooms = {room.pk: room for room in _lock(room_ids, wait=wait)}
    busy = _existing(room_ids - rooms.keys())
    # Only now that the rooms are ours: before, a concurrent retry of an id could be overlooked.
    known = _known({(draft.sender.pk, draft.client_id) for draft in drafts})
    seats = _seats(list({(d.room_id, d.sender.pk) for d in drafts if d.room_id in rooms}))
    new: list[Message] = []

    def place(draft: Draft) -> Posted:
        key = (draft.sender.pk, draft.client_id)
        if (stored := known.get(key)) is not None:
            return _recognise(stored, draft.room_id, draft.body)
        if draft.room_id in busy:
            raise RoomBusy
        room = rooms.get(draft.room_id)
        seat = seats.get((draft.room_id, draft.sender.pk))
        if room is None or seat is None:
            raise NotFound
        _check_body(draft.body)
        _check_permission(room, seat)
        _check_pace(room, seat)
        message = known[key] = _next(room, draft.sender, draft.client_id, draft.body)
        seat.read_seq = message.seq
        seat.posted_at = room.now
        new.append(message)
        return Posted(message, new=True)

    outcomes = [_outcome(place, draft) for draft in drafts]
    if new:
        _store(new, rooms, seats)
    return outcomes


def _outcome(place: Callable[[Draft], Posted], draft: Draft) -> Posted | ChatError:
    try:
        return place(draft)
    except ChatError as error:
        return error


def _lock(room_ids: Collection[str], *, wait: bool = True) -> list[LockedRoom]:
    """Rooms under their row locks, taken in the order of their ids."""
    keys = [[room_id] for room_id in room_ids]
    read = f"id, kind, seq, rev, slow_mode, archived, read_only, blocked, {rows.now()}"
    locked = rows.find(Room, ["id"], keys, read, lock=True, skip_locked=not wait)
    return [
        LockedRoom(
            *(pk, kind, seq, rev, timedelta(seconds=slow_mode)),
            archived=bool(archived),
            read_only=bool(read_only),
            blocked=bool(blocked),
            now=rows.moment(now),
        )
        for pk, kind, seq, rev, slow_mode, archived, read_only, blocked, now in locked
    ]


def _existing(room_ids: Collection[str]) -> set[str]:
    if not room_ids:
        return set()
    return set(Room.objects.filter(pk__in=room_ids).values_list("pk", flat=True))


def _known(keys: Collection[tuple[UserKey, UUID]]) -> dict[tuple[UserKey, UUID], Message]:
    """Messages that have been stored, by their senders and client ids."""
    found = rows.find(Message, ["sender_id", "client_id"], keys, "id")
    stored = stored_messages().filter(pk__in=[pk for [pk] in found]) if found else ()
    return {(message.sender_id, message.client_id): message for message in stored}


def _recognise(stored: Message, room_id: str, body: str) -> Posted:
    if stored.room_id != room_id or bytes(stored.digest) != _digest(body):
        raise IdConflict
    return Posted(stored, new=False)


def find(draft: Draft) -> Posted | None:
    """What this draft became if it has been stored before; IdConflict if it differs."""
    key = (draft.sender.pk, draft.client_id)
    stored = _known([key]).get(key)
    return _recognise(stored, draft.room_id, draft.body) if stored else None


def _seats(keys: Sequence[tuple[str, UserKey]]) -> dict[tuple[str, UserKey], LockedSeat]:
    """Memberships by room and user, under their row locks, taken in the order of their keys."""
    locked = rows.find(
        Membership,
        ["room_id", "user_id"],
        keys,
        "n, id, role, muted_until, posted_at, banned_until",
        join="LEFT JOIN chat_access USING (user_id)",
        lock=True,
    )
    return {
        keys[n]: LockedSeat(pk, role, _moment(muted), _moment(posted), _moment(banned))
        for n, pk, role, muted, posted, banned in locked
    }


def _moment(value: datetime | str | None) -> datetime | None:
    return rows.moment(value) if value else None


def _store(
    new: Sequence[Message],
    rooms: Mapping[str, LockedRoom],
    seats: Mapping[tuple[str, UserKey], LockedSeat],
) -> None:
    """What has been placed, and what changes with it in rooms and seats: we hold their locks."""
    _insert(new, [rooms[room_id] for room_id in {message.room_id for message in new}])
    read = {key: seats[key] for key in {(message.room_id, message.sender_id) for message in new}}
    rows.update(Membership, ["id", "read_seq"], [[s.pk, s.read_seq] for s in read.values()])
    slow = [seat for (room_id, _), seat in read.items() if rooms[room_id].slow_mode]
    if slow:
        rows.update(Membership, ["id", "posted_at"], [[s.pk, s.posted_at] for s in slow])


def _insert(new: Sequence[Message], changed: Sequence[LockedRoom]) -> None:
    rows.insert(Message, BORN_WITH, [_born_with(message) for message in new])
    rows.update(Room, ["id", "seq", "rev"], [[r.pk, r.seq, r.rev] for r in changed])


def _digest(body: str) -> bytes:
    return blake2b(body.encode(errors="surrogatepass"), digest_size=16).digest()


def _check_body(body: str) -> None:
    if not body.strip():
        raise Empty
    if len(body) > conf.BODY_CHARS:
        raise TooLong
    if "\0" in body:
        raise InvalidText
    try:
        body.encode()
    except UnicodeEncodeError:  # a lone surrogate
        raise InvalidText from None


def _check_permission(room: LockedRoom, seat: LockedSeat) -> None:
    if seat.banned_until is not None and seat.banned_until > room.now:
        raise Banned
    _insist_on_life(room)
    if room.blocked:
        raise Forbidden("One of you has blocked the other: nobody writes here.")
    if (room.kind == Room.Kind.FEED or room.read_only) and seat.role not in MANAGERS:
        raise Forbidden("Only its owner and moderators write here.")
    if seat.muted_until is not None and seat.muted_until > room.now:
        remaining = seat.muted_until - room.now
        raise Muted(retry_after_ms=int(remaining.total_seconds() * 1000))


def _insist_on_life(room: LockedRoom) -> None:
    if room.archived:
        raise Forbidden("This room is archived: nothing is said or changed here any more.")


def _check_pace(room: LockedRoom, seat: LockedSeat) -> None:
    if not room.slow_mode or seat.posted_at is None or seat.role in MANAGERS:
        return
    remaining = seat.posted_at + room.slow_mode - room.now
    if remaining > timedelta():
        wait = int(remaining.total_seconds() * 1000) + 1
        raise RateLimited("This room is in slow mode.", retry_after_ms=wait)


def _next(room: LockedRoom, sender: AbstractBaseUser | None, client_id: UUID, body: str) -> Message:
    """The room's next message. The invariant: its numbers are taken under the room's lock."""
    room.seq += 1
    room.rev += 1
    message = Message(
        room_id=room.pk,
        seq=room.seq,
        rev=room.rev,
        born=room.rev,
        sender_id=sender.pk if sender else None,
        client_id=client_id,
        digest=_digest(body),
        body=body,
        created_at=room.now,
    )
    message.sender_name = username(sender) if sender else None
    return message


def proclaim(room_id: str, body: str, sender: AbstractBaseUser | None = None) -> Message:
    """Say something as those who run the site; nobody's seat, role or pace is asked."""
    [said] = proclaim_in([room_id], body, sender, uuid4())
    return said.message


def proclaim_in(
    room_ids: Collection[str], body: str, sender: AbstractBaseUser | None, words_id: UUID
) -> list[Posted]:
    """Say it in each of these rooms, or in none; who comes again with its id says nothing twice."""
    _check_body(body)
    with transaction.atomic():
        rooms = _lock(room_ids)
        if len(rooms) < len(set(room_ids)):
            raise NotFound
        # Only now that the rooms are ours: before, a concurrent retry could be overlooked. A
        # client id is known by its sender, so that it has to differ from room to room.
        ids = {room.pk: uuid5(words_id, room.pk) for room in rooms}
        known = _proclaimed(sender, ids.values())
        said = [_proclaim(room, body, sender, ids[room.pk], known) for room in rooms]
        new = [posted.message for posted in said if posted.new]
        if new:
            _insert(new, rooms)
        if new and sender:  # who knows it
            _read(sender, new)
    return said


def _proclaimed(sender: AbstractBaseUser | None, ids: Collection[UUID]) -> dict[UUID, Message]:
    key: UserKey | None = sender.pk if sender else None
    said = stored_messages().filter(sender=key, client_id__in=ids)
    return {message.client_id: message for message in said}


def _proclaim(
    room: LockedRoom,
    body: str,
    sender: AbstractBaseUser | None,
    client_id: UUID,
    known: Mapping[UUID, Message],
) -> Posted:
    if (stored := known.get(client_id)) is not None:
        return _recognise(stored, room.pk, body)
    message = _next(room, sender, client_id, body)
    message.announcement = True
    return Posted(message, new=True)


def _read(sender: AbstractBaseUser, messages: Sequence[Message]) -> None:
    seqs = {message.room_id: message.seq for message in messages}
    seats = _seats([(room_id, sender.pk) for room_id in seqs])
    read = [[seat.pk, seqs[room_id]] for (room_id, _), seat in seats.items()]
    rows.update(Membership, ["id", "read_seq"], read)


def edit(user: AbstractBaseUser, room_id: str, seq: int, body: str) -> Message:
    """Give one's own message another body; it takes the room's next rev."""
    _check_body(body)

    def change(message: Message, room: LockedRoom) -> bool:
        seat = _seat(user, room)
        if message.sender_id != user.pk:
            raise Forbidden
        _check_permission(room, seat)
        if message.deleted:
            raise NotFound
        if message.body == body:
            return False
        message.body = body
        message.edited_at = room.now
        return True

    return _change(room_id, seq, change)


def delete(user: AbstractBaseUser, room_id: str, seq: int) -> Message:
    """Leave an empty tombstone of one's own message, or as a moderator of anybody's."""

    def change(message: Message, room: LockedRoom) -> bool:
        seat = _seat(user, room)
        if message.sender_id != user.pk and seat.role not in MANAGERS:
            raise Forbidden
        _insist_on_life(room)
        return _bury(message, room)

    return _change(room_id, seq, change)


def take_down(room_id: str, seq: int) -> Message:
    """Leave an empty tombstone of anybody's message: for those who run the site."""
    return _change(room_id, seq, _bury)


def take_down_all(room_id: str, keys: Collection[int]) -> int:
    """Leave tombstones of these messages of one room, by their keys; how many were not yet.

    They take its next revs together: whoever posts there waits for all of them.
    """
    with transaction.atomic():
        room = next(iter(_lock([room_id])), None)
        if room is None:
            return 0
        alive = Message.objects.filter(room=room_id, pk__in=keys, deleted=False)
        found = list(alive.order_by("seq").values_list("pk", flat=True))
        if found:
            first = room.rev + 1
            room.rev += len(found)
            tombstones = [[pk, rev, "", True, None] for rev, pk in enumerate(found, first)]
            rows.update(Message, ["id", "rev", "body", "deleted", "edited_at"], tombstones)
            rows.update(Room, ["id", "rev"], [[room.pk, room.rev]])
    return len(found)


def _bury(message: Message, _room: LockedRoom) -> bool:
    changed = not message.deleted
    message.body = ""
    message.deleted = True
    return changed


def _seat(user: AbstractBaseUser, room: LockedRoom) -> LockedSeat:
    key = (room.pk, user.pk)
    seat = _seats([key]).get(key)
    if seat is None:
        raise NotFound
    return seat


def _change(room_id: str, seq: int, change: Callable[[Message, LockedRoom], bool]) -> Message:
    """Give a message its room's next rev if `change`, which may refuse, says that it changed."""
    with transaction.atomic():
        room = next(iter(_lock([room_id])), None)
        kept = stored_messages().filter(room_id=room_id, seq__gte=F("room__first_seq"))
        message = kept.filter(seq=seq).first()
        if room is None or message is None:
            raise NotFound
        if change(message, room):
            room.rev += 1
            message.rev = room.rev
            message.save(update_fields=["body", "edited_at", "deleted", "rev"])
            rows.update(Room, ["id", "rev"], [[room.pk, room.rev]])
    return message


# Cursors


def acknowledge(revs: Mapping[int, int]) -> list[Membership]:
    """Move `delivered_rev` of memberships (by key) forward, never beyond the head; all of them."""
    return _advance("delivered_rev", "rev", revs)


def read(seqs: Mapping[int, int]) -> list[Membership]:
    """Move `read_seq` of memberships (by key) forward, never beyond the end; all of them."""
    return _advance("read_seq", "seq", seqs)


def _advance(cursor: str, head: str, targets: Mapping[int, int]) -> list[Membership]:
    with transaction.atomic():
        memberships = list(
            Membership.objects.select_for_update(no_key=True, of=("self",))
            .filter(pk__in=targets)
            .order_by("pk")
            .annotate(head=F(f"room__{head}"))  # type: ignore[no-redef]
        )
        for membership in memberships:
            membership.moved = (
                getattr(membership, cursor) < targets[membership.pk] <= membership.head
            )
            if membership.moved:
                setattr(membership, cursor, targets[membership.pk])
        moved = [[m.pk, targets[m.pk]] for m in memberships if m.moved]
        rows.update(Membership, ["id", cursor], moved)
    return memberships

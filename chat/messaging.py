"""What is said: post, edit, delete, acknowledge, read. Synchronous; knows no WebSockets.

Every birth, edit and deletion takes the next `rev` of its room under the room's row lock, in the
transaction that stores it. Hence the order of revs is the order of commits and has no holes, and a
reader who asks for `rev > cursor` misses nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import attrgetter
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from . import conf
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
    TooLong,
    Unavailable,
)
from .models import Membership, Message, Room
from .rooms import MANAGERS, UserKey, username


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
    senders = {draft.sender.pk for draft in drafts}
    known = _known(senders, {draft.client_id for draft in drafts})
    memberships: dict[tuple[str, UserKey], Membership] = {
        (m.room_id, m.user_id): m
        for m in _memberships().filter(room__in=rooms.keys(), user__in=senders)
    }
    new: list[Message] = []

    def place(draft: Draft) -> Posted:
        key = (draft.sender.pk, draft.client_id)
        if (stored := known.get(key)) is not None:
            return _recognise(stored, draft)
        if draft.room_id in busy:
            raise RoomBusy
        room = rooms.get(draft.room_id)
        membership = memberships.get((draft.room_id, draft.sender.pk))
        if room is None or membership is None:
            raise NotFound
        _check_body(draft.body)
        _check_permission(room, membership)
        message = known[key] = _next(room, draft)
        membership.read_seq = message.seq
        new.append(message)
        return Posted(message, new=True)

    outcomes = [_outcome(place, draft) for draft in drafts]
    if new:
        Message.objects.bulk_create(new)
        _store({m.room_id: m.room for m in new}.values(), "seq", "rev")
        _store({memberships[m.room_id, m.sender_id] for m in new}, "read_seq")
    return outcomes


def _outcome(place: Callable[[Draft], Posted], draft: Draft) -> Posted | ChatError:
    try:
        return place(draft)
    except ChatError as error:
        return error


def _lock(room_ids: Collection[str], *, wait: bool = True) -> QuerySet[Room]:
    """Rooms under their row locks, in the order of their ids, with the database's time as `now`."""
    skip = not wait and connection.features.has_select_for_update_skip_locked
    rooms = Room.objects.select_for_update(no_key=True, skip_locked=skip)
    return rooms.filter(pk__in=room_ids).order_by("pk").annotate(now=Now())  # type: ignore[no-redef]


def _existing(room_ids: Collection[str]) -> set[str]:
    if not room_ids:
        return set()
    return set(Room.objects.filter(pk__in=room_ids).values_list("pk", flat=True))


def _known(
    senders: Collection[UserKey], client_ids: Collection[UUID]
) -> dict[tuple[UserKey, UUID], Message]:
    stored = stored_messages().filter(sender__in=senders, client_id__in=client_ids)
    return {(message.sender_id, message.client_id): message for message in stored}


def _recognise(stored: Message, draft: Draft) -> Posted:
    if stored.room_id != draft.room_id or bytes(stored.digest) != _digest(draft.body):
        raise IdConflict
    return Posted(stored, new=False)


def find(draft: Draft) -> Posted | None:
    """What this draft became if it has been stored before; IdConflict if it differs."""
    key = (draft.sender.pk, draft.client_id)
    stored = _known([draft.sender.pk], [draft.client_id]).get(key)
    return _recognise(stored, draft) if stored else None


def _memberships() -> QuerySet[Membership]:
    """With their users' bans."""
    ban = F("user__chat_access__banned_until")
    return Membership.objects.annotate(banned_until=ban)  # type: ignore[no-redef]


def _store(rows: Collection[Room] | Collection[Membership], *columns: str) -> None:
    """Update rows of one model, each to its values; `bulk_update` takes as long as a whole post.

    In the order of their keys, as everybody locks them; otherwise two might wait for each other.
    """
    if not rows:
        return
    table = connection.ops.quote_name(next(iter(rows))._meta.db_table)
    assignments = ", ".join(f"{column} = %s" for column in columns)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET {assignments} WHERE id = %s",  # noqa: S608  # our own names
            [
                [*(getattr(row, column) for column in columns), row.pk]
                for row in sorted(rows, key=attrgetter("pk"))
            ],
        )


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


def _check_permission(room: Room, membership: Membership) -> None:
    if membership.banned_until is not None and membership.banned_until > room.now:
        raise Banned
    if room.kind == Room.Kind.FEED and membership.role not in MANAGERS:
        raise Forbidden("Only its owner and moderators write here.")
    if membership.muted_until is not None and membership.muted_until > room.now:
        remaining = membership.muted_until - room.now
        raise Muted(retry_after_ms=int(remaining.total_seconds() * 1000))


def _next(room: Room, draft: Draft) -> Message:
    """The room's next message. The invariant: its numbers are taken under the room's lock."""
    room.seq += 1
    room.rev += 1
    message = Message(
        room=room,
        seq=room.seq,
        rev=room.rev,
        born=room.rev,
        sender_id=draft.sender.pk,
        client_id=draft.client_id,
        digest=_digest(draft.body),
        body=draft.body,
        created_at=room.now,
    )
    message.sender_name = username(draft.sender)
    return message


def edit(user: AbstractBaseUser, room_id: str, seq: int, body: str) -> Message:
    """Give one's own message another body; it takes the room's next rev."""
    _check_body(body)

    def change(message: Message, room: Room, membership: Membership) -> bool:
        if message.sender_id != user.pk:
            raise Forbidden
        _check_permission(room, membership)
        if message.deleted:
            raise NotFound
        if message.body == body:
            return False
        message.body = body
        message.edited_at = room.now
        return True

    return _change(user, room_id, seq, change)


def delete(user: AbstractBaseUser, room_id: str, seq: int) -> Message:
    """Leave an empty tombstone of one's own message, or as a moderator of anybody's."""

    def change(message: Message, _room: Room, membership: Membership) -> bool:
        if message.sender_id != user.pk and membership.role not in MANAGERS:
            raise Forbidden
        changed = not message.deleted
        message.body = ""
        message.deleted = True
        return changed

    return _change(user, room_id, seq, change)


def _change(
    user: AbstractBaseUser,
    room_id: str,
    seq: int,
    change: Callable[[Message, Room, Membership], bool],
) -> Message:
    with transaction.atomic():
        room = _lock([room_id]).first()
        membership = _memberships().filter(room=room, user_id=user.pk).first()
        message = stored_messages().filter(room=room, seq=seq).first()
        if room is None or membership is None or message is None:
            raise NotFound
        if change(message, room, membership):
            room.rev += 1
            message.rev = room.rev
            message.save(update_fields=["body", "edited_at", "deleted", "rev"])
            room.save(update_fields=["rev"])
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
        moved = [membership for membership in memberships if membership.moved]
        _store(moved, cursor)
    return memberships

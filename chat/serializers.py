"""Rows as frames: the shapes that clients get, over WebSocket and HTTP alike."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from . import archive, conf, directory, frames
from .access import Seat
from .archive import History, Page
from .models import Membership, Message
from .preferences import Preferred
from .users import UserKey

ENVELOPE_BYTES = 2048  # of a frame around its messages or rooms


def message_frame(message: Message) -> frames.Message:
    return frames.Message(
        room=message.room_id,
        seq=message.seq,
        rev=message.rev,
        id=message.client_id,
        sender=message.sender_name,
        body=None if message.deleted else message.body,
        at=frames.timestamp(message.created_at),
        edited_at=frames.timestamp(message.edited_at) if message.edited_at else None,
        deleted=message.deleted,
        announcement=message.announcement,
    )


def message_lines(messages: Iterable[Message]) -> list[bytes]:
    return [frames.encode(message_frame(message)) for message in messages]


def room_frame(
    seat: Seat,
    me: UserKey,
    is_online: Callable[[UserKey], bool],
    ref: str | None = None,
) -> frames.Room:
    """A room as one of its users sees it: of oneself, nothing is hidden."""
    room = seat.room
    seen = [f for f in seat.fellows if f.user_id == me or not f.hidden.presence]
    online = [f.username for f in seen if is_online(f.user_id)]
    away = [f for f in seen if f.last_seen and f.username not in online]
    leading = {f.username: f.role for f in seat.fellows if f.role != Membership.Role.MEMBER}
    unread = {f.user_id for f in seat.fellows if f.hidden.receipts} - {me}
    receipts = {
        f.username: (f.delivered_rev, 0 if f.user_id in unread else f.read_seq)
        for f in seat.fellows
    }
    return frames.Room(
        ref=ref,
        room=room.pk,
        kind=room.kind,
        name=room.name,
        members=seat.members,
        peer=seat.peer,
        role=seat.role,
        rev=room.rev,
        seq=room.seq,
        first_seq=room.first_seq,
        slow_mode=room.slow_mode,
        open=room.open,
        archived=room.archived,
        read_only=room.read_only,
        notify=seat.notify,
        unread_from=seat.unread_from and max(seat.unread_from, room.first_seq),
        blocked=seat.blocks,
        delivered_rev=seat.delivered_rev,
        read_seq=max(seat.read_seq, room.first_seq - 1),  # what is gone is not unread
        receipts=receipts or None,
        online=online if seat.fellows else None,
        last_seen={f.username: frames.timestamp(f.last_seen) for f in away if f.last_seen} or None,
        roles=leading or None,
    )


def presence_frame(username: str, online: bool, last_seen: datetime | None) -> frames.Presence:
    return frames.Presence(
        user=username,
        online=online,
        last_seen=frames.timestamp(last_seen) if last_seen and not online else None,
    )


def replay_frames(page: Page) -> Iterator[bytes]:
    """The encoded `replay` frames of a page: one, or more where a payload has no room for it."""
    lines = message_lines(page.messages)
    after, reset = page.after, page.reset
    start = 0
    while True:
        end = fitting(lines, start)
        last = end == len(lines)
        upto = page.upto if last else page.messages[end - 1].rev
        yield frames.encode(
            frames.Replay(
                room=page.room_id,
                messages=[msgspec.Raw(line) for line in lines[start:end]],
                after=after,
                upto=upto,
                complete=page.complete and last,
                reset=reset,
            )
        )
        if last:
            return
        after, reset, start = upto, False, end


def fitting(lines: Sequence[bytes], start: int = 0) -> int:
    """Where a frame that holds lines from `start` on has to end; at least one line further."""
    room_left = conf.PAYLOAD_BYTES - ENVELOPE_BYTES
    for end in range(start, len(lines)):
        room_left -= len(lines[end]) + 1
        if room_left < 0 and end > start:
            return end
    return len(lines)


def history_frame(room_id: str, history: History, ref: str | None) -> frames.History:
    return frames.History(
        ref=ref,
        room=room_id,
        messages=[msgspec.Raw(line) for line in message_lines(history.messages)],
        more_before=history.more_before,
        more_after=history.more_after,
    )


def history_line(user_id: UserKey, request: frames.Look) -> str:
    """The encoded `history` frame of a piece of a room: of as much of it as fits into a payload."""
    limit = request.limit
    while True:
        history = archive.history(
            user_id,
            request.room,
            before=request.before,
            after=request.after,
            around=request.around,
            limit=limit,
        )
        line = frames.encode(history_frame(request.room, history, request.ref))
        if len(line) <= conf.PAYLOAD_BYTES:
            return line.decode()
        limit = len(history.messages) // 2  # long ones: fewer of them fit


def members_frame(
    request: frames.CallRoll, me: UserKey, is_online: Callable[[UserKey], bool]
) -> frames.Members:
    """Who is in a room: the next ones behind a username."""
    found, more = directory.members(me, request.room, request.after, request.limit)
    seen = {m.user_id for m in found if m.user_id == me or not m.hides}
    members = [
        frames.Member(m.username, m.role, m.user_id in seen and is_online(m.user_id)) for m in found
    ]
    return frames.Members(ref=request.ref, room=request.room, members=members, more=more)


def found_frame(request: frames.Find, user_id: UserKey) -> frames.Found:
    """Whom and what somebody may be looking for."""
    rooms = directory.open_rooms(user_id, request.query, request.limit)
    return frames.Found(
        ref=request.ref,
        users=directory.people(request.query, request.limit),
        rooms=[frames.OpenRoom(*room) for room in rooms],
    )


def posted_frame(message: Message, ref: str | None) -> frames.Posted:
    """The numbers of its birth: the answer to a retry is the same after an edit."""
    return frames.Posted(
        ref=ref,
        id=message.client_id,
        room=message.room_id,
        seq=message.seq,
        rev=message.born,
        at=frames.timestamp(message.created_at),
    )


def receipt_frame(username: str, membership: Membership, *, hidden: bool = False) -> frames.Receipt:
    return frames.Receipt(
        room=membership.room_id,
        user=username,
        delivered_rev=membership.delivered_rev,
        read_seq=0 if hidden else membership.read_seq,
    )


def preferences_of(preferred: Preferred) -> frames.Preferred:
    return frames.Preferred(**preferred._asdict())

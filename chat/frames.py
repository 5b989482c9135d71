"""The wire of `chat.v1.json`: parse what a client says, build what we say. No Django, no I/O.

A WebSocket message carries one or more frames, one JSON object per line. Whatever stands in
`Request` is all that a client can say.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NoReturn
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from .errors import BadFrame, BadJSON, InvalidText, TooLarge, UnknownType

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Ref = Annotated[str, Meta(max_length=64)]
RoomId = Annotated[str, Meta(max_length=64)]
Username = Annotated[str, Meta(max_length=254)]
Cursors = dict[RoomId, Number]
People = Annotated[list[Username], Meta(max_length=100)]


class Frame(Struct, kw_only=True, omit_defaults=True):
    """One line. Fields that stand at their default do not travel."""

    ref: Ref | None = None


# What a client says


class Resume(Frame, tag="resume"):
    cursors: Cursors = {}
    limit: Number | None = None
    epoch: str | None = None


class Post(Frame, tag="post"):
    id: UUID
    body: str
    room: RoomId | None = None
    to: Username | None = None

    def __post_init__(self) -> None:
        if (self.room is None) == (self.to is None):
            raise ValueError("Expected either `room` or `to`")


class Edit(Frame, tag="edit"):
    room: RoomId
    seq: Number
    body: str


class Delete(Frame, tag="delete"):
    room: RoomId
    seq: Number


class Ack(Frame, tag="ack"):
    cursors: Cursors


class Read(Frame, tag="read"):
    room: RoomId
    seq: Number


class Typing(Frame, tag="typing"):
    room: RoomId


class Open(Frame, tag="open"):
    to: Username


class Join(Frame, tag="join"):
    room: RoomId


class Leave(Frame, tag="leave"):
    room: RoomId


class Create(Frame, tag="create"):
    name: str
    kind: Literal["group", "feed"] = "group"
    members: People = []
    open: bool = False


class Rename(Frame, tag="rename"):
    room: RoomId
    name: str


class Archive(Frame, tag="archive"):
    room: RoomId
    archived: bool


class Invite(Frame, tag="invite"):
    room: RoomId
    users: Annotated[People, Meta(min_length=1)]


class Remove(Frame, tag="remove"):
    room: RoomId
    user: Username


class Appoint(Frame, tag="appoint"):
    room: RoomId
    user: Username
    role: Literal["owner", "moderator", "member"]


class Notify(Frame, tag="notify"):
    room: RoomId
    level: Literal["all", "none"]


class MarkUnread(Frame, tag="unread"):
    room: RoomId
    seq: Number | None = None


class CallRoll(Frame, tag="members"):
    """Ask who is in a room."""

    room: RoomId
    after: Username = ""
    limit: Annotated[int, Meta(ge=1, le=200)] = 200


class Find(Frame, tag="find"):
    """Look for people, and for rooms that are open."""

    query: Username
    limit: Annotated[int, Meta(ge=1, le=50)] = 20


class Block(Frame, tag="block"):
    user: Username
    blocked: bool


class Report(Frame, tag="report"):
    """Of a message, or of somebody."""

    reason: str
    room: RoomId | None = None
    seq: Number | None = None
    user: Username | None = None

    def __post_init__(self) -> None:
        if (self.seq is None) == (self.user is None) or (self.seq is not None and not self.room):
            raise ValueError("Expected either `room` and `seq`, or `user`")


class Prefer(Frame, tag="prefer"):
    """Only what is to change."""

    theme: str | None = None
    language: str | None = None
    enter_sends: bool | None = None
    hide_receipts: bool | None = None
    hide_typing: bool | None = None
    hide_presence: bool | None = None

    @property
    def changes(self) -> dict[str, str | bool]:
        asked = msgspec.structs.asdict(self)
        return {name: asked[name] for name in asked if name != "ref" and asked[name] is not None}


class Look(Frame, tag="history"):
    """Ask for a piece of a room's history."""

    room: RoomId
    before: Number | None = None
    after: Number | None = None
    around: Number | None = None
    limit: Annotated[int, Meta(ge=1, le=2**63 - 1)] = 200

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.before, self.after, self.around)) > 1:
            raise ValueError("Expected one of `before`, `after`, `around`")


class Ping(Frame, tag="ping"):
    pass


Request = (
    Resume
    | Post
    | Edit
    | Delete
    | Ack
    | Read
    | Typing
    | Open
    | Create
    | Rename
    | Archive
    | Join
    | Leave
    | Invite
    | Remove
    | Appoint
    | Notify
    | MarkUnread
    | CallRoll
    | Find
    | Block
    | Report
    | Prefer
    | Look
    | Ping
)

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_types = {frame.__struct_config__.tag for frame in Request.__args__}


def split(text: str, limit: int) -> list[str]:
    """The lines of a WebSocket message of at most `limit` bytes; blank ones do not count."""
    if len(text) > limit or len(text.encode()) > limit:
        raise TooLarge
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    if not lines:
        raise BadJSON("This WebSocket message is empty.")
    return lines


def parse(line: str) -> Request:
    """The request that a line is, or an error that says what is wrong with it."""
    try:
        request = _requests.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        _explain(line, error)
    if "\\u0000" in line and any(map(_holds_nul, msgspec.structs.astuple(request))):
        raise InvalidText
    return request


def _explain(line: str, error: Exception) -> NoReturn:
    kind = json_object(line).get("type")
    if isinstance(kind, str) and kind not in _types:
        raise UnknownType
    raise BadFrame(f"{error}.") from None


def json_object(text: str) -> dict[str, Any]:
    """What a client wrote; BadJSON or BadFrame if it is none, InvalidText if it holds no text."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate
        raise InvalidText from None
    except (ValueError, RecursionError):
        raise BadJSON from None
    if not isinstance(value, dict):
        raise BadFrame("Expected a JSON object.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _holds_nul(value: object) -> bool:
    texts = [value] if isinstance(value, str) else value if isinstance(value, dict | list) else []
    return any("\0" in text for text in texts)


def ref_of(line: str) -> str | None:
    """The `ref` of a line that could not be parsed, if it can be told."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    ref = value.get("ref") if isinstance(value, dict) else None
    return ref if isinstance(ref, str) and len(ref) <= 64 and ref.isprintable() else None


# What we say


class Room(Frame, tag="room"):
    room: str
    kind: str
    name: str
    members: int
    role: str
    rev: int
    seq: int
    first_seq: int
    delivered_rev: int
    read_seq: int
    slow_mode: int = 0  # seconds
    open: bool = False
    archived: bool = False
    read_only: bool = False
    notify: str = "all"
    unread_from: int | None = None
    peer: str | None = None
    blocked: bool = False  # by whoever is told
    # Of a small room's members, by username:
    receipts: dict[str, tuple[int, int]] | None = None  # delivered_rev and read_seq
    online: list[str] | None = None
    last_seen: dict[str, str] | None = None  # of those who are not online
    roles: dict[str, str] | None = None  # of those who are more than members


class Left(Frame, tag="room"):
    """The client does not, or no longer, belong to this room."""

    room: str
    left: bool


class User(Struct, frozen=True):
    username: str
    name: str


class Limits(Struct, frozen=True):
    message_bytes: int
    body_chars: int
    post_rate: float
    post_burst: float
    frame_rate: int  # of one connection
    connections: int
    connect_rate: int
    connect_burst: int


class Preferred(Struct, frozen=True):
    theme: str
    language: str
    enter_sends: bool
    hide_receipts: bool
    hide_typing: bool
    hide_presence: bool


class Preferences(Frame, tag="preferences"):
    preferences: Preferred


class Welcome(Frame, tag="welcome"):
    user: User
    preferences: Preferred
    worker: str  # for whoever helps
    time: str
    epoch: str
    heartbeat: float
    limits: Limits
    rooms: Sequence[msgspec.Raw]  # encoded `Room` frames; further ones follow


class Message(Frame, tag="message"):
    room: str
    seq: int
    rev: int
    id: UUID
    sender: str | None
    at: str
    body: str | None = None
    edited_at: str | None = None
    deleted: bool = False
    announcement: bool = False


class Replay(Frame, tag="replay"):
    room: str
    messages: Sequence[msgspec.Raw]  # encoded `Message` frames
    after: int
    upto: int
    complete: bool
    reset: bool = False


class Synced(Frame, tag="synced"):
    pass


class Posted(Frame, tag="posted"):
    id: UUID
    room: str
    seq: int
    rev: int
    at: str


class Receipt(Frame, tag="receipt"):
    room: str
    user: str
    delivered_rev: int
    read_seq: int


class SomebodyTypes(Frame, tag="typing"):
    room: str
    user: str


class Presence(Frame, tag="presence"):
    user: str
    online: bool
    last_seen: str | None = None


class History(Frame, tag="history"):
    room: str
    messages: Sequence[msgspec.Raw]  # encoded `Message` frames
    more_before: bool
    more_after: bool


class Member(Struct, frozen=True):
    user: str
    role: str
    online: bool


class Members(Frame, tag="members"):
    room: str
    members: Sequence[Member]
    more: bool


class OpenRoom(Struct, frozen=True):
    room: str
    name: str
    kind: str
    members: int


class Found(Frame, tag="found"):
    users: Sequence[str]
    rooms: Sequence[OpenRoom]


class Ok(Frame, tag="ok"):
    pass


class Pong(Frame, tag="pong"):
    time: str


class Error(Frame, tag="error"):
    code: str
    detail: str
    retry_after_ms: int | None = None


class Heartbeat(Frame, tag="heartbeat"):
    pass


class Bye(Frame, tag="bye"):
    code: int
    reason: str
    reconnect: bool
    retry_after_ms: int | None = None


_encoder = msgspec.json.Encoder()


_messages = msgspec.json.Decoder(Message)


def decode_message(line: bytes) -> Message:
    """Read a `message` frame of ours, as another worker announced it."""
    return _messages.decode(line)


def encode(frame: Frame) -> bytes:
    """One line, without its line break."""
    return _encoder.encode(frame)


def pack(lines: Iterable[bytes], limit: int) -> Iterator[str]:
    """Join lines to WebSocket messages of at most `limit` bytes; a longer line goes alone."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and size + len(line) >= limit:
            yield b"\n".join(batch).decode()
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield b"\n".join(batch).decode()


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"

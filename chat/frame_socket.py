"""A socket that speaks `chat.v1.json`: what a client's frames mean, and how ours are sent."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

from django.utils import timezone
from msgspec import Raw

from . import allowances, conf, frames, metrics, rooms, serializers, users
from .access import Seat
from .announcements import Batch
from .archive import NEVER, Cursor, Page
from .authentication import Identity
from .close_codes import CloseCode
from .errors import BadFrame, ChatError, NotFound, RateLimited
from .limits import Strikes
from .messaging import Draft, Posted
from .sockets import ASGISend, Endpoint, Socket
from .users import UserKey
from .worker import Worker

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

LINES_AT_ONCE = 50  # of one WebSocket message, until others have their turn
BAD_FRAMES = (20, 10.0)  # tolerated within so many seconds
HASTY_POSTS = (100, 10.0)
CHANGES = (
    frames.Edit
    | frames.Delete
    | frames.Open
    | frames.Create
    | frames.Rename
    | frames.Archive
    | frames.Join
    | frames.Leave
    | frames.Invite
    | frames.Remove
    | frames.Appoint
    | frames.Notify
    | frames.MarkUnread
    | frames.Block
    | frames.Report
    | frames.Prefer
)


class FrameSocket(Socket):
    """Translates; whatever there is to decide, others decide."""

    __slots__ = ("_bad_frames", "_hasty_posts", "_resumes", "_worker")

    subprotocol = "chat.v1.json"
    speaks_first = True
    joins_messages = True

    def __init__(
        self,
        send: ASGISend,
        identity: Identity,
        endpoint: Endpoint,
        worker: Worker,
        *,
        pings: bool,
    ) -> None:
        super().__init__(send, identity, endpoint)
        self._worker = worker
        self._resumes: list[str | None] = []  # refs that wait for `synced`
        self._bad_frames = Strikes(*BAD_FRAMES)
        self._hasty_posts = Strikes(*HASTY_POSTS)

    @staticmethod
    def refusal(error: ChatError, code: CloseCode) -> str:
        """What somebody hears who is not let in."""
        lines = (_error_frame(error, None), code.bye(error.retry_after_ms))
        return "\n".join(frames.encode(line).decode() for line in lines)

    def begin(self) -> None:
        pass  # it says where it left off

    def decline(self) -> None:
        pass  # what is not answered it says again, to another worker

    def pong(self, payload: bytes) -> None:
        pass  # it acknowledges by frames

    # What we say

    def tell(self, frame: frames.Frame) -> None:
        self.hand(frames.encode(frame).decode())

    def show_batch(self, batch: Batch) -> None:
        for payload in batch.payloads:
            self.hand(payload)

    def show_page(self, page: Page, lines: list[bytes]) -> None:
        for payload in frames.pack(lines, conf.PAYLOAD_BYTES):
            self.hand(payload)

    def show_room(self, seat: Seat) -> None:
        self.tell(self._room(seat))

    def _tell_room(self, room_id: str, ref: str | None) -> None:
        """Answer with a room; NotFound if its seat, taken just now, is gone already."""
        if (seat := self.seats.get(room_id)) is None:
            raise NotFound
        self.tell(self._room(seat, ref))

    def _room(self, seat: Seat, ref: str | None = None) -> frames.Room:
        return serializers.room_frame(seat, self.user_id, self._is_online, ref)

    def _is_online(self, user_id: UserKey) -> bool:
        return user_id in self._worker.presence.online or user_id == self.user_id

    def show_preferred(self, ref: str | None = None) -> None:
        told = serializers.preferences_of(self.preferred)
        self.tell(frames.Preferences(ref=ref, preferences=told))

    def relay(self, line: bytes) -> None:
        self.hand(line.decode())

    def caught_up(self) -> None:
        for ref in self._resumes:
            self.tell(frames.Synced(ref=ref))
        self._resumes.clear()

    # What a client says

    async def receive(self, message: str | bytes) -> None:
        """Take a WebSocket message; whatever is wrong with it is told, line by line."""
        try:
            if isinstance(message, bytes):
                raise BadFrame("Frames come as text, not as binary messages.")
            lines = frames.split(message, conf.MESSAGE_BYTES)
        except ChatError as error:
            self._reject(error, None)
            return
        for number, line in enumerate(lines, 1):
            if number % LINES_AT_ONCE == 0:
                await asyncio.sleep(0)  # others have something to say, too
            await self.room_for_an_answer()
            if self.closed_at is not None:
                return
            try:
                request = frames.parse(line)
            except ChatError as error:
                self._reject(error, frames.ref_of(line))
            else:
                await self._answer(request)

    async def _answer(self, request: frames.Request) -> None:
        try:
            await self._do(request)
        except ChatError as error:
            self._fail(request.ref, error)
        except Exception:
            logger.exception("Cannot answer a %s", type(request).__name__)
            self._fail(request.ref, ChatError())

    def _reject(self, error: ChatError, ref: str | None) -> None:
        self.tell(_error_frame(error, ref))
        if self._bad_frames.one_too_many():
            self._worker.switchboard.dismiss(self, CloseCode.PROTOCOL)

    def _fail(self, ref: str | None, error: ChatError) -> None:
        self.tell(_error_frame(error, ref))
        if isinstance(error, RateLimited) and self._hasty_posts.one_too_many():
            self._worker.switchboard.dismiss(self, CloseCode.TOO_FAST, retry_after_ms=5_000)

    async def _do(self, request: frames.Request) -> None:
        worker, user, ref = self._worker, self.identity.user, request.ref
        if isinstance(request, CHANGES):
            worker.check_rate(self.visitor)
        match request:
            case frames.Post():
                await self._post(request)
            case frames.Ack(cursors=cursors):
                worker.cursors.acknowledge(self, cursors)
            case frames.Read(room=room_id, seq=seq):
                reading = worker.cursors.read(self, room_id, seq)
                reading.add_done_callback(partial(self._tell_failure, ref))
                await self.wait_in_line(reading)
            case frames.Typing(room=room_id):
                worker.switchboard.typing(self, room_id)
            case frames.Resume():
                await self._resume(request)
            case frames.Look():
                await self._look(request)
            case frames.Edit(room=room_id, seq=seq, body=body):
                await worker.edit(user, room_id, seq, body)
                self.tell(frames.Ok(ref=ref))
            case frames.Delete(room=room_id, seq=seq):
                await worker.delete(user, room_id, seq)
                self.tell(frames.Ok(ref=ref))
            case frames.Open(to=name):
                self._tell_room((await worker.open_direct(user, name)).room.pk, ref)
            case frames.Create():
                self._tell_room((await worker.create(user, request)).room.pk, ref)
            case frames.Join(room=room_id):
                await worker.change(rooms.join, user, room_id)
                self._tell_room(room_id, ref)
            case frames.CallRoll():
                await self._call_roll(request)
            case frames.Find():
                await self._find(request)
            case frames.Prefer():
                self.preferred = await worker.prefer(user, request.changes)
                self.show_preferred(ref)
            case frames.Ping():
                self.tell(frames.Pong(ref=ref, time=frames.timestamp(timezone.now())))
            case _:
                await self._change_room(request)
                self.tell(frames.Ok(ref=ref))

    async def _change_room(self, request: frames.Request) -> None:
        worker, user = self._worker, self.identity.user
        match request:
            case frames.Rename(room=room_id, name=name):
                await worker.change(rooms.rename, user, room_id, name)
            case frames.Archive(room=room_id, archived=archived):
                await worker.change(rooms.archive, user, room_id, archived)
            case frames.Leave(room=room_id):
                await worker.change(rooms.leave, user, room_id)
            case frames.Invite(room=room_id, users=names):
                await worker.invite(user, room_id, names)
            case frames.Remove(room=room_id, user=name):
                await worker.remove(user, room_id, name)
            case frames.Appoint(room=room_id, user=name, role=role):
                await worker.appoint(user, room_id, name, role)
            case frames.Block(user=name, blocked=blocked):
                await worker.block(user, name, blocked)
            case frames.Report():
                await worker.report(user, request)
            case frames.Notify(room=room_id, level=level):
                await worker.mark(rooms.notify, user, room_id, level)
            case frames.MarkUnread(room=room_id, seq=seq):
                await worker.mark(rooms.mark_unread, user, room_id, seq)

    async def _resume(self, request: frames.Resume) -> None:
        switchboard = self._worker.switchboard
        epoch = await self._worker.watch.epoch()
        stale = request.epoch not in (None, epoch)
        if not self.resumed:
            if request.cursors:
                metrics.reconnects.inc()
            self._welcome(epoch)
            asked = {*self.seats, *request.cursors}
        else:
            asked = set(request.cursors)
        cursors = {}
        for room_id in asked:
            if (seat := self.seats.get(room_id)) is None:
                self.tell(frames.Left(room=room_id, left=True))
                continue
            rev = request.cursors.get(room_id, seat.delivered_rev)
            if stale and room_id in request.cursors:
                rev = NEVER
            cursors[room_id] = Cursor(rev, request.limit)
        self._resumes.append(request.ref)
        switchboard.resume(self, cursors)
        if not stale:  # it says what has arrived, too
            known = {
                room_id: rev
                for room_id, rev in request.cursors.items()
                if room_id in cursors and rev <= self.seats[room_id].room.rev
            }
            self._worker.cursors.acknowledge(self, known)

    def _welcome(self, epoch: str) -> None:
        user = self.identity.user
        lines = [frames.encode(self._room(seat)) for seat in self.seats.values()]
        fitting = serializers.fitting(lines)
        self.tell(
            frames.Welcome(
                user=frames.User(self.username, users.display_name(user)),
                preferences=serializers.preferences_of(self.preferred),
                worker=self._worker.key,
                time=frames.timestamp(timezone.now()),
                epoch=epoch,
                heartbeat=conf.heartbeat(),
                limits=frames.Limits(
                    message_bytes=conf.MESSAGE_BYTES,
                    body_chars=conf.BODY_CHARS,
                    post_rate=conf.post_rate(),
                    post_burst=conf.post_burst(),
                    frame_rate=conf.LINES_RATE if conf.post_rate() else 0,
                    connections=conf.CONNECTIONS,
                    connect_rate=conf.ARRIVALS_RATE if conf.post_rate() else 0,
                    connect_burst=conf.ARRIVALS_BURST if conf.post_rate() else 0,
                ),
                rooms=[Raw(line) for line in lines[:fitting]],
            )
        )
        for line in lines[fitting:]:
            self.relay(line)

    async def _post(self, request: frames.Post) -> None:
        room_id = request.room
        if room_id is None:
            room_id = await self._direct_room(request.to or "")
        draft = Draft(self.identity.user, room_id, request.id, request.body)
        posting = await self._worker.post(draft, self.visitor)
        posting.add_done_callback(partial(self._tell_posted, request.ref))
        await self.wait_in_line(posting)

    async def _direct_room(self, name: str) -> str:
        seat = self.direct(name) or await self._worker.open_direct(self.identity.user, name)
        return seat.room.pk

    def _tell_posted(self, ref: str | None, posting: asyncio.Future[Posted]) -> None:
        if not self._tell_failure(ref, posting):
            self.tell(serializers.posted_frame(posting.result().message, ref))

    def _tell_failure(self, ref: str | None, future: asyncio.Future[Any]) -> bool:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, ChatError):
            self._fail(ref, error)
        return error is not None or future.cancelled()

    async def _look(self, request: frames.Look) -> None:
        self.hand(await self._read(serializers.history_line, self.user_id, request))

    async def _call_roll(self, request: frames.CallRoll) -> None:
        me, is_online = self.user_id, self._is_online
        self.tell(await self._read(serializers.members_frame, request, me, is_online))

    async def _find(self, request: frames.Find) -> None:
        async with self._worker.finding:
            self.tell(await self._read(serializers.found_frame, request, self.user_id))

    async def _read(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """As over HTTP: or one user with many connections would keep all readers busy."""
        asking = allowances.requests(self.visitor)
        self._worker.limits.insist(*asking, detail="You ask too often.")
        switchboard = self._worker.switchboard
        switchboard.insist_on_sight()
        answer = await switchboard.read(function, *args, **kwargs)
        switchboard.insist_on_sight()  # what was read before cannot be checked any more
        return answer


def _error_frame(error: ChatError, ref: str | None) -> frames.Error:
    metrics.errors.labels(error.code).inc()
    return frames.Error(
        ref=ref, code=error.code, detail=str(error), retry_after_ms=error.retry_after_ms
    )

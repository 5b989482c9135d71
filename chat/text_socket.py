"""A socket that speaks the plain-text dialect: a page of ten lines, `wscat`, or a device.

What was delivered is known by pings: they travel behind the lines, so whoever answers one has read
all that came before. A server that cannot show us pongs leaves only what a client says as a sign.
"""

import asyncio
import logging
import re
from uuid import uuid4

from . import conf, frames, metrics, users
from .access import Seat
from .announcements import Batch
from .archive import Page
from .authentication import Identity
from .close_codes import CloseCode
from .errors import (
    Ambiguous,
    BadFrame,
    ChatError,
    NotFound,
    RateLimited,
    Restarting,
    TooLarge,
    UnknownUser,
)
from .limits import Strikes
from .messaging import Draft, Posted
from .models import Room
from .sockets import ASGISend, Endpoint, Socket
from .worker import Worker

logger = logging.getLogger(__name__)

LINE_BREAK = re.compile(r"\r\n|\r|\n")
HASTY_LINES = (100, 10.0)  # refused within so many seconds until we close


class TextSocket(Socket):
    """Lines in, lines out; only what is new, no edits."""

    __slots__ = (
        "_hasty_lines",
        "_last_room",
        "_ping_number",
        "_pinged",
        "_pings",
        "_shown",
        "_worker",
    )

    subprotocol = "chat"
    speaks_first = False
    joins_messages = False

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
        self._pings = pings
        self._shown: dict[str, int] = {}  # revs by room, since the last ping
        self._pinged: dict[str, int] | None = None  # what the ping under way will tell
        self._ping_number = 0
        self._last_room: str | None = None
        self._hasty_lines = Strikes(*HASTY_LINES)

    @staticmethod
    def refusal(error: ChatError, code: CloseCode) -> str:
        """What somebody hears who is not let in."""
        return _error_line(error)

    def begin(self) -> None:
        """What was missed comes unasked."""
        self._worker.switchboard.resume(self, dict(self.behind))

    def decline(self) -> None:
        """Nobody says it again for them."""
        self._fail(Restarting())

    # What we say

    def tell(self, frame: frames.Frame) -> None:
        pass  # this dialect knows only messages and errors

    def show_batch(self, batch: Batch) -> None:
        for message in batch.messages:
            if message.edited_at is None and not message.deleted:
                self._show(batch.room_id, message.at, message.sender, message.body or "")
        self._note(batch.room_id, batch.upto)

    def show_page(self, page: Page, lines: list[bytes]) -> None:
        for message in page.messages:
            if message.born > page.after and not message.deleted:
                at = frames.timestamp(message.created_at)
                self._show(page.room_id, at, message.sender_name, message.body)
        self._note(page.room_id, page.upto)

    def show_room(self, seat: Seat) -> None:
        pass

    def show_preferred(self) -> None:
        pass

    def relay(self, line: bytes) -> None:
        pass

    def caught_up(self) -> None:
        pass

    def replayed(self, page: Page) -> None:
        if self._pings:
            super().replayed(page)

    def _show(self, room_id: str, at: str, sender: str | None, body: str) -> None:
        seat = self.seats[room_id]
        direct = seat.room.kind == Room.Kind.DIRECT
        if direct and sender == self.username:
            return
        text = LINE_BREAK.sub(r"\\n", body)
        sender = sender or ""  # the system
        self.hand(f"{at}|{sender}|{sender if direct else seat.room.name}|{text}")

    def _note(self, room_id: str, rev: int) -> None:
        self._shown[room_id] = rev
        self._ping()

    def _ping(self) -> None:
        if self._pings and self._shown and self._pinged is None:
            self._pinged, self._shown = self._shown, {}
            self._ping_number += 1
            self._hand({"type": "websocket.ping", "bytes": b"%d" % self._ping_number})

    # What a client says

    def pong(self, payload: bytes) -> None:
        """The answer to a ping: all that was shown before it has arrived."""
        if self._pinged is not None and payload == b"%d" % self._ping_number:
            shown, self._pinged = self._pinged, None
            self._arrived(shown)
            self._ping()

    def _arrived(self, shown: dict[str, int]) -> None:
        here = {room_id: rev for room_id, rev in shown.items() if room_id in self.seats}
        self._worker.cursors.acknowledge(self, here)

    async def receive(self, message: str | bytes) -> None:
        """Take one line and post it; what fails is told."""
        await self.room_for_an_answer()
        if not self._pings:
            shown, self._shown = self._shown, {}
            self._arrived(shown)
        try:
            if isinstance(message, bytes):
                raise BadFrame("Lines come as text, not as binary messages.")
            if len(message.encode()) > conf.MESSAGE_BYTES:
                raise TooLarge
            await self._post(message)
        except ChatError as error:
            self._fail(error)
        except Exception:
            logger.exception("Cannot take a line")
            self._fail(ChatError())

    async def _post(self, line: str) -> None:
        name, bar, body = line.partition("|")
        if not bar:
            room_id, body = self._everyone(), line
        elif name:
            room_id = self._last_room = await self._room(name)
        elif self._last_room is not None:
            room_id = self._last_room
        else:
            raise NotFound("You have not written to anybody yet.")
        draft = Draft(self.identity.user, room_id, uuid4(), body)
        posting = await self._worker.post(draft, self.visitor)
        posting.add_done_callback(self._tell_failure)
        await self.wait_in_line(posting)

    def _everyone(self) -> str:
        kinds = {seat.room.kind: room_id for room_id, seat in self.seats.items()}
        if Room.Kind.EVERYONE not in kinds:
            raise NotFound
        return kinds[Room.Kind.EVERYONE]

    async def _room(self, name: str) -> str:
        """The room of this name, or the direct room with the user of this name."""
        if "\0" in name:
            raise UnknownUser
        named = [seat for seat in self.seats.values() if name == seat.room.name]
        if not named:
            seat = self.direct(name) or await self._worker.open_direct(self.identity.user, name)
            return seat.room.pk
        if len(named) > 1 or await self._worker.switchboard.read(_is_user, name):
            raise Ambiguous
        return named[0].room.pk

    def _tell_failure(self, posting: asyncio.Future[Posted]) -> None:
        error = None if posting.cancelled() else posting.exception()
        if isinstance(error, ChatError):
            self._fail(error)

    def _fail(self, error: ChatError) -> None:
        self.hand(_error_line(error))
        if isinstance(error, RateLimited) and self._hasty_lines.one_too_many():
            self._worker.switchboard.dismiss(self, CloseCode.TOO_FAST, retry_after_ms=5_000)


def _is_user(name: str) -> bool:
    try:
        users.named(name)
    except UnknownUser:
        return False
    return True


def _error_line(error: ChatError) -> str:
    metrics.errors.labels(error.code).inc()
    return f"!{error.code}|{error}"

"""One WebSocket as its worker sees it: its user, where it stands in its rooms, what waits for it.

A room is *live* for a socket that has everything up to the room's head. Otherwise it is *behind*,
and the socket keeps a cursor for it. Only the switchboard moves a room from one to the other.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from contextlib import suppress
from contextvars import copy_context
from typing import Any, NamedTuple

from structlog.contextvars import bind_contextvars

from . import conf, frames
from .access import Seat
from .addresses import household
from .allowances import Visitor
from .announcements import Batch
from .archive import Cursor, Page
from .authentication import Identity
from .close_codes import CloseCode
from .errors import ChatError
from .models import Connection, opaque_id
from .preferences import Preferred
from .users import UserKey, username

logger = logging.getLogger(__name__)

ASGIEvent = MutableMapping[str, Any]
ASGISend = Callable[[ASGIEvent], Awaitable[None]]

CLOSE_TIMEOUT = 5.0  # seconds that a client has to take our goodbye and answer it


# What an outbox is mostly; a deque of its own for each idle socket weighs 0.7 KiB.
_NOTHING: deque[tuple[ASGIEvent, int]] = deque(maxlen=0)


class Endpoint(NamedTuple):
    """The other end: where it is, and what program it says it is."""

    address: str
    client: str


class Socket(ABC):
    """What both dialects have in common. A subclass says how things look on the wire."""

    # With thirty attributes or more, a dictionary of them weighs 1.3 KiB more.
    __slots__ = (
        "_asked",
        "_consumer",
        "_context",
        "_is_listening",
        "_outbox",
        "_outbox_size",
        "_progress",
        "_reaper",
        "_send",
        "_sending_since",
        "_unacknowledged",
        "_writer",
        "admitted",
        "behind",
        "close_code",
        "closed_at",
        "endpoint",
        "heard_at",
        "identity",
        "key",
        "opened_at",
        "preferred",
        "reader",
        "resumed",
        "seats",
        "sent_at",
        "user_key",
    )

    subprotocol: str
    speaks_first: bool  # whether nothing happens until the client says something
    joins_messages: bool  # whether several WebSocket messages may become one, joined by line breaks

    def __init__(self, send: ASGISend, identity: Identity, endpoint: Endpoint) -> None:
        self.identity = identity
        self.endpoint = endpoint
        self.admitted = 0  # the version of access that it was let in with
        self.key = opaque_id()
        self.user_key = str(identity.user.pk)
        self.preferred = Preferred()
        self.seats: dict[str, Seat] = {}
        self.behind: dict[str, Cursor] = {}
        self.reader: asyncio.Task[None] | None = None  # replays as long as it is behind
        self.resumed = False
        self.opened_at = self.sent_at = self.heard_at = time.monotonic()
        self.closed_at: float | None = None
        self.close_code: CloseCode | None = None  # if it is we who close
        self._send = send
        self._outbox = _NOTHING
        self._outbox_size = 0
        self._writer: asyncio.Task[None] | None = None
        self._sending_since: float | None = None
        self._unacknowledged: list[tuple[str, int, int]] = []  # room, rev, number of messages
        self._progress: asyncio.Event | None = None  # there is one only while somebody waits
        self._asked: set[asyncio.Future[Any]] = set()  # writes that are not answered yet
        self._is_listening = True
        bind_contextvars(connection=self.key, user=self.username)
        self._context = copy_context()  # for what others cause to be done for it
        self._consumer = asyncio.current_task()
        self._reaper: asyncio.TimerHandle | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work for this connection, whoever asks for it: what it logs is about this one."""
        return asyncio.create_task(work, context=self._context.copy())

    @property
    def user_id(self) -> UserKey:
        return self.identity.user.pk

    @property
    def visitor(self) -> Visitor:
        """Its user, and where they are: whom limits count."""
        return Visitor(self.user_key, household(self.endpoint.address))

    @property
    def username(self) -> str:
        return username(self.identity.user)

    @property
    def state(self) -> Connection.State:
        if not self.resumed:
            return Connection.State.SILENT
        return Connection.State.BEHIND if self.behind else Connection.State.LIVE

    def direct(self, name: str) -> Seat | None:
        """The user's seat in the direct room with somebody, if there is one."""
        return next((seat for seat in self.seats.values() if seat.peer == name), None)

    # How things look: the dialects

    @staticmethod
    @abstractmethod
    def refusal(error: ChatError, code: CloseCode) -> str:
        """The WebSocket message for somebody who is not let in."""

    @abstractmethod
    async def receive(self, message: str | bytes) -> None:
        """Take a WebSocket message from the client. What is wrong with it is told, never raised."""

    @abstractmethod
    def decline(self) -> None:
        """Take nothing any more, because the worker ends."""

    @abstractmethod
    def begin(self) -> None:
        """It has been registered."""

    @abstractmethod
    def pong(self, payload: bytes) -> None:
        """Take the answer to one of our pings."""

    @abstractmethod
    def tell(self, frame: frames.Frame) -> None:
        """Hand over a frame of its own; a dialect without such frames stays silent."""

    @abstractmethod
    def show_batch(self, batch: Batch) -> None:
        """Hand over what is new in a room that is live."""

    @abstractmethod
    def show_page(self, page: Page, lines: list[bytes]) -> None:
        """Hand over what was read from the database; `lines` are its `replay` frames."""

    @abstractmethod
    def show_room(self, seat: Seat) -> None:
        """Hand over how a room looks to its user now."""

    @abstractmethod
    def show_preferred(self) -> None:
        """Hand over what its user prefers now."""

    @abstractmethod
    def relay(self, line: bytes) -> None:
        """Hand over an encoded frame that somebody else caused."""

    @abstractmethod
    def caught_up(self) -> None:
        """It is live in all its rooms."""

    # The outbox

    @property
    def full(self) -> bool:
        """Whether it reads so slowly that it should be put behind instead of being buffered for."""
        return self._outbox_size > conf.OUTBOX_BYTES

    def pass_on(self, line: bytes) -> bool:
        """Relay what can be done without; False if this one reads too slowly, or not yet."""
        if not self.resumed or self.full:
            return False
        self.relay(line)
        return True

    def hand(self, text: str) -> None:
        """Let a WebSocket message wait for its turn to be sent."""
        self._hand({"type": "websocket.send", "text": text}, len(text))

    def _hand(self, event: ASGIEvent, size: int = 0) -> None:
        if self.closed_at is not None:
            return
        if not self._outbox:
            self._outbox = deque()
        self._outbox.append((event, size))
        self._outbox_size += size
        if self._writer is None:
            self._writer = self.start(self._write())

    async def _write(self) -> None:
        try:
            while self._outbox:
                self._sending_since = time.monotonic()
                await self._send(self._next_event())
                self.sent_at = time.monotonic()
                self._get_on()
        except Exception as error:  # whatever a server raises when the connection is gone
            logger.debug("Cannot send: %r", error)
            self.closed_at = time.monotonic()  # nothing may follow what was not sent
            self._clear()
            if self._consumer is not None:
                self._consumer.cancel()
        finally:
            self._writer = self._sending_since = None
            if not self._outbox:
                self._outbox = _NOTHING

    def stuck_for(self, now: float) -> float:
        """Seconds since its client has read something, if there is something to be read."""
        return 0.0 if self._sending_since is None else now - self._sending_since

    def _clear(self) -> None:
        self._outbox = _NOTHING
        self._outbox_size = 0
        self._get_on()

    def _next_event(self) -> ASGIEvent:
        event, size = self._outbox.popleft()
        self._outbox_size -= size
        if not self.joins_messages or "text" not in event:
            return event
        texts = [event["text"]]
        while self._outbox and "text" in self._outbox[0][0]:
            size += self._outbox[0][1] + 1
            if size > conf.PAYLOAD_BYTES // 4:  # characters of up to four bytes
                break
            event, more = self._outbox.popleft()
            self._outbox_size -= more
            texts.append(event["text"])
        return {"type": "websocket.send", "text": "\n".join(texts)} if len(texts) > 1 else event

    async def take(self, message: str | bytes) -> None:
        """Receive what its client says, one after the other."""
        self.heard_at = time.monotonic()
        self._is_listening = False
        try:
            await self.receive(message)
        finally:
            self._is_listening = True

    @property
    def owes_an_answer(self) -> bool:
        """Whether something that was taken has not been done yet."""
        return bool(self._asked) or not self._is_listening

    async def wait_in_line(self, asked: asyncio.Future[Any]) -> None:
        """Let a client wait for its earlier writes before it fills our memory with more of them."""
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)
        if len(self._asked) >= conf.IN_FLIGHT:
            await asyncio.wait(self._asked, return_when=asyncio.FIRST_COMPLETED)

    async def room_for_an_answer(self) -> None:
        """Wait until the outbox is not full: whoever does not read our answers asks in vain."""
        while self.full:
            await self._some_progress()

    async def ready(self) -> None:
        """Wait until another page may be sent: what was handed over left, and was acknowledged."""
        while (
            self._outbox_size > conf.OUTBOX_BYTES // 4
            or sum(count for _, _, count in self._unacknowledged) > conf.WINDOW - conf.PAGE
        ):
            await self._some_progress()

    async def _some_progress(self) -> None:
        if self._progress is None:
            self._progress = asyncio.Event()
        await self._progress.wait()

    def _get_on(self) -> None:
        """Wake who waits for progress."""
        if self._progress is not None:
            self._progress.set()
            self._progress = None

    # Acknowledgements

    def replayed(self, page: Page) -> None:
        """Count a page's messages as on their way until they are acknowledged."""
        if page.messages:
            self._unacknowledged.append((page.room_id, page.upto, len(page.messages)))

    def acknowledged(self, room_id: str, rev: int) -> None:
        """Everything up to `rev` of this room has arrived."""
        self._unacknowledged = [
            sent for sent in self._unacknowledged if sent[0] != room_id or sent[1] > rev
        ]
        self._get_on()

    # The end

    def close(
        self, code: CloseCode, *, retry_after_ms: int | None = None, is_urgent: bool = True
    ) -> None:
        """Say goodbye and close; if it is urgent, what still waits is not to be seen any more."""
        if self.closed_at is not None:
            return
        self.close_code = code
        if is_urgent:
            self._clear()
        self.tell(code.bye(retry_after_ms))
        self._hand({"type": "websocket.close", "code": int(code), "reason": code.reason})
        self.closed_at = time.monotonic()
        if self._consumer is not None:
            loop = asyncio.get_running_loop()
            self._reaper = loop.call_later(CLOSE_TIMEOUT, self._consumer.cancel)

    async def cut(self) -> None:
        """Close over the head of what a client does not read, our goodbye with it."""
        event = self._outbox[-1][0] if self._outbox else None
        self.abandon()
        if event is not None:
            with suppress(Exception):  # as in _write
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._send(event)

    def abandon(self) -> None:
        """The connection is gone: whatever still works for it stops."""
        self.closed_at = self.closed_at or time.monotonic()
        self._clear()
        if self._reaper is not None:
            self._reaper.cancel()
        for task in (self._writer, self.reader):
            if task is not None:
                task.cancel()

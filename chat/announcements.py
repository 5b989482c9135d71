"""What workers tell each other over the channel layer.

An announcement is a hint: it may be lost, doubled, late, out of order or made up, and nobody waits
for it. Whatever waits for the layer goes out as one event.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Annotated, NamedTuple, Self

import msgspec

from . import conf, frames, metrics
from .complaints import Nuisance
from .layer import Layer
from .limits import Limits
from .tasks import Tasks

logger = logging.getLogger(__name__)

EVENT_BYTES = 256 * 1024  # in one event; a single line may be longer
QUEUE_BYTES = 4 * 1024 * 1024  # that wait for the layer; beyond that the oldest are dropped
TOO_LATE = 2.0  # seconds after which the check has told everybody
RETRY = 0.5  # seconds until what the layer did not take is sent again
RIDES_WITHIN = 0.02  # seconds that what was spent waits for something else to go with

Rev = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
# To count what a million shares have spent would hold up this worker for half a minute.
Spent = Annotated[Mapping[str, Amount], msgspec.Meta(max_length=Limits.NEWS)]


class Batch(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """New revs of one room without a hole, `(after, upto]`, encoded once for everybody."""

    room_id: str
    after: Rev
    upto: Rev
    lines: list[bytes]  # encoded `message` frames in rev order

    def __post_init__(self) -> None:
        if not 0 < self.upto - self.after == len(self.lines):
            raise ValueError("Expected one line for each rev")

    @cached_property
    def size(self) -> int:
        """In bytes."""
        return sum(map(len, self.lines))

    @cached_property
    def payloads(self) -> list[str]:
        """As WebSocket messages."""
        return list(frames.pack(self.lines, conf.PAYLOAD_BYTES))

    @cached_property
    def messages(self) -> list[frames.Message]:
        return [frames.decode_message(line) for line in self.lines]

    def told(self, after: int, upto: int) -> list[bytes]:
        """The lines of these of its revs."""
        return self.lines[after - self.after : upto - self.after]

    @property
    def is_sound(self) -> bool:
        """Whether its lines are what they are said to be, whoever wrote them."""
        try:
            messages = [frames.decode_message(line) for line in self.lines]
        except msgspec.DecodeError:
            return False
        told = [(message.room, message.rev) for message in messages]
        expected = [(self.room_id, rev) for rev in range(self.after + 1, self.upto + 1)]
        return told == expected and all(map(_is_one_line, self.lines))

    def parts(self) -> Iterator["Batch"]:
        """Batches of a size that an event can carry, which follow on each other."""
        start = size = 0
        for end, line in enumerate(self.lines):
            if end > start and size + len(line) > EVENT_BYTES:
                yield self._part(start, end)
                start, size = end, 0
            size += len(line)
        yield self._part(start, len(self.lines)) if start else self

    def _part(self, start: int, end: int) -> "Batch":
        after, upto = self.after + start, self.after + end
        return Batch(self.room_id, after, upto, self.told(after, upto))


class Relay(msgspec.Struct, frozen=True, array_like=True):
    """An encoded frame that is not stored, for a room, or for some of its users."""

    room_id: str
    line: bytes
    only: str | None = None  # the key of the only user who gets it
    but: str | None = None  # the key of the one who does not

    @property
    def is_sound(self) -> bool:
        """Whether it is a frame that workers relay, whoever wrote it."""
        try:
            frame = _decode_relayed(self.line)
        except msgspec.DecodeError:
            return False
        return frame.room == self.room_id and _is_one_line(self.line)


class Announcement(msgspec.Struct, frozen=True, array_like=True):
    batches: Sequence[Batch] = ()
    relays: Sequence[Relay] = ()
    users: Sequence[str] = ()  # whose access has changed
    spent: Spent = {}  # of limits, by the names that `allowances` gives them


Hint = Batch | Relay | str  # a part of an announcement; text: a user whose access has changed


class Waiting(NamedTuple):
    """A hint that waits for the layer."""

    hint: Hint
    size: int
    since: float


class Announcer:
    """One worker's mouth and ears. `hear` gets what other workers of this epoch announce."""

    def __init__(
        self,
        worker: str,
        hear: Callable[[Announcement], None],
        epoch: Callable[[], Awaitable[str]],
        spent: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._hear = hear
        self._spent = spent  # since it was asked last
        self._layer = Layer(worker, self._receive, epoch)
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._some_wait = asyncio.Event()
        self._dropped = Nuisance(logger, "The channel layer is too slow; announcements dropped")
        self._garbage = Nuisance(
            logger,
            "The channel layer brought what is no announcement",
            metrics.announcements_garbage,
        )
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        await self._layer.__aenter__()
        if self._layer.exists:
            self._loop = asyncio.get_running_loop()
            self._tasks.start(self._send_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        await self._layer.__aexit__()

    @property
    def has_layer(self) -> bool:
        """Whether there is one to announce anything over."""
        return self._layer.exists

    @property
    def is_heard(self) -> bool:
        """Whether what we announce comes back to us, and so reaches the others."""
        return self._layer.is_heard

    def announce(
        self,
        batches: Iterable[Batch] = (),
        relays: Iterable[Relay] = (),
        users: Iterable[str] = (),
    ) -> None:
        """Tell the other workers, some time soon, if the layer can."""
        if not self._layer.exists:
            return
        for batch in batches:
            for part in batch.parts():
                self._append(part, part.size)
        for relay in relays:
            self._append(relay, len(relay.line))
        for user_key in users:
            self._append(user_key, len(user_key))
        self._some_wait.set()

    def ask_what_was_spent(self) -> None:
        """Soon, and tell the others. From any thread."""
        if self._layer.exists:
            with suppress(RuntimeError):  # our loop has ended
                self._loop.call_soon_threadsafe(
                    self._loop.call_later, RIDES_WITHIN, self._some_wait.set
                )

    def _append(self, hint: Hint, size: int) -> None:
        self._waiting.append(Waiting(hint, size, time.monotonic()))
        self._waiting_bytes += size
        while self._waiting_bytes > QUEUE_BYTES:
            self._pop()
            metrics.announcements_dropped.inc()
            if self.is_heard:  # otherwise it has been said why
                self._dropped.again(size)

    def _pop(self) -> Waiting:
        waiting = self._waiting.popleft()
        self._waiting_bytes -= waiting.size
        return waiting

    def _take(self) -> list[Waiting]:
        """As much as one event carries; what is too late is dropped."""
        taken: list[Waiting] = []
        room_left = EVENT_BYTES
        too_late = time.monotonic() - TOO_LATE
        while self._waiting and (not taken or self._waiting[0].size <= room_left):
            waiting = self._pop()
            if waiting.since >= too_late:
                taken.append(waiting)
                room_left -= waiting.size
            else:
                metrics.announcements_dropped.inc()
        return taken

    def _put_back(self, taken: Sequence[Waiting]) -> None:
        self._waiting.extendleft(reversed(taken))
        self._waiting_bytes += sum(waiting.size for waiting in taken)
        self._some_wait.set()

    async def _send_forever(self) -> None:
        while True:
            await self._some_wait.wait()
            taken, spent = self._take(), self._spent()
            if not self._waiting:
                self._some_wait.clear()
            # What was spent is not said again: it is less by then.
            if (taken or spent) and not await self._layer.send(_encode(taken, spent)):
                self._put_back(taken)
                await asyncio.sleep(RETRY)

    def _receive(self, body: bytes) -> None:
        try:
            announcement = _decode(body)
        except Exception as error:  # whatever somebody made up
            self._garbage.again(error)
            return
        try:
            self._hear(announcement)
        except Exception:  # the check shows what it was about
            logger.exception("Cannot show what another worker announced")


def _encode(taken: Iterable[Waiting], spent: Mapping[str, float]) -> bytes:
    hints = [waiting.hint for waiting in taken]
    return msgspec.msgpack.encode(
        Announcement(
            batches=[hint for hint in hints if isinstance(hint, Batch)],
            relays=[hint for hint in hints if isinstance(hint, Relay)],
            users=list(dict.fromkeys(hint for hint in hints if isinstance(hint, str))),
            spent=spent,
        )
    )


def _is_one_line(line: bytes) -> bool:
    return b"\n" not in line


_decode = msgspec.msgpack.Decoder(Announcement).decode
_decode_relayed = msgspec.json.Decoder(frames.Receipt | frames.SomebodyTypes).decode

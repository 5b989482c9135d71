"""What workers tell each other over the channel layer, and the one module that knows the layer.

An announcement is a hint: it may be lost, doubled, late or out of order, and nobody waits for it.
One channel per worker, one group of all workers, one event per batch of messages.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Self

import msgspec
from channels.layers import get_channel_layer

from . import conf, frames
from .tasks import Tasks

logger = logging.getLogger(__name__)

GROUP = "chat.workers"
EVENT = "chat.announcement"
# Announcements that may wait for the layer; more are dropped, and healed by the check.
QUEUE = 1_000
SEND_TIMEOUT = 2.0  # seconds
RETRY = 1.0  # seconds until the layer is tried again


class Batch(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """New revs of one room without a hole, `(after, upto]`, encoded once for everybody."""

    room_id: str
    after: int
    upto: int
    lines: list[bytes]  # encoded `message` frames in rev order

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


class Relay(msgspec.Struct, frozen=True, array_like=True):
    """An encoded frame that is not stored, for a room, or for some of its users."""

    room_id: str
    line: bytes
    only: str | None = None  # the key of the only user who gets it
    but: str | None = None  # the key of the one who does not


class Announcement(msgspec.Struct, frozen=True, array_like=True):
    worker: str
    batches: Sequence[Batch] = ()
    relays: Sequence[Relay] = ()
    users: Sequence[str] = ()  # whose access has changed


class Announcer:
    """One worker's ears and mouth. `hear` gets what other workers announce."""

    def __init__(self, worker: str, hear: Callable[[Announcement], None]) -> None:
        self._worker = worker
        self._hear = hear
        self._layer = get_channel_layer()
        self._queue: asyncio.Queue[Announcement] = asyncio.Queue(QUEUE)
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        if self._layer is not None:
            self._tasks.start(self._listen_forever())
            self._tasks.start(self._send_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    def announce(
        self,
        batches: Sequence[Batch] = (),
        relays: Sequence[Relay] = (),
        users: Sequence[str] = (),
    ) -> None:
        """Tell the other workers, some time soon, if the layer can."""
        if self._layer is None:
            return
        try:
            self._queue.put_nowait(Announcement(self._worker, batches, relays, users))
        except asyncio.QueueFull:
            logger.warning("The channel layer is too slow: an announcement was dropped")

    async def _send_forever(self) -> None:
        while True:
            announcement = await self._queue.get()
            try:
                event = {"type": EVENT, "body": msgspec.msgpack.encode(announcement)}
                async with asyncio.timeout(SEND_TIMEOUT):
                    await self._layer.group_send(GROUP, event)
            except Exception as error:  # any layer, any failure
                logger.warning("The channel layer took no announcement: %r", error)

    async def _listen_forever(self) -> None:
        while True:
            try:
                channel = await self._layer.new_channel("worker")
                await self._layer.group_add(GROUP, channel)
                while True:
                    self._receive(await self._layer.receive(channel))
            except Exception as error:
                logger.warning("The channel layer cannot be heard: %r", error)
                await asyncio.sleep(RETRY)

    def _receive(self, event: dict[str, Any]) -> None:
        try:
            announcement = _decode(event["body"])
        except (KeyError, TypeError, msgspec.DecodeError):
            logger.warning("The channel layer brought something that is no announcement")
            return
        if announcement.worker == self._worker:
            return
        try:
            self._hear(announcement)
        except Exception:  # the check shows what it was about
            logger.exception("Cannot show what another worker announced")


_decode = msgspec.msgpack.Decoder(Announcement).decode

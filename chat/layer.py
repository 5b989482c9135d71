"""The channel layer: a group of all workers of one database, and our way into it.

Neither a layer nor the library that connects us to it tells when something was lost. So a worker
listens to its own voice. As long as that comes back, it hears and is heard; when it does not, the
connections are thrown away and everything begins anew, until it does. Nobody waits for any of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import channel_layers, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer

from . import metrics
from .complaints import Nuisance, Outage
from .errors import ChatError
from .tasks import Tasks

logger = logging.getLogger(__name__)

EVENT = "chat.announcement"
ECHO = b""  # says nothing, but has to come back
LOOK_EVERY = 1.0  # seconds
DEAF_AFTER = 3  # looks. Not seconds: who was stopped for a minute has not become deaf
RETRY = 1.0  # seconds until the layer is tried again
PATIENCE = 2.0  # seconds that the layer may take for one thing


def group(epoch: str) -> str:
    """The group of all workers of one database: others may use the same server as we."""
    return f"chat.workers.{epoch}"


class Layer:
    """One per worker. `receive` gets what the others send."""

    def __init__(
        self, worker: str, receive: Callable[[bytes], None], epoch: Callable[[], Awaitable[str]]
    ) -> None:
        self.is_heard = False  # what we say comes back
        self._worker = worker
        self._receive = receive
        self._epoch = epoch
        self._layer = get_channel_layer()
        # Memory is shared, or nobody would be heard. Connections are not: the site that embeds us
        # may have consumers that listen on its own, and we are going to throw ours away.
        self._is_ours = isinstance(self._layer, RedisPubSubChannelLayer)
        if self._is_ours:
            self._layer = channel_layers.make_backend(DEFAULT_CHANNEL_LAYER)
        self._group = ""
        self._channel = ""
        self._listener: asyncio.Task[None] | None = None
        self._silence = 0  # looks since we heard ourselves
        self._failure: Exception | None = None  # of what was sent last
        self._outage = Outage(
            logger, "The channel layer", "what other workers say is shown up to a second later"
        )
        self._garbage = Nuisance(
            logger,
            "The channel layer brought what no worker says",
            metrics.announcements_garbage,
        )
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        if self.exists:
            self._tasks.start(self._stay_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        await self._leave()

    @property
    def exists(self) -> bool:
        """Whether there is one; a single worker needs none."""
        return self._layer is not None

    async def send(self, body: bytes) -> bool:
        """Say something to all workers; False if it was not taken. Never raises."""
        if not self._group:
            return False
        event = {"type": EVENT, "worker": self._worker, "body": body}
        try:
            async with asyncio.timeout(PATIENCE):
                await self._layer.group_send(self._group, event)
        except Exception as error:  # any layer, any failure
            self._failure = error
        else:
            self._failure = None
        return self._failure is None

    # In the group

    async def _stay_forever(self) -> None:
        while True:
            try:
                await self._enter()
                await self._stay()
            except ChatError:
                pass  # of the database, which has been logged: we do not know which epoch this is
            except Exception as error:
                self.is_heard = False
                self._outage.goes_on(self._failure or error)
            await self._leave()
            await asyncio.sleep(RETRY)

    async def _enter(self) -> None:
        self._group = await self._group_now()
        async with asyncio.timeout(PATIENCE):
            self._channel = await self._layer.new_channel("worker.")
            await self._layer.group_add(self._group, self._channel)
        self._listener = asyncio.create_task(self._listen(self._channel))

    async def _stay(self) -> None:
        """Until another group is ours; raises if we cannot hear ourselves for too long."""
        self._silence = 1
        while self._group == await self._group_now():
            if self._silence > DEAF_AFTER:
                raise TimeoutError("what we say does not come back")
            if self._silence:
                self._tasks.start(self.send(ECHO))
            self._silence += 1
            await asyncio.sleep(LOOK_EVERY)

    async def _group_now(self) -> str:
        return group(await self._epoch())

    async def _leave(self) -> None:
        """Let go of everything, also of what was only begun."""
        if self._is_ours:
            await self._throw_away()
        elif self._channel:
            with suppress(Exception):
                async with asyncio.timeout(PATIENCE):
                    await self._layer.group_discard(self._group, self._channel)
        if self._listener is not None:  # only now: the library would say goodbye to the server
            self._listener.cancel()
            await asyncio.wait({self._listener}, timeout=PATIENCE)
            self._listener = None

    async def _throw_away(self) -> None:
        # A task of its own: `flush` mistakes our being cancelled for what it cancels itself.
        flushing = asyncio.ensure_future(self._layer.flush())
        done, _ = await asyncio.wait({flushing}, timeout=2 * PATIENCE)  # sends may be before it
        if not done or flushing.exception() is not None:
            flushing.cancel()
            self._layer = channel_layers.make_backend(DEFAULT_CHANNEL_LAYER)

    async def _listen(self, channel: str) -> None:
        while True:
            try:
                event = await self._layer.receive(channel)
            except Exception as error:  # not ours: no MessagePack, or another key
                self._garbage.again(error)
                await asyncio.sleep(0)
            else:
                self._take(event)

    def _take(self, event: Any) -> None:
        match event:
            case {"worker": self._worker}:
                self._silence = 0
                self.is_heard = True
                self._outage.is_over()
            case {"worker": str(), "body": bytes(body)}:
                if body != ECHO:
                    self._receive(body)
            case _:
                self._garbage.again(type(event).__name__)

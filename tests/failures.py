"""What goes wrong, in words: announcements that get lost, a database that nobody can see."""

import asyncio
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event
from typing import Any
from unittest.mock import patch

import msgspec
from channels.layers import InMemoryChannelLayer, get_channel_layer
from channels_redis.pubsub import RedisPubSubLoopLayer
from django.conf import settings
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.signals import connection_created

from chat import messaging, pulse, watch
from chat.announcements import Announcement
from chat.layer import EVENT, Layer, group
from chat.worker import Worker
from tests.fake_browser import PATIENCE

Send = Callable[[], Any]


async def meanwhile(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Do something to the database on a connection of its own, as another process would."""

    def alone() -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(alone)


# On the way from one worker to the others


@contextmanager
def _on_the_way(carry: Callable[[Send], object]) -> Iterator[None]:
    real_send = Layer.send

    async def send(self: Layer, body: bytes) -> bool:
        carry(lambda: asyncio.ensure_future(real_send(self, body)))
        return True

    with patch.object(Layer, "send", send):
        yield


def lost_announcements() -> Any:
    return _on_the_way(lambda send: None)


def doubled_announcements() -> Any:
    return _on_the_way(lambda send: (send(), send()))


def delayed_announcements(most: float = 0.3) -> Any:
    """Each by some time of its own, so that they overtake each other."""
    loop = asyncio.get_running_loop()
    return _on_the_way(lambda send: loop.call_later(random.uniform(0, most), send))


def reversed_announcements(every: float = 0.01) -> Any:
    """All that are sent within a moment, the last one first."""
    loop = asyncio.get_running_loop()
    held: list[Send] = []

    def release() -> None:
        while held:
            held.pop()()

    def hold(send: Send) -> None:
        if not held:
            loop.call_later(every, release)
        held.append(send)

    return _on_the_way(hold)


def stubborn_layer(group_send: Callable[..., Any]) -> Any:
    """The layer itself, real or in memory, does this with whatever is sent."""
    layer = RedisPubSubLoopLayer if settings.REDIS_URL else InMemoryChannelLayer
    return patch.object(layer, "group_send", group_send)


async def forge(announcement: Announcement) -> None:
    """Announce what a worker might say, but none has said."""
    await poison(body=msgspec.msgpack.encode(announcement))


async def poison(**event: Any) -> None:
    """Announce something that no worker would say."""
    event = {"type": EVENT, "worker": "nobody", **event}
    await get_channel_layer().group_send(group(await meanwhile(epoch)), event)


def epoch():
    """Which life of the database this is."""
    return pulse.life().epoch


# The database


def _fail(*_: Any, **__: Any) -> Any:
    raise OperationalError("the database has gone away")


def unseen_database() -> Any:
    """The check each second finds no database."""
    return patch.object(watch, "pulse", _fail)


def unwritable_database() -> Any:
    """No message can be stored."""
    return patch.object(messaging, "post", _fail)


@contextmanager
def locked_database() -> Iterator[None]:
    """Another process writes, and does not come to an end: nobody else can, but all can read."""
    locked, let_go = Event(), Event()

    def write() -> None:
        with closing(connection), transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":  # on SQLite a transaction is enough
                tables = ", ".join(connection.introspection.django_table_names())
                cursor.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
            locked.set()
            let_go.wait(20)

    with ThreadPoolExecutor(1) as other:
        writing = other.submit(write)
        try:
            assert locked.wait(5)
            yield
        finally:
            let_go.set()
            writing.result()


@contextmanager
def impatience(seconds: float = 0.3) -> Iterator[None]:
    """Whoever connects from now on waits for a lock no longer than this. Name it before workers."""

    def be_impatient(connection: Any, **_: Any) -> None:
        limit = "PRAGMA busy_timeout =" if connection.vendor == "sqlite" else "SET lock_timeout ="
        with connection.cursor() as cursor:
            cursor.execute(f"{limit} {int(seconds * 1_000)}")

    connections.close_all()
    connection_created.connect(be_impatient)
    try:
        yield
    finally:
        connection_created.disconnect(be_impatient)
        connections.close_all()
        if connection.vendor == "postgresql":
            connection.close_pool()  # where impatient ones have come back to


@contextmanager
def busy(worker: Worker) -> Iterator[None]:
    """The worker's loop comes so late that it leaves out what people can do without."""
    with patch.object(watch, "BUSY_AFTER", -1):
        worker.switchboard.is_busy = True
        yield
    worker.switchboard.is_busy = False


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that no frame tells."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)

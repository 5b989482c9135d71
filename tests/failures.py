"""What goes wrong, in words: announcements that get lost, a database that nobody can see."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from channels.layers import get_channel_layer
from django.db import OperationalError, connections

from chat import messaging, switchboard
from chat.announcements import EVENT, GROUP, Announcer

Receive = Callable[[Any], None]


async def meanwhile(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Do something to the database on a connection of its own, as another process would."""

    def alone() -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(alone)


# What one worker hears of the others


@contextmanager
def _ears(hear: Callable[[Receive, Any], object]) -> Iterator[None]:
    receive = Announcer._receive
    with patch.object(Announcer, "_receive", lambda self, e: hear(partial(receive, self), e)):
        yield


def lost_announcements() -> Any:
    return _ears(lambda receive, event: None)


def doubled_announcements() -> Any:
    return _ears(lambda receive, event: (receive(event), receive(event)))


def delayed_announcements(most: float = 0.3) -> Any:
    """Each by some time of its own, so that they overtake each other."""

    def hear(receive: Receive, event: Any) -> None:
        asyncio.get_running_loop().call_later(random.uniform(0, most), receive, event)

    return _ears(hear)


@contextmanager
def reversed_announcements(every: float = 0.01) -> Iterator[None]:
    """All that arrive within a moment, the last one first."""
    held: list[Callable[[], None]] = []

    def release() -> None:
        late, held[:] = held[::-1], []
        for receive in late:
            receive()

    def hear(receive: Receive, event: Any) -> None:
        if not held:
            asyncio.get_running_loop().call_later(every, release)
        held.append(partial(receive, event))

    with _ears(hear):
        yield


async def poison(**event: Any) -> None:
    """Announce something that no worker would say."""
    await get_channel_layer().group_send(GROUP, {"type": EVENT, **event})


# The database


def _fail(*_: Any, **__: Any) -> Any:
    raise OperationalError("the database has gone away")


def unseen_database() -> Any:
    """The check each second finds no database."""
    return patch.object(switchboard, "pulse", _fail)


def unwritable_database() -> Any:
    """No message can be stored."""
    return patch.object(messaging, "post", _fail)

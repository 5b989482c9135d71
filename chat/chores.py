"""What one worker of all does now and then: count what was said, let go of what had its time.

Which one does it is settled in the database, by whoever claims it there first. People come first:
a worker that is busy, or sees no database, leaves it to others, or to later.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import ParamSpec, Self, TypeVar

from . import backlog, history, retention
from .complaints import Nuisance
from .errors import ChatError
from .journal import Journal
from .switchboard import Switchboard
from .tasks import Tasks

logger = logging.getLogger(__name__)

FIRST = 10.0  # seconds until a worker looks for the first time
EVERY = 20.0  # seconds until it looks again, with jitter
GIVE_WAY = 1.0  # seconds until a worker that was busy looks whether it still is

Chore = Callable[[], Awaitable[None]]

P = ParamSpec("P")
R = TypeVar("R")


class Chores:
    """One per worker."""

    def __init__(self, journal: Journal, switchboard: Switchboard) -> None:
        self._journal = journal
        self._switchboard = switchboard
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._forever(self._count, "Cannot count what was said"))
        self._tasks.start(self._forever(self._let_go, "Cannot let go of old messages"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()

    async def _forever(self, chore: Chore, failure: str) -> None:
        """Each by itself: one that fails stops no other."""
        failed = Nuisance(logger, failure, traceback=True)
        wait = FIRST
        while True:
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))
            wait = EVERY
            try:
                await chore()
            except ChatError:
                pass  # has been logged, and is tried again
            except Exception as error:
                failed.again(error)

    async def _count(self) -> None:
        if not await self._run(history.claim):
            return
        while await self._run(history.count_some):
            pass
        for note in (history.note_connected, history.sum_up):
            await self._run(note)
        # On a thread that reads: among ten thousand people it takes longer than a post may wait.
        waiting = await self._switchboard.read(backlog.summary)
        await self._run(history.note_waiting, waiting)
        while await self._run(history.forget_a_day):
            pass

    async def _let_go(self) -> None:
        while (wait := await self._run(retention.step)) is not None:
            await asyncio.sleep(wait)

    async def _run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """When nobody else needs the database; then as long as it took, others have their turn."""
        while self._switchboard.is_busy or self._switchboard.is_blind:
            await asyncio.sleep(GIVE_WAY)
        began = time.monotonic()
        result = await self._journal.run(function, *args, **kwargs)
        await asyncio.sleep(time.monotonic() - began)
        return result

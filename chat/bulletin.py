"""What a worker says of itself every few seconds, also an idle one, for those who run the site.

What it counts is its process's: one worker is one process. `vitals` tells what is written.
"""

import asyncio
import logging
import os
import random
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self

from . import conf, gauges, metrics, vitals
from .announcements import Announcer
from .complaints import Nuisance
from .errors import ChatError
from .journal import Journal
from .switchboard import Switchboard
from .tasks import Tasks
from .vitals import Buckets, Figures

logger = logging.getLogger(__name__)

FIRST = 1.0  # seconds until a worker is heard of
EVERY = 2.5  # seconds, with jitter
MINUTE = 60.0  # seconds


class Counts(NamedTuple):
    """All that this process has counted, at some moment."""

    at: float
    posts: int
    deliveries: int
    reconnects: int
    closes: int
    hand_over: Buckets
    lag: Buckets

    @classmethod
    def now(cls) -> Self:
        return cls(
            time.monotonic(),
            metrics.total(metrics.posts_stored),
            metrics.total(metrics.deliveries),
            metrics.total(metrics.reconnects),
            metrics.total(metrics.closes),
            metrics.buckets(metrics.hand_over_seconds),
            metrics.buckets(metrics.lag_seconds),
        )


class Bulletin:
    """One per worker."""

    def __init__(
        self,
        worker: str,
        announcer: Announcer,
        switchboard: Switchboard,
        journal: Journal,
        is_draining: Callable[[], bool],
    ) -> None:
        self._worker = worker
        self._announcer = announcer
        self._switchboard = switchboard
        self._journal = journal
        self._is_draining = is_draining
        self._began = time.monotonic()
        self._past = deque([Counts.now()])  # of the last minute, the oldest first
        self._is_told = False  # perhaps
        self._untold = Nuisance(logger, "Cannot tell how this worker is", traceback=True)
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._tell_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        if self._is_told and not self._switchboard.is_blind:  # whom it would keep from ending
            with suppress(ChatError):  # then it is not shown for long
                await self._journal.run(vitals.end, self._worker)

    async def _tell_forever(self) -> None:
        wait = FIRST
        while True:
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))
            wait = EVERY
            try:
                await self._tell()
            except ChatError:
                pass  # has been logged, and is tried again
            except Exception as error:
                self._untold.again(error)

    async def _tell(self) -> None:
        figures = self.figures()
        self._is_told = True
        await self._journal.run(
            vitals.tell,
            self._worker,
            socket.gethostname()[:64],
            os.getpid(),
            conf.release()[:40],
            time.monotonic() - self._began,
            figures,
        )

    def figures(self) -> Figures:
        """As of now; what is counted by the minute, since the oldest moment that is remembered."""
        now = Counts.now()
        self._past.append(now)
        while len(self._past) > 1 and self._past[1].at <= now.at - MINUTE:
            self._past.popleft()
        then, sockets = self._past[0], self._switchboard.sockets()
        return Figures(
            sockets=len(sockets),
            users=len(self._switchboard.users),
            behind=sum(1 for socket in sockets if socket.behind),
            journal_waiting=self._journal.waiting,
            resident_bytes=gauges.resident_bytes() or 0,
            posts=now.posts - then.posts,
            deliveries=now.deliveries - then.deliveries,
            reconnects=now.reconnects - then.reconnects,
            closes=now.closes - then.closes,
            hand_over=_less(now.hand_over, then.hand_over),
            lag=_less(now.lag, then.lag),
            heard=self._announcer.is_heard if self._announcer.has_layer else None,
            sees_database=not self._switchboard.is_blind,
            draining=self._is_draining(),
        )


def _less(now: Buckets, then: Buckets) -> Buckets:
    return [after - before for after, before in zip(now, then, strict=True)]

"""What is looked at once a second instead of being counted: states, queues, this process."""

import asyncio
import logging
import os
import resource
import time
from pathlib import Path
from typing import Self

from . import metrics
from .announcements import Announcer
from .complaints import Nuisance
from .journal import Journal
from .switchboard import Switchboard
from .tasks import Tasks

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds

_BEGAN = time.time()
_PAGE_BYTES = resource.getpagesize()
_STATM = Path("/proc/self/statm")


class Gauges:
    """One per worker."""

    def __init__(self, announcer: Announcer, switchboard: Switchboard, journal: Journal) -> None:
        self._announcer = announcer
        self._switchboard = switchboard
        self._journal = journal
        self._delivered = 0  # of what the switchboard says, counted so far
        self._unseen = Nuisance(logger, "Some metrics cannot be told", traceback=True)
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._look()
        self._tasks.start(self._look_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        self._look()

    async def _look_forever(self) -> None:
        while True:
            due = time.monotonic() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            metrics.lag_seconds.observe(max(0.0, time.monotonic() - due))
            self._look()

    def _look(self) -> None:
        try:
            self._look_around()
        except Exception as error:  # when no descriptor is left, say, the others count all the more
            self._unseen.again(error)

    def _look_around(self) -> None:
        process = str(os.getpid())
        delivered = self._switchboard.delivered
        metrics.delivered_live.inc(delivered - self._delivered)
        self._delivered = delivered
        sockets = self._switchboard.sockets()
        metrics.behind.set(sum(1 for socket in sockets if socket.behind))
        metrics.journal_waiting.set(self._journal.waiting)
        metrics.seen.labels(process).set(not self._switchboard.is_blind)
        if self._announcer.has_layer:
            metrics.heard.labels(process).set(self._announcer.is_heard)
        _look_at_process(process)


def _look_at_process(process: str) -> None:
    metrics.start_time.labels(process).set(_BEGAN)
    metrics.cpu_seconds.labels(process).set(time.process_time())
    metrics.max_descriptors.labels(process).set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if (resident := resident_bytes()) is not None:
        metrics.resident_bytes.labels(process).set(resident)
        metrics.open_descriptors.labels(process).set(_count_descriptors())


def resident_bytes() -> int | None:
    """Memory that this process holds; None: this system does not tell."""
    if not _STATM.exists():
        return None
    return int(_STATM.read_text().split()[1]) * _PAGE_BYTES


def _count_descriptors() -> int:
    # Since Linux 6.2 their number is the size; to list thousands takes milliseconds.
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))

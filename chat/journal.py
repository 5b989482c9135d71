"""Group commit: the only way in for what sockets write.

Everything that waits is committed in one transaction; while it commits, the next batch collects.
There is no timer: an idle worker commits a single message at once, a busy one shares the cost of a
commit. Nothing is answered before its commit; `unavailable` means: perhaps stored, retry with the
same id.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, Self, TypeVar

from django.db import Error, connection

from . import database, messaging, metrics
from .database import DatabaseThreads, as_chat_error
from .errors import ChatError, Unavailable
from .messaging import Draft, Posted, RoomBusy
from .models import Message
from .tasks import Tasks

logger = logging.getLogger(__name__)

BATCH = 500  # drafts in one transaction
QUEUE = 10_000  # drafts that may wait
SIDE_THREADS = 4

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(eq=False, slots=True)
class Entry:
    """A draft that waits for its commit."""

    draft: Draft
    outcome: asyncio.Future[Posted]
    since: float = field(default_factory=time.monotonic)

    def settle(self, outcome: Posted | ChatError) -> None:
        if self.outcome.done():  # out of patience, or the asker is gone
            return
        if isinstance(outcome, Posted):
            self.outcome.set_result(outcome)
        else:
            self.outcome.set_exception(outcome)


class Journal:
    """One per worker. `publish` gets a commit's new messages before their senders are answered."""

    def __init__(self, publish: Callable[[Sequence[Message]], None]) -> None:
        self._publish = publish
        self._waiting: deque[Entry] = deque()
        self._committing: dict[Entry, None] = {}
        self._lanes: dict[str, deque[Entry]] = {}  # of rooms that another transaction holds
        self._wake = asyncio.Event()
        self._writer = DatabaseThreads("journal", 1)
        # SQLite has one writer at a time anyway; two of ours would only wait for each other.
        sqlite = connection.vendor == "sqlite"
        self._side = self._writer if sqlite else DatabaseThreads("journal-side", SIDE_THREADS)
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._commit_forever())
        self._tasks.start(self._expire_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what waits, as long as anybody is patient, then stop."""
        deadline = time.monotonic() + database.PATIENCE
        while self.waiting and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for queue in (self._waiting, self._committing, *self._lanes.values()):
            for entry in queue:
                entry.settle(Unavailable(retry_after_ms=1_000))
        await self._tasks.stop()
        await self._writer.close()
        await self._side.close()

    def post(self, draft: Draft) -> asyncio.Future[Posted]:
        """Hand in a draft. The future fails with the ChatError that is to be told."""
        entry = Entry(draft, asyncio.get_running_loop().create_future())
        if self.waiting >= QUEUE:
            entry.settle(Unavailable(retry_after_ms=1_000))
        else:
            self._waiting.append(entry)
            self._wake.set()
        return entry.outcome

    async def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Any other verb that writes, in a transaction of its own; raises ChatError."""
        return await self._side.query(function, *args, **kwargs)

    @property
    def waiting(self) -> int:
        """Posts that wait for their commit."""
        lanes = sum(map(len, self._lanes.values()))
        return len(self._waiting) + len(self._committing) + lanes

    async def _commit_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := self._take():
                await self._commit(batch, self._writer, wait=False)

    def _take(self) -> list[Entry]:
        batch: list[Entry] = []
        while self._waiting and len(batch) < BATCH:
            entry = self._waiting.popleft()
            if entry.draft.room_id in self._lanes:  # behind its earlier ones, or order is lost
                self._lanes[entry.draft.room_id].append(entry)
            else:
                batch.append(entry)
        return batch

    async def _commit(
        self, batch: Sequence[Entry], threads: DatabaseThreads, *, wait: bool
    ) -> None:
        self._committing |= dict.fromkeys(batch)
        outcomes: Sequence[Posted | ChatError]
        began = time.monotonic()
        try:
            drafts = [entry.draft for entry in batch]
            outcomes = await threads.run(messaging.post, drafts, wait=wait)
        except Error as error:
            outcomes = [as_chat_error(error)] * len(batch)
        except Exception:
            logger.exception("Cannot store %d messages", len(batch))
            outcomes = [ChatError()] * len(batch)
        finally:
            for entry in batch:
                del self._committing[entry]
        metrics.batch_posts.observe(len(batch))
        metrics.commit_seconds.observe(time.monotonic() - began)
        posted = [outcome for outcome in outcomes if isinstance(outcome, Posted)]
        new = [outcome.message for outcome in posted if outcome.new]
        metrics.posts_stored.inc(len(new))
        metrics.posts_known.inc(len(posted) - len(new))
        try:
            self._publish(new)
        except Exception:  # they are stored; the next check shows them
            logger.exception("Cannot publish %d messages", len(batch))
        if new:  # the oldest waited longest; to look at each would cost more than it tells
            metrics.hand_over_seconds.observe(time.monotonic() - batch[0].since)
        for entry, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, RoomBusy) and not wait:
                self._detour(entry)
            else:
                entry.settle(outcome)

    def _detour(self, entry: Entry) -> None:
        """Let a room that somebody else holds wait on a thread of its own, not the others."""
        room_id = entry.draft.room_id
        if room_id not in self._lanes:
            self._lanes[room_id] = deque()
            self._tasks.start(self._commit_lane(room_id))
        self._lanes[room_id].append(entry)

    async def _commit_lane(self, room_id: str) -> None:
        lane = self._lanes[room_id]
        while lane:
            batch = [lane.popleft() for _ in range(min(len(lane), BATCH))]
            await self._commit(batch, self._side, wait=True)
        del self._lanes[room_id]

    async def _expire_forever(self) -> None:
        while True:
            await asyncio.sleep(database.PATIENCE / 16)
            overdue = time.monotonic() - database.PATIENCE
            for queue in (self._waiting, *self._lanes.values()):
                while queue and queue[0].since < overdue:
                    queue.popleft().settle(Unavailable(retry_after_ms=1_000))
            for entry in self._committing:  # goes on, but whoever asked need not wait for it
                if entry.since < overdue:
                    entry.settle(Unavailable(retry_after_ms=1_000))

"""Tasks that run beside everything else for as long as their owner does."""

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any

logger = logging.getLogger(__name__)

CANCEL_EVERY = 3.0  # seconds; some clean up before they end


class Tasks:
    """Keeps them from being forgotten, and says so if one dies."""

    def __init__(self) -> None:
        self._context = copy_context()  # the owner's: whoever starts a task may be anybody
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def stop(self) -> None:
        """Cancel them all and wait until they have ended."""
        while tasks := set(self._tasks):
            for task in tasks:
                task.cancel()
            # Once more, if need be: some code loses it, like asyncio.wait_for before Python 3.12.
            await asyncio.wait(tasks, timeout=CANCEL_EVERY)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s has died", task.get_name(), exc_info=error)

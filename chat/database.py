"""Database work off the event loop, on threads that we own.

Not `database_sync_to_async`: that is one thread for the whole process, shared with every view.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import Error, connection, connections

from .errors import ChatError, StorageFull, Unavailable

logger = logging.getLogger(__name__)

_opened = threading.local()  # the file behind this thread's connection

P = ParamSpec("P")
R = TypeVar("R")


class DatabaseThreads:
    """Threads that run synchronous functions, each thread with a connection of its own."""

    def __init__(self, name: str, size: int) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)

    def run(
        self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[R]:
        """Start the function; what it began is not stopped by cancelling the future."""
        job = partial(_run, partial(function, *args, **kwargs))
        return asyncio.get_running_loop().run_in_executor(self._pool, job)

    async def query(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function; raises ChatError, also for what is wrong with the database."""
        try:
            return await self.run(function, *args, **kwargs)
        except Error as error:
            logger.warning("The database did not answer: %s", error)
            raise as_chat_error(error) from error

    async def close(self) -> None:
        """Wait for what runs; drop what has not begun."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)


def _run(job: Callable[[], R]) -> R:
    _notice_another_file()
    try:
        return job()
    except Error:
        connections.close_all()  # whatever state it is in now
        raise
    finally:
        # Give a pooled connection back. Opening SQLite for every job would cost more than the job.
        if connection.vendor != "sqlite":
            connections.close_all()


def _notice_another_file() -> None:
    """Open SQLite anew when a backup took its file's place, or we go on with what nobody sees."""
    if connection.vendor != "sqlite":
        return
    try:
        status = os.stat(connection.settings_dict["NAME"])
    except OSError:
        file = None
    else:
        file = (status.st_dev, status.st_ino)
    if file != getattr(_opened, "file", file):
        connections.close_all()
    _opened.file = file


def as_chat_error(error: Error) -> ChatError:
    """What a client is told about a failure of the database."""
    full = "disk is full" in str(error) or getattr(error.__cause__, "sqlstate", None) == "53100"
    return StorageFull() if full else Unavailable(retry_after_ms=1_000)

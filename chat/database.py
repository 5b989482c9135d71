"""Database work off the event loop, on threads that we own.

Not `database_sync_to_async`: that is one thread for the whole process, shared with every view.
"""

import asyncio
import logging
import os
import select
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

from django.db import (
    DEFAULT_DB_ALIAS,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper

from .complaints import Nuisance, Outage
from .errors import ChatError, StorageFull, Unavailable

logger = logging.getLogger(__name__)

PATIENCE = 8.0  # seconds without any answer until whoever asks is told `unavailable`

# A transaction that stood still was ended; a standby that we failed over to takes no writes yet.
STATES_OF_OUTAGE = ("25P03", "25P04", "25006")
STATES_OF_OLD_TABLES = ("42P01", "42703")  # no such table, no such column

_outage = Outage(logger, "The database", "nothing can be read or written", settles=2.0)
_refused = Nuisance(logger, "The database refused something")
_mistaken = Nuisance(logger, "The database cannot do what it was asked", traceback=True)
_outdated = Nuisance(logger, "Tables are missing, or of another release (manage.py migrate)")
_opened = threading.local()  # the file behind this thread's connection

P = ParamSpec("P")
R = TypeVar("R")


class DatabaseThreads:
    """Threads that run synchronous functions, each thread with a connection of its own."""

    def __init__(self, name: str, size: int) -> None:
        self._threads = ThreadPoolExecutor(size, name, initializer=self._begin)
        self._connections: list[BaseDatabaseWrapper] = []
        self._answered_at = 0.0  # when a query last succeeded

    def _begin(self) -> None:
        """Of each thread: its connection, not open yet, stays open for as long as the thread lives.

        It is not one of the pool: there, a post would wait behind pages, and after an outage for
        the pool to try again.
        """
        self._connections.append(out_of_the_pool())

    def run(
        self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[R]:
        """Start the function; what it began is not stopped by cancelling the future."""
        # Whoever asks, for the log.
        job = partial(copy_context().run, _run, partial(function, *args, **kwargs))
        return asyncio.get_running_loop().run_in_executor(self._threads, job)

    async def query(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function; raises ChatError, also for what is wrong with the database.

        Unavailable when nothing at all was answered for PATIENCE: to wait behind others is no
        outage. What has not begun by then is not begun; what has, goes on.
        """
        job = self.run(function, *args, **kwargs)
        asked_at = time.monotonic()
        try:
            while not job.done():
                patient_until = max(asked_at, self._answered_at) + PATIENCE
                if (left := patient_until - time.monotonic()) <= 0:
                    _outage.goes_on(TimeoutError(f"no answer for {PATIENCE:.0f} seconds"))
                    raise Unavailable(retry_after_ms=1_000)
                await asyncio.wait({job}, timeout=left)
            answer = job.result()
        except Error as error:
            raise as_chat_error(error) from error
        finally:
            job.cancel()
        self._answered_at = time.monotonic()
        return answer

    async def close(self) -> None:
        """Wait for what runs; drop what has not begun. No connection stays open."""
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        for own in self._connections:
            own.inc_thread_sharing()  # its thread is gone
            own.close()


def out_of_the_pool() -> BaseDatabaseWrapper:
    """This thread's connection, which must not be open yet; from now on it is its own."""
    own = connections[DEFAULT_DB_ALIAS]
    options = dict(own.settings_dict["OPTIONS"])
    options.pop("pool", None)
    own.settings_dict = {**own.settings_dict, "OPTIONS": options}
    return own


def _run(job: Callable[[], R]) -> R:
    if connection.vendor == "sqlite":
        _notice_another_file()
    elif connection.connection is not None and _has_ended(connection.connection):
        connections.close_all()  # instead of failing once in each thread
    try:
        result = job()
    except Error as error:
        _complain(error)
        connections.close_all()  # whatever state it is in now
        raise
    _outage.is_over()
    return result


def _complain(error: Error) -> None:
    """Tell an operator, with what many threads may notice at once, and again every second."""
    if _lacks_tables(error):
        _outdated.again(str(error).partition("\n")[0])
    elif not _may_pass(error):
        _mistaken.again(error)
    elif connection.connection is None or getattr(connection.connection, "closed", False):
        _outage.goes_on(error)
    else:  # it is there
        _refused.again(error)


def _has_ended(postgresql: Any) -> bool:
    """Whether the server has restarted, or cut us off, since we last asked it something."""
    if postgresql.closed:
        return True
    goodbye = select.poll()  # select() itself cannot look at what a busy worker has many of
    goodbye.register(postgresql.fileno(), select.POLLIN)  # it says nothing else unasked
    return bool(goodbye.poll(0))


def _notice_another_file() -> None:
    """Open SQLite anew when a backup took its file's place, or we go on with what nobody sees."""
    try:
        status = os.stat(connection.settings_dict["NAME"])
    except OSError:
        file = None
    else:
        file = (status.st_dev, status.st_ino)
    if file != getattr(_opened, "file", file):
        connections.close_all()
    _opened.file = file


def is_outage(error: Error) -> bool:
    """Whether the database is away, locked or full, rather than not what our code takes it for."""
    if getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return False  # "no such table"
    if getattr(error.__cause__, "sqlstate", None) in STATES_OF_OUTAGE:
        return True
    return isinstance(error, OperationalError | InterfaceError)


def _lacks_tables(error: Error) -> bool:
    if getattr(error.__cause__, "sqlstate", None) in STATES_OF_OLD_TABLES:
        return True
    return str(error).startswith(("no such table", "no such column"))


def _may_pass(error: Error) -> bool:
    """Whether asking again may help: also when somebody deletes what is being referred to."""
    return is_outage(error) or isinstance(error, IntegrityError)


def as_chat_error(error: Error) -> ChatError:
    """What a client is told about a failure of the database."""
    if "disk is full" in str(error) or getattr(error.__cause__, "sqlstate", None) == "53100":
        return StorageFull()
    return Unavailable(retry_after_ms=1_000) if _may_pass(error) else ChatError()

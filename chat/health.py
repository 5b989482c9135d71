"""Whether this process lives, and whether it can do its work: for balancers and operators.

What is wrong is told in words of our own: what drivers say may name hosts, users and statements.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from channels.layers import get_channel_layer
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .complaints import in_words
from .database import DatabaseThreads
from .models import opaque_id

logger = logging.getLogger(__name__)

PATIENCE = 3.0  # seconds that one part may take to answer
FINE = "ok"
SILENT = "does not answer"

# One for this process. Who makes a new one for each question leaves one behind in the layer
# whenever its server is away.
ECHO = f"chat.echo.{opaque_id()}"
ECHO_PATIENCE = 2.0  # seconds; the rest is for hanging up
ECHO_AGAIN = 0.2  # seconds: layers lose things, above all what is sent while one begins to listen


class NotReady(Exception):
    """Says why, in words for an operator."""


class Part:
    """Something that has to work, asked once at a time: whoever asks meanwhile gets that answer.

    So however many ask, and however long it hangs, there is one thread, one listener.
    """

    def __init__(self, name: str, ask: Callable[[], Awaitable[object]]) -> None:
        self.name = name
        self._ask = ask
        self._told = FINE  # to the log
        self._asking: dict[asyncio.AbstractEventLoop, asyncio.Task[str]] = {}

    async def answer(self) -> str:
        """FINE, or what is wrong with it; within PATIENCE, and never an exception."""
        loop = asyncio.get_running_loop()
        if loop not in self._asking:
            self._asking[loop] = loop.create_task(self._find_out())
            self._asking[loop].add_done_callback(lambda _: self._asking.pop(loop))
        done, _ = await asyncio.wait({task := self._asking[loop]}, timeout=PATIENCE)
        return task.result() if done else self._tell(SILENT, f" within {PATIENCE:g} seconds")

    async def _find_out(self) -> str:
        try:
            await self._ask()
        except NotReady as reason:
            return self._tell(str(reason))
        except Exception as error:  # any driver, any layer
            return self._tell(SILENT, f" ({in_words(error)})")
        return self._tell(FINE)

    def _tell(self, answer: str, why: str = "") -> str:
        """The log, when it is another answer: balancers ask every few seconds."""
        if answer == self._told:
            pass
        elif answer == FINE:
            logger.warning("Ready again: %s", self.name)
        else:
            logger.warning("Not ready: %s %s%s", self.name, answer, why)
        self._told = answer
        return answer


# The parts


async def _alone(job: Callable[[], None]) -> None:
    """On a thread and a connection that nobody else uses, nor used before."""
    threads = DatabaseThreads("health", 1)
    try:
        await threads.run(job)
    finally:
        await threads.close()


def _query() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _compare_migrations() -> None:
    if missing := missing_migrations():
        raise NotReady(f"{missing} to be applied: manage.py migrate")


def missing_migrations() -> int:
    """How many have yet to be applied."""
    return _missing(frozenset(MigrationRecorder(connection).applied_migrations()))


@lru_cache(maxsize=1)
def _missing(applied: frozenset[tuple[str, str]]) -> int:
    """How many, with these applied. Planning takes long on a site with many, and delays all."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


async def echo() -> None:
    """Send something over the channel layer until it comes back."""
    layer = get_channel_layer()
    if layer is None:  # a single worker needs none
        return
    event = {"type": "chat.echo", "token": opaque_id()}
    heard = asyncio.Event()
    listener = asyncio.create_task(_listen(layer, event, heard))
    try:
        async with asyncio.timeout(ECHO_PATIENCE):
            await asyncio.sleep(0)  # listen first
            while not heard.is_set():
                if listener.done():
                    listener.result()
                await layer.send(ECHO, event)
                with suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), ECHO_AGAIN)
    finally:
        await _hang_up(layer, listener)


async def _listen(layer: Any, event: dict[str, str], heard: asyncio.Event) -> None:
    while True:  # until it is cancelled: only then the layer forgets that somebody listens
        if await layer.receive(ECHO) == event:  # and not what is left of an earlier question
            heard.set()


async def _hang_up(layer: Any, listener: asyncio.Task[None]) -> None:
    if listener.done() and listener.exception():
        # Its channel is there all the same, subscribed to nothing.
        listener = asyncio.create_task(layer.receive(ECHO))
        await asyncio.sleep(0)
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)


_PARTS = (
    Part("database", lambda: _alone(_query)),
    Part("migrations", lambda: _alone(_compare_migrations)),
    Part("channel_layer", echo),
)
PARTS = {part.name: part for part in _PARTS}


# The views


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process lives. It says nothing about the database."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
async def readyz(request: HttpRequest) -> HttpResponse:
    """200 if everything works, otherwise 503; either way a word about each part."""
    answers = await asyncio.gather(*(part.answer() for part in PARTS.values()))
    words = dict(zip(PARTS, answers, strict=True))
    worker = request.scope.get("worker") if isinstance(request, ASGIRequest) else None
    if worker is not None and worker.is_draining:
        words["worker"] = "is about to end"
    response = JsonResponse(words, status=200 if set(words.values()) == {FINE} else 503)
    response._has_been_logged = True  # type: ignore[attr-defined]  # or Django logs each 503
    return response

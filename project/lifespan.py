"""ASGI's lifespan: an application is told when it begins, and when it has to end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class Lifespan:
    """Of one application, which need not know of it: then nothing is told, and nothing missed."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._has_begun = False

    async def start(self) -> bool:
        """Whether it may be served."""
        self._task = asyncio.create_task(self._run())
        answer = await self._tell("lifespan.startup")
        if answer["type"] == "lifespan.startup.failed":
            logger.critical("The application cannot start. %s", answer.get("message", ""))
            return False
        self._has_begun = answer["type"] == "lifespan.startup.complete"
        return True

    async def stop(self) -> None:
        """Return when it has done what it has to do before the end."""
        answer = await self._tell("lifespan.shutdown")
        if answer["type"] == "lifespan.shutdown.failed":
            logger.error("The application failed to end. %s", answer.get("message", ""))

    async def _tell(self, what: str) -> Message:
        """Its answer; an empty one if it has no ears, or not any more."""
        if self._task is None or self._task.done():
            return {"type": ""}
        await self._told.put({"type": what})
        return await self._answers.get()

    async def _run(self) -> None:
        try:
            scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
            await self._application(scope, self._told.get, self._answers.put)
        except Exception as error:
            if self._has_begun:
                logger.exception("The application failed in its lifespan")
            else:  # which is how applications say that they do not know of it
                logger.debug("The application has no lifespan: %r", error)
        finally:
            self._answers.put_nowait({"type": ""})  # nobody waits in vain

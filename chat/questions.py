"""Questions to the database that are answered together: those that come while others are read.

A thousand browsers come back at once, and each asks the same few things. Nobody waits for others to
ask: a question that comes alone is answered alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from .errors import ChatError, Unavailable
from .tasks import Tasks

TOGETHER = 100  # at the most

Q = TypeVar("Q")
A = TypeVar("A")


class Questions(Generic[Q, A]):
    """`answer` takes questions and returns as many answers; one that is an error is raised."""

    def __init__(
        self, answer: Callable[[Sequence[Q]], Awaitable[Sequence[A | ChatError]]], tasks: Tasks
    ) -> None:
        self._answer = answer
        self._asked: list[tuple[Q, asyncio.Future[A]]] = []
        self._tasks = tasks
        self._is_answering = False

    async def ask(self, question: Q) -> A:
        """Wait for the answer to one question."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._asked.append((question, answer))
        if not self._is_answering:
            self._is_answering = True
            self._tasks.start(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        asked: list[tuple[Q, asyncio.Future[A]]] = []
        try:
            while self._asked:
                asked, self._asked = self._asked[:TOGETHER], self._asked[TOGETHER:]
                await self._answer_together(asked)
        finally:
            self._is_answering = False
            for _, waiting in (*asked, *self._asked):  # if this was cancelled, they get no other
                _settle(waiting, Unavailable(retry_after_ms=1_000))
            self._asked = []

    async def _answer_together(self, asked: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._answer([question for question, _ in asked])
        except Unavailable as error:
            # Those who came since would wait as long again, and for nothing.
            came, self._asked = self._asked, []
            for _, waiting in (*asked, *came):
                _settle(waiting, error)
        except Exception as error:
            if len(asked) == 1:
                _settle(asked[0][1], error)
            else:  # what is wrong with one of them is not to be the others' failure
                for alone in asked:
                    await self._answer_together([alone])
        else:
            for (_, waiting), answer in zip(asked, answers, strict=True):
                _settle(waiting, answer)


def _settle(waiting: asyncio.Future[A], answer: A | Exception) -> None:
    if waiting.done():  # whoever asked is gone
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)

"""Questions that come while others are answered are answered together."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from chat.errors import ChatError, NotFound, Unavailable
from chat.questions import TOGETHER, Questions
from chat.tasks import Tasks


class Oracle:
    """Doubles numbers, when it may; nothing is nothing to it."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def answer(self, numbers: Sequence[int]) -> list[int | ChatError]:
        self.asked.append(list(numbers))
        await self.may_answer.wait()
        if self.error is not None and 13 in numbers:
            raise self.error
        return [2 * number if number else NotFound() for number in numbers]


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def questions(oracle: Oracle) -> Questions[int, int]:
    return Questions(oracle.answer, Tasks())


async def ask(questions: Questions[int, int], numbers: Sequence[int]) -> list[Any]:
    asking = [asyncio.ensure_future(questions.ask(number)) for number in numbers]
    await asyncio.sleep(0)
    return asking


async def answers(asking: Sequence[Any]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 5)


async def test_what_comes_while_others_wait_is_asked_together(oracle, questions):
    asking = await ask(questions, [1])
    await asyncio.sleep(0)
    asking += await ask(questions, [2, 3])
    oracle.may_answer.set()
    assert await answers(asking) == [2, 4, 6]
    assert oracle.asked == [[1], [2, 3]]


async def test_one_that_comes_later_is_asked_as_well(oracle, questions):
    oracle.may_answer.set()
    assert await questions.ask(1) == 2
    assert await questions.ask(2) == 4
    assert oracle.asked == [[1], [2]]


async def test_too_many_are_asked_one_batch_after_the_other(oracle, questions):
    oracle.may_answer.set()
    numbers = list(range(1, 2 * TOGETHER))
    assert await answers(await ask(questions, numbers)) == [2 * number for number in numbers]
    assert [len(asked) for asked in oracle.asked] == [TOGETHER, TOGETHER - 1]


async def test_an_error_is_the_answer_to_one_question_alone(oracle, questions):
    oracle.may_answer.set()
    one, nothing = await answers(await ask(questions, [1, 0]))
    assert (one, type(nothing)) == (2, NotFound)


async def test_what_fails_for_one_does_not_fail_for_the_others(oracle, questions):
    oracle.may_answer.set()
    oracle.error = ZeroDivisionError()
    one, unlucky, two = await answers(await ask(questions, [1, 13, 2]))
    assert (one, type(unlucky), two) == (2, ZeroDivisionError, 4)


async def test_in_an_outage_nobody_asks_again_and_nobody_waits_twice(oracle, questions):
    oracle.error = Unavailable()
    asking = await ask(questions, [1, 13])
    await asyncio.sleep(0)
    asking += await ask(questions, [2])
    oracle.may_answer.set()
    assert [type(failure) for failure in await answers(asking)] == [Unavailable] * 3
    assert oracle.asked == [[1, 13]]


async def test_who_does_not_wait_any_more_is_no_harm(oracle, questions):
    gone, waiting = await ask(questions, [1, 2])
    gone.cancel()
    await asyncio.sleep(0)
    oracle.may_answer.set()
    assert await answers([waiting]) == [4]

"""Tasks end when their owner does, and whoever dies before is not forgotten."""

import asyncio

from chat import tasks
from chat.tasks import Tasks


async def test_all_have_ended_when_stop_returns():
    ours, ended = Tasks(), []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)  # to clean up
            ended.append(1)

    for _ in range(3):
        ours.start(work())
    await asyncio.sleep(0)
    await ours.stop()
    assert ended == [1, 1, 1]


async def test_who_loses_a_cancellation_is_cancelled_again(monkeypatch):
    monkeypatch.setattr(tasks, "CANCEL_EVERY", 0.01)
    ours, lost = Tasks(), []

    async def lose_two() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if len(lost) == 2:
                    raise
                lost.append(1)

    ours.start(lose_two())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await ours.stop()
    assert lost == [1, 1]


async def test_who_dies_is_in_the_log(caplog):
    async def die() -> None:
        raise RuntimeError("of old age")

    ours = Tasks()
    await asyncio.wait({ours.start(die())})
    assert "has died" in caplog.text
    assert "of old age" in caplog.text
    await ours.stop()

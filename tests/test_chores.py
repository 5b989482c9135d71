"""What one worker of all does now and then, and how it gives way to people."""

import asyncio
import threading

import pytest
from django.db import OperationalError

from chat import backlog, chores, history, retention
from chat.models import Hour, Message, Tally
from chat.worker import Worker
from tests.conversation import say_much
from tests.failures import busy, meanwhile, unseen_database, until
from tests.fake_browser import PATIENCE
from tests.test_history import age, counted


@pytest.fixture
def diligent(monkeypatch):
    """Workers that look many times a second whether there is something to do."""
    monkeypatch.setattr(chores, "FIRST", 0.05)
    monkeypatch.setattr(chores, "EVERY", 0.05)
    monkeypatch.setattr(chores, "GIVE_WAY", 0.05)


@pytest.fixture
def often(monkeypatch):
    """It is always time to count again."""
    monkeypatch.setattr(history, "EVERY", history.timedelta(0))


def talk(alice, kitchen):
    say_much(alice, kitchen, 10)
    age(Message.objects.all())


async def until_counted(messages):
    async with asyncio.timeout(PATIENCE):
        while await meanwhile(counted) != messages:
            await asyncio.sleep(0.05)


async def test_an_idle_worker_counts_what_was_said(diligent, tokens, alice, kitchen):
    await meanwhile(talk, alice, kitchen)
    async with Worker():
        await until_counted(10)


async def test_two_workers_count_each_message_once(
    diligent, often, tokens, alice, kitchen, monkeypatch
):
    monkeypatch.setattr(history, "BATCH", 3)
    await meanwhile(talk, alice, kitchen)
    async with Worker(), Worker():
        await until_counted(10)
        await meanwhile(talk, alice, kitchen)
        await until_counted(20)


async def test_what_waits_is_summed_up_where_no_post_waits_for_it(
    diligent, tokens, alice, kitchen, monkeypatch
):
    threads = []

    def summary():
        threads.append(threading.current_thread().name)
        return {"people": 7}

    monkeypatch.setattr(backlog, "summary", summary)
    async with Worker():
        async with asyncio.timeout(PATIENCE):
            while await meanwhile(noted) != {"people": 7}:
                await asyncio.sleep(0.05)
    assert threads[0].startswith("reader")


def noted():
    return Tally.objects.values_list("backlog", flat=True).first()


async def test_a_worker_that_is_busy_leaves_it_for_later(diligent, tokens, worker, alice, kitchen):
    with busy(worker):
        await meanwhile(talk, alice, kitchen)
        await asyncio.sleep(0.3)
        assert not await meanwhile(Hour.objects.exists)
    await until_counted(10)


async def test_a_worker_that_sees_no_database_leaves_it_for_later(
    diligent, tokens, worker, alice, kitchen
):
    with unseen_database():
        worker.switchboard.go_blind()
        await meanwhile(talk, alice, kitchen)
        await asyncio.sleep(0.3)
        assert not await meanwhile(Hour.objects.exists)
    await until_counted(10)


async def test_a_chore_that_fails_stops_no_other_and_is_tried_again(
    diligent, often, tokens, alice, kitchen, monkeypatch, caplog
):
    tries = []

    def fail():
        tries.append(1)
        raise ZeroDivisionError("one does not divide by zero")

    monkeypatch.setattr(retention, "step", fail)
    await meanwhile(talk, alice, kitchen)
    async with Worker():
        await until(lambda: len(tries) > 2)
        await until_counted(10)
    told = [line for line in caplog.messages if "divide by zero" in line]
    assert len(told) == 1
    assert told[0].startswith("Cannot let go of old messages")


async def test_a_database_that_is_away_is_no_traceback(
    diligent, often, tokens, alice, kitchen, monkeypatch, caplog
):
    tries = []

    def fail():
        tries.append(1)
        raise OperationalError("the database has gone away")

    await meanwhile(talk, alice, kitchen)
    with monkeypatch.context() as away:
        away.setattr(history, "claim", fail)
        async with Worker():
            await until(lambda: len(tries) > 2)
    assert "Traceback" not in caplog.text
    assert "Cannot count" not in caplog.text


async def test_old_messages_go_batch_by_batch(diligent, transactional_db, monkeypatch):
    waits = [0.0, 0.0, None]
    steps = []

    def step():
        steps.append(1)
        return waits.pop(0) if waits else None

    monkeypatch.setattr(retention, "step", step)
    async with Worker():
        await until(lambda: len(steps) > 3)
    assert not waits

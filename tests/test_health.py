"""Whether the process lives, and whether it can do its work: told soon, and in plain words."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from django.test import AsyncRequestFactory

from chat import health

FINE = {"database": "ok", "migrations": "ok", "channel_layer": "ok"}


async def ask():
    """Status and words."""
    response = await health.readyz(AsyncRequestFactory().get("/readyz"))
    return response.status_code, json.loads(response.content)


def failing(error=None):
    async def fail(*_):
        raise error or OSError("redis://:secret@10.0.0.7:6379 refused")

    return fail


# Alive


def test_the_process_says_that_it_lives_without_a_database(client):
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_only_asked_for(client, db, path):
    assert client.post(path).status_code == 405


# Ready


def test_a_process_that_can_work_says_so_to_anybody(client, transactional_db):
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, FINE)
    assert "no-store" in response["Cache-Control"]


async def test_a_database_that_does_not_answer_is_told_in_words_of_ours(transactional_db):
    secret = OperationalError("connection to 10.0.0.7 failed for user roost: SELECT 1")
    with patch.object(type(connections[DEFAULT_DB_ALIAS]), "cursor", side_effect=secret):
        assert await ask() == (
            503,
            {**FINE, "database": health.SILENT, "migrations": health.SILENT},
        )


async def test_missing_migrations_are_counted(transactional_db):
    with patch.object(MigrationExecutor, "migration_plan", return_value=[("chat", "0007")] * 2):
        status, words = await ask()
    assert (status, words["database"]) == (503, "ok")
    assert words["migrations"] == "2 to be applied: manage.py migrate"


async def test_a_layer_that_refuses_is_told_in_words_of_ours(transactional_db):
    with patch.object(get_channel_layer(), "send", failing()):
        assert await ask() == (503, {**FINE, "channel_layer": health.SILENT})


async def test_a_layer_that_cannot_be_heard_is_told(transactional_db):
    with patch.object(get_channel_layer(), "receive", failing()):
        assert await ask() == (503, {**FINE, "channel_layer": health.SILENT})


async def test_whoever_needs_no_layer_is_ready_without_one(transactional_db):
    with patch.object(health, "get_channel_layer", return_value=None):
        assert await ask() == (200, FINE)


async def test_a_layer_that_loses_the_first_echo_is_given_another_chance(transactional_db):
    layer = InMemoryChannelLayer()
    send, sent = layer.send, []

    async def lose_the_first(channel, event):
        sent.append(event)
        if len(sent) > 1:
            await send(channel, event)

    with (
        patch.object(health, "get_channel_layer", return_value=layer),
        patch.object(layer, "send", lose_the_first),
    ):
        assert await ask() == (200, FINE)
    assert len(sent) == 2


async def test_an_echo_of_another_question_does_not_count(transactional_db, monkeypatch):
    monkeypatch.setattr(health, "ECHO_PATIENCE", 0.3)
    layer = InMemoryChannelLayer()
    await layer.send(health.ECHO, {"type": "chat.echo", "token": "of yesterday"})
    with (
        patch.object(health, "get_channel_layer", return_value=layer),
        patch.object(layer, "send", swallow),
    ):
        assert (await ask())[1]["channel_layer"] == health.SILENT


async def swallow(*_):
    pass


# However long it hangs, and however many ask


@contextmanager
def hanging():
    """Neither database nor layer ever answers; until the end of the test."""
    over = threading.Event()

    async def hang(*_):
        await asyncio.to_thread(over.wait)

    with (
        patch.object(health, "_query", over.wait),
        patch.object(health, "_compare_migrations", over.wait),
        patch.object(get_channel_layer(), "send", hang),
    ):
        try:
            yield
        finally:
            over.set()


async def test_what_hangs_is_told_in_time(transactional_db, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE", 0.3)
    monkeypatch.setattr(health, "ECHO_PATIENCE", 0.2)
    began = time.monotonic()
    with hanging():
        status, words = await ask()
        assert time.monotonic() - began < 10
        assert (status, {*words.values()}) == (503, {health.SILENT})
        await still_asking(health.PARTS["channel_layer"])


async def still_asking(part):
    async with asyncio.timeout(10):
        while part._asking:
            await asyncio.sleep(0.01)


async def test_however_many_ask_there_is_one_question(transactional_db):
    asked = 0

    async def count():
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.05)

    part = health.Part(count)
    assert await asyncio.gather(*(part.answer() for _ in range(50))) == [health.FINE] * 50
    assert asked == 1
    assert await part.answer() == health.FINE
    assert asked == 2


async def test_who_loses_patience_leaves_the_question_to_the_others():
    go_on = asyncio.Event()
    part = health.Part(go_on.wait)
    impatient = asyncio.create_task(part.answer())
    patient = asyncio.create_task(part.answer())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    go_on.set()
    assert await patient == health.FINE


async def test_a_hundred_questions_at_once_disturb_nothing(transactional_db):
    answers = await asyncio.gather(*(ask() for _ in range(100)))
    assert answers == [(200, FINE)] * 100


# Nothing is left behind


async def test_in_memory_nothing_is_left_behind(transactional_db):
    layer = InMemoryChannelLayer()
    with patch.object(health, "get_channel_layer", return_value=layer):
        for _ in range(10):
            assert await ask() == (200, FINE)
        with patch.object(layer, "send", failing()):
            await ask()
        with patch.object(layer, "receive", failing()):
            await ask()
    assert len(layer.channels) <= 1
    assert layer.groups == {}
    assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []

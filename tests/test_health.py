"""Whether the process lives, and whether it can do its work: told soon, and in plain words."""

import asyncio
import gc
import json
import re
import threading
import time
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import redis
from channels.layers import InMemoryChannelLayer, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.test import AsyncRequestFactory

from chat import health
from tests.stacks import Valkey

FINE = {"database": "ok", "migrations": "ok", "channel_layer": "ok"}


@pytest.fixture(autouse=True)
def well(monkeypatch):
    """Whatever an earlier test left broken is forgotten."""
    for part in health.PARTS.values():
        monkeypatch.setattr(part, "_told", health.FINE)
    health._missing.cache_clear()
    yield
    health._missing.cache_clear()


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


async def test_as_long_as_nothing_is_applied_nothing_is_planned(transactional_db):
    with patch.object(MigrationExecutor, "migration_plan", return_value=[]) as plan:
        for _ in range(3):
            assert await ask() == (200, FINE)
    assert plan.call_count == 1


async def test_what_is_no_longer_applied_is_missed(transactional_db):
    """As after an older backup was restored."""
    assert await ask() == (200, FINE)
    with patch.object(MigrationRecorder, "applied_migrations", return_value={}):
        assert (await ask())[1]["migrations"].endswith("to be applied: manage.py migrate")


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


# In the log


async def test_what_is_wrong_is_logged_once_and_once_when_it_is_over(caplog):
    refused, missing = OSError("refused"), health.NotReady("2 to be applied")
    found = iter([None, refused, refused, refused, None, None, missing, missing, refused, None])

    async def find():
        if error := next(found):
            raise error

    part = health.Part("part", find)
    for _ in range(10):
        await part.answer()
    assert [record.getMessage() for record in caplog.records] == [
        "Not ready: part does not answer (OSError: refused)",
        "Ready again: part",
        "Not ready: part 2 to be applied",
        "Not ready: part does not answer (OSError: refused)",
        "Ready again: part",
    ]


def test_django_does_not_log_each_answer(client, transactional_db, caplog):
    with patch.object(get_channel_layer(), "send", failing()):
        for _ in range(3):
            assert client.get("/readyz").status_code == 503
    assert "django.request" not in [record.name for record in caplog.records]


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


async def test_what_answers_too_late_is_told_to_the_log_as_well(monkeypatch, caplog):
    go_on = asyncio.Event()
    part = health.Part("The database", go_on.wait)
    monkeypatch.setattr(health, "PATIENCE", 0.1)
    for _ in range(2):
        assert await part.answer() == health.SILENT
    go_on.set()
    await still_asking(part)
    assert [record.getMessage() for record in caplog.records] == [
        "Not ready: The database does not answer within 0.1 seconds",
        "Ready again: The database",
    ]


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

    part = health.Part("count", count)
    assert await asyncio.gather(*(part.answer() for _ in range(50))) == [health.FINE] * 50
    assert asked == 1
    assert await part.answer() == health.FINE
    assert asked == 2


async def test_who_loses_patience_leaves_the_question_to_the_others():
    go_on = asyncio.Event()
    part = health.Part("go_on", go_on.wait)
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


# With a server


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with Valkey(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


@pytest.fixture
def redis_layer(valkey, monkeypatch):
    """With timeouts of the server's connections as long as we have patience, or longer."""
    layer = RedisPubSubChannelLayer(hosts=[{"address": valkey.url, "socket_timeout": 5}])
    monkeypatch.setattr(health, "get_channel_layer", lambda: layer)
    return layer


async def nobody_listens(valkey):
    """Soon: that one stops to is not waited for."""
    with redis.Redis.from_url(valkey.url) as client:
        async with asyncio.timeout(10):
            while client.pubsub_channels():
                await asyncio.sleep(0.01)


async def layer_says():
    began = time.monotonic()
    answer = await health.PARTS["channel_layer"].answer()
    assert time.monotonic() - began < health.PATIENCE + 5  # a busy machine
    return answer


async def recovers():
    """At the latest with the second question after everything is well."""
    async with asyncio.timeout(30):
        while await layer_says() != health.FINE:
            await still_asking(health.PARTS["channel_layer"])


async def test_redis_is_heard_and_keeps_no_subscription(valkey, redis_layer):
    for _ in range(5):
        assert await layer_says() == health.FINE
    assert await asyncio.gather(*(layer_says() for _ in range(20))) == [health.FINE] * 20
    await nobody_listens(valkey)
    assert redis_layer.channels == {}
    assert redis_layer.groups == {}


async def test_a_redis_that_is_away_is_told_and_found_again_when_it_is_back(valkey, redis_layer):
    assert await layer_says() == health.FINE
    await asyncio.to_thread(valkey.stop)
    try:
        for _ in range(3):
            assert await layer_says() == health.SILENT
            await still_asking(health.PARTS["channel_layer"])
    finally:
        await asyncio.to_thread(valkey.start)
    await recovers()
    assert redis_layer.channels == {}


async def test_a_redis_that_is_away_from_the_start_is_told_and_found(valkey, redis_layer, caplog):
    await asyncio.to_thread(valkey.stop)
    try:
        for _ in range(3):
            assert await layer_says() == health.SILENT
            await still_asking(health.PARTS["channel_layer"])
    finally:
        await asyncio.to_thread(valkey.start)
    await recovers()
    gc.collect()  # of what nobody looked at, Python complains when it forgets it
    [lost, back] = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(r"Not ready: channel_layer does not answer \(\w*Error: .+\)", lost)
    assert back == "Ready again: channel_layer"


async def test_a_redis_that_hangs_holds_nobody_up(valkey, redis_layer):
    assert await layer_says() == health.FINE
    valkey.pause()
    try:
        answers = await asyncio.gather(*(layer_says() for _ in range(10)))
        assert answers == [health.SILENT] * 10
    finally:
        valkey.resume()
    await still_asking(health.PARTS["channel_layer"])
    await recovers()
    await nobody_listens(valkey)


async def test_whoever_uses_the_same_layer_is_not_disturbed(valkey, redis_layer):
    channel = await redis_layer.new_channel()
    await redis_layer.group_add("site", channel)
    assert await layer_says() == health.FINE
    await redis_layer.group_send("site", {"type": "site.event"})
    async with asyncio.timeout(10):
        assert await redis_layer.receive(channel) == {"type": "site.event"}
    assert list(redis_layer.channels) == [channel]
